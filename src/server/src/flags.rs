//! Command-line flags: one table says all about them, and the parser, `--help`, the status page and
//! `docs/flags.md` follow from it.

mod table;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use api::{AdminApi, Flag, Lifecycle, WriteReceiver};
use clap::{Arg, ArgAction, ArgMatches, Command};
use model::PromDuration;
use tsdb::WalSync;

pub use table::{FLAGS, FlagKind, FlagSpec};

use crate::build;
use crate::features::Features;
use crate::logging::{LogFormat, LogLevel};

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration to load; without one the built-in default is used.
    pub config_file: Option<PathBuf>,
    /// Addresses to serve on.
    pub listen_addresses: Vec<String>,
    /// Directory of all data.
    pub storage_path: PathBuf,
    /// How long samples are kept, if the command line says so; the configuration takes precedence.
    pub retention: Option<PromDuration>,
    /// Most bytes on disk, 0 for no limit; the configuration takes precedence.
    pub retention_size: u64,
    /// How long samples stay in the log alone.
    pub max_chunk_age: PromDuration,
    /// When the log is synced to the device.
    pub wal_sync: WalSync,
    /// Whether remote write is received.
    pub write_receiver: WriteReceiver,
    /// Whether `/-/reload` and `/-/quit` work.
    pub lifecycle: Lifecycle,
    /// Whether `/api/v1/admin` works.
    pub admin_api: AdminApi,
    /// Longest wait for a request, on idle connections too.
    pub read_timeout: Duration,
    /// Most connections at once.
    pub max_connections: usize,
    /// Pattern of the origins that browsers may call from.
    pub cors_origin: String,
    /// Longest time a query may take.
    pub query_timeout: PromDuration,
    /// Most queries at once.
    pub query_max_concurrency: usize,
    /// Most samples that a query may hold.
    pub query_max_samples: u64,
    /// Most bytes that the process should take; 0 for a part of the machine's.
    pub memory_limit: u64,
    /// Most bytes that a query may hold; 0 for a part of the next.
    pub query_max_memory: u64,
    /// Most bytes that all queries may hold; 0 for what the limit leaves.
    pub query_max_total_memory: u64,
    /// Most bytes of cached results; 0 for no cache.
    pub query_result_cache: u64,
    /// How old the newest sample of a series may be.
    pub lookback_delta: PromDuration,
    /// What is turned on beyond the defaults.
    pub features: Features,
    /// Which log lines are written.
    pub log_level: LogLevel,
    /// How they are written.
    pub log_format: LogFormat,
    /// All flags and their values, for the status page.
    pub flags: Vec<Flag>,
}

/// A command line that ends the program at once: wrong flags, `--help`, `--version`.
#[derive(Debug)]
pub struct Exit(clap::Error);

impl Exit {
    /// Prints what there is to say, to where it belongs, and gives the exit code: 0 or 2.
    #[must_use]
    pub fn print(&self) -> u8 {
        // Nobody can be told when the terminal is gone.
        let _unprinted = self.0.print();
        u8::try_from(self.0.exit_code()).unwrap_or(2)
    }

    /// What would be printed.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.render().to_string()
    }

    /// The exit code: 0 or 2.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.0.exit_code()
    }
}

impl Options {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// The command line is wrong, or asks for nothing but a text.
    pub fn parse<I>(arguments: I) -> Result<Self, Exit>
    where
        I: IntoIterator,
        I::Item: Into<OsString> + Clone,
    {
        let command = command();
        let matches = command
            .clone()
            .try_get_matches_from(arguments)
            .map_err(Exit)?;
        let reader = Reader { matches, command };
        reader.options().map_err(Exit)
    }
}

/// Reads values of known flags; every accessor names a row of the table.
struct Reader {
    matches: ArgMatches,
    command: Command,
}

impl Reader {
    fn options(&self) -> Result<Options, clap::Error> {
        let config_file = self.text("config.file").filter(|path| !path.is_empty());
        let receiver = self.switch("web.enable-remote-write-receiver");
        // The built-in configuration is there to try things out, so it takes what is sent.
        let receives = receiver.unwrap_or(config_file.is_none());
        let options = Options {
            listen_addresses: self.texts("web.listen-address"),
            storage_path: self.text("storage.tsdb.path").unwrap_or_default().into(),
            retention: match self.text("storage.tsdb.retention.time") {
                Some(_) => Some(self.duration("storage.tsdb.retention.time")?),
                None => None,
            },
            retention_size: self.size("storage.tsdb.retention.size")?,
            max_chunk_age: self.positive_duration("storage.max-chunk-age")?,
            wal_sync: match self.text("storage.wal-sync").as_deref() {
                Some("always") => WalSync::Always,
                Some("os") => WalSync::Os,
                _ => WalSync::Interval(Duration::from_secs(1)),
            },
            write_receiver: match receives {
                true => WriteReceiver::Enabled,
                false => WriteReceiver::Disabled,
            },
            lifecycle: match self.switch("web.enable-lifecycle") {
                Some(true) => Lifecycle::Enabled,
                _ => Lifecycle::Disabled,
            },
            admin_api: match self.switch("web.enable-admin-api") {
                Some(true) => AdminApi::Enabled,
                _ => AdminApi::Disabled,
            },
            read_timeout: self.duration("web.read-timeout")?.to_std(),
            max_connections: self.number("web.max-connections")?,
            cors_origin: self.pattern("web.cors.origin")?,
            query_timeout: self.duration("query.timeout")?,
            query_max_concurrency: self.number("query.max-concurrency")?,
            query_max_samples: self.number("query.max-samples")?,
            memory_limit: self.size("memory.limit")?,
            query_max_memory: self.size("query.max-memory-per-query")?,
            query_max_total_memory: self.size("query.max-total-memory")?,
            query_result_cache: self.size("query.result-cache-bytes")?,
            features: Features::parse(&self.texts("enable-feature")),
            lookback_delta: self.duration("query.lookback-delta")?,
            log_level: LogLevel::from_flag(&self.text("log.level").unwrap_or_default()),
            log_format: LogFormat::from_flag(&self.text("log.format").unwrap_or_default()),
            flags: self.all(receives),
            config_file: config_file.map(PathBuf::from),
        };
        Ok(options)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.matches.get_one::<String>(name).cloned()
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.matches
            .get_many::<String>(name)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    fn duration(&self, name: &str) -> Result<PromDuration, clap::Error> {
        let text = self.text(name).unwrap_or_default();
        PromDuration::parse(&text).map_err(|reason| self.wrong(name, &text, &reason))
    }

    fn positive_duration(&self, name: &str) -> Result<PromDuration, clap::Error> {
        let duration = self.duration(name)?;
        if duration > PromDuration::ZERO {
            return Ok(duration);
        }
        let text = self.text(name).unwrap_or_default();
        Err(self.wrong(name, &text, &"it must be longer than zero"))
    }

    fn number<T: std::str::FromStr<Err = std::num::ParseIntError>>(
        &self,
        name: &str,
    ) -> Result<T, clap::Error> {
        let text = self.text(name).unwrap_or_default();
        text.parse()
            .map_err(|reason| self.wrong(name, &text, &reason))
    }

    fn size(&self, name: &str) -> Result<u64, clap::Error> {
        let text = self.text(name).unwrap_or_default();
        config::parse_size(&text).map_err(|reason| self.wrong(name, &text, &reason))
    }

    fn pattern(&self, name: &str) -> Result<String, clap::Error> {
        let text = self.text(name).unwrap_or_default();
        match re2::Regex::new_anchored(&text) {
            Ok(_) => Ok(text),
            Err(reason) => Err(self.wrong(name, &text, &reason)),
        }
    }

    /// `Some` only when the command line has the switch, in either form.
    fn switch(&self, name: &str) -> Option<bool> {
        let given = |id: &str| {
            self.matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine)
        };
        match (given(name), given(&negated(name))) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    fn all(&self, receives: bool) -> Vec<Flag> {
        let value = |spec: &FlagSpec| match (spec.kind, spec.name) {
            (_, "web.enable-remote-write-receiver") => receives.to_string(),
            (FlagKind::Switch, name) => self.switch(name).unwrap_or(false).to_string(),
            (_, name) => self.texts(name).join(","),
        };
        let mut flags: Vec<Flag> = FLAGS
            .iter()
            .map(|spec| Flag {
                name: spec.name.to_owned(),
                value: value(spec),
            })
            .collect();
        flags.sort_by(|a, b| a.name.cmp(&b.name));
        flags
    }

    fn wrong(&self, name: &str, value: &str, reason: &dyn std::fmt::Display) -> clap::Error {
        self.command.clone().error(
            clap::error::ErrorKind::ValueValidation,
            format!("invalid value '{value}' for '--{name}': {reason}"),
        )
    }
}

fn negated(name: &str) -> String {
    format!("no-{name}")
}

/// The parser of the table's flags.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new("firewatch")
        .about(table::ABOUT)
        .after_help(table::EXAMPLES)
        .override_usage("firewatch [FLAGS]")
        .version(build::VERSION)
        .disable_version_flag(true)
        .disable_help_flag(true)
        .max_term_width(100)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .help("Print this text.")
                .action(ArgAction::Help),
        )
        .arg(
            Arg::new("version")
                .long("version")
                .help("Print the version.")
                .action(ArgAction::Version),
        );
    for spec in FLAGS {
        command = command.arg(argument(spec));
        if spec.kind == FlagKind::Switch {
            let name = negated(spec.name);
            let hidden = Arg::new(name.clone()).long(name).hide(true);
            let hidden = hidden.action(ArgAction::SetTrue).overrides_with(spec.name);
            command = command.arg(hidden);
        }
    }
    command
}

fn argument(spec: &FlagSpec) -> Arg {
    let argument = Arg::new(spec.name)
        .long(spec.name)
        .help(spec.help)
        .help_heading(spec.section);
    let argument = match spec.kind {
        FlagKind::Switch => {
            return argument
                .action(ArgAction::SetTrue)
                .overrides_with(negated(spec.name));
        }
        FlagKind::Choice(values) => argument
            .value_name(values.join("|"))
            .hide_possible_values(true)
            .value_parser(values.to_vec()),
        FlagKind::Repeated(placeholder) => {
            argument.value_name(placeholder).action(ArgAction::Append)
        }
        FlagKind::Value(placeholder) => argument.value_name(placeholder),
    };
    match spec.default {
        "" => argument,
        default => argument.default_value(default),
    }
}

#[cfg(test)]
mod tests;

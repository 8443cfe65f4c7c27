//! Log lines as upstream writes them: `time=… level=… source=… msg=… component=…` and the same as
//! JSON. One line an event, on standard error.

use std::fmt::{self, Write as _};

use base::SharedClock;
use model::Timestamp;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

/// Least important lines that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What changes.
    Info,
    /// What somebody should look at.
    Warn,
    /// What somebody has to act on.
    Error,
}

impl LogLevel {
    pub(crate) fn from_flag(text: &str) -> Self {
        match text {
            "debug" => Self::Debug,
            "warn" => Self::Warn,
            "error" => Self::Error,
            _ => Self::Info,
        }
    }

    const fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        }
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value`, quoted where needed.
    Logfmt,
    /// One object a line.
    Json,
}

impl LogFormat {
    pub(crate) fn from_flag(text: &str) -> Self {
        if text == "json" {
            Self::Json
        } else {
            Self::Logfmt
        }
    }
}

/// Crates whose lines are ours, and the component that each is to the reader.
const COMPONENTS: [(&str, &str); 9] = [
    ("server", "main"),
    ("api", "web"),
    ("scrape", "scrape manager"),
    ("remote", "remote"),
    ("promql", "query engine"),
    ("tsdb", "tsdb"),
    ("kv", "kv"),
    ("net", "http client"),
    ("base", "main"),
];

/// Starts to log. Lines of crates that are not ours are written from level warn on.
///
/// # Errors
/// Somebody else has started before.
pub(crate) fn start(
    level: LogLevel,
    format: LogFormat,
    clock: SharedClock,
) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    let ours = COMPONENTS.map(|(target, _)| (target, level.filter()));
    let others = level.filter().min(LevelFilter::WARN);
    let targets = Targets::new().with_targets(ours).with_default(others);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .event_format(LineFormat { format, clock });
    tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(targets).with(layer),
    )
}

struct LineFormat {
    format: LogFormat,
    clock: SharedClock,
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let head = head(self.clock.now(), event.metadata(), fields.message);
        writer.write_str(&line(self.format, head.into_iter().chain(fields.others)))
    }
}

type Pair = (&'static str, String);

/// What every line starts with.
fn head(now: Timestamp, metadata: &Metadata<'_>, message: String) -> Vec<Pair> {
    let level = match *metadata.level() {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    };
    let mut head = vec![("time", time(now)), ("level", level.to_owned())];
    if let Some(file) = metadata.file() {
        let name = file.rsplit('/').next().unwrap_or(file);
        head.push(("source", format!("{name}:{}", metadata.line().unwrap_or(0))));
    }
    head.push(("msg", message));
    let krate = metadata.target().split("::").next().unwrap_or_default();
    let component = COMPONENTS.iter().find(|(known, _)| *known == krate);
    let component = component.map_or(krate, |(_, component)| component);
    if component != "main" {
        head.push(("component", component.to_owned()));
    }
    head
}

/// RFC 3339 with milliseconds, always three digits.
fn time(now: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(now.as_millis()) {
        Ok(now) => format!("{now:.3}"),
        Err(_) => now.to_string(),
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<Pair>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            // Upstream's short name for it.
            "error" => self.others.push(("err", value)),
            name => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, base::report(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

fn line(format: LogFormat, pairs: impl Iterator<Item = Pair>) -> String {
    let mut out = String::with_capacity(160);
    match format {
        LogFormat::Logfmt => {
            for (index, (key, value)) in pairs.enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                let _infallible = match needs_quotes(&value) {
                    true => write!(out, "{key}={}", model::quote::quoted(&value)),
                    false => write!(out, "{key}={value}"),
                };
            }
        }
        LogFormat::Json => {
            for (index, (key, value)) in pairs.enumerate() {
                out.push(if index > 0 { ',' } else { '{' });
                let value = serde_json::Value::String(value);
                let _infallible = write!(out, "\"{key}\":{value}");
            }
            out.push('}');
        }
    }
    out.push('\n');
    out
}

/// As Go's `log/slog`: nothing, spaces, quotes, equal signs, and what is not printable.
fn needs_quotes(value: &str) -> bool {
    value.is_empty()
        || value
            .chars()
            .any(|c| c == ' ' || c == '"' || c == '=' || c.is_control())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use base::ManualClock;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_795_443_660_500)));
        let written = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || written.clone())
            .event_format(LineFormat { format, clock });
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        // Line numbers change with every edit above.
        let start = text.find("logging.rs:").unwrap() + "logging.rs:".len();
        let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
        format!("{}N{}", &text[..start], &text[start + digits..])
    }

    #[test]
    fn writes_lines_as_slog_does() {
        let cause = std::io::Error::other("disk \"full\"");
        let log = || {
            tracing::info!(path = "./data", empty = "", took = 5, "storage is open");
        };
        assert_eq!(
            logged(LogFormat::Logfmt, log),
            "time=2026-11-23T14:21:00.500Z level=INFO source=logging.rs:N msg=\"storage is open\" \
             path=./data empty=\"\" took=5\n"
        );
        assert_eq!(
            logged(LogFormat::Json, log),
            "{\"time\":\"2026-11-23T14:21:00.500Z\",\"level\":\"INFO\",\
             \"source\":\"logging.rs:N\",\"msg\":\"storage is open\",\"path\":\"./data\",\
             \"empty\":\"\",\"took\":\"5\"}\n"
        );
        let log = || {
            let error: &dyn std::error::Error = &cause;
            tracing::error!(target: "tsdb::commit", error, "failed");
        };
        assert_eq!(
            logged(LogFormat::Logfmt, log),
            "time=2026-11-23T14:21:00.500Z level=ERROR source=logging.rs:N msg=failed \
             component=tsdb err=\"disk \\\"full\\\"\"\n"
        );
    }
}

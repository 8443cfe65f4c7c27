//! `firewatch tsdb`: works on the folder of a server that does not run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use base::metrics::Registry;
use base::{SharedClock, SystemClock};
use clap::{Arg, ArgMatches, Command};
use tsdb::{Background, StoredSizes, Tsdb, TsdbError, TsdbOptions};

use crate::app::ENGINE_FOLDER;
use crate::verb;

/// The first argument that leads here.
pub(crate) const VERB: &str = "tsdb";

/// Why the folder is as it was, or nearly.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("there is no data in {0:?}")]
    NoData(PathBuf),
    #[error(transparent)]
    Storage(#[from] TsdbError),
    #[error("cannot look into {path:?}")]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Runs the command with the arguments behind the verb.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    verb::main(command(), arguments, |matches| {
        compacted(&folder_of(matches))
    })
}

fn command() -> Command {
    let compact = Command::new("compact")
        .about(
            "Makes stored data as small as it can be, now: what a running server does one day at a \
             time, hours after the day has ended.",
        )
        .arg(
            Arg::new("storage.tsdb.path")
                .long("storage.tsdb.path")
                .value_name("DIRECTORY")
                .default_value("data/")
                .help("Where data lies, as for the server, which must not be running."),
        );
    Command::new("firewatch tsdb")
        .about("Works on the data of a server that is not running.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(compact)
}

fn folder_of(matches: &ArgMatches) -> PathBuf {
    let path = matches
        .subcommand()
        .and_then(|(_, matches)| matches.get_one::<String>("storage.tsdb.path"));
    Path::new(path.map_or("data/", String::as_str)).join(ENGINE_FOLDER)
}

fn compacted(folder: &Path) -> Result<String, CommandError> {
    if !folder.join("CURRENT").is_file() {
        return Err(CommandError::NoData(folder.to_owned()));
    }
    let before = size_of_folder(folder)?;
    let options = TsdbOptions {
        retention: None,
        background: Background::Manual,
        ..TsdbOptions::new(folder.to_owned())
    };
    let clock: SharedClock = Arc::new(SystemClock);
    let tsdb = Tsdb::open(options, clock, &Registry::new())?;
    tsdb.compact()?;
    let sizes = tsdb.stored_sizes();
    tsdb.close()?;
    drop(tsdb);
    tsdb::remove_notes(folder).map_err(|source| CommandError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    Ok(report(before, size_of_folder(folder)?, sizes))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(before: u64, after: u64, sizes: StoredSizes) -> String {
    let StoredSizes {
        samples,
        chunk_bytes,
        timestamp_bytes,
        index_bytes,
    } = sizes;
    let rest = after.saturating_sub(chunk_bytes + timestamp_bytes + index_bytes);
    let line = |name: &str, bytes: u64| {
        let each = bytes as f64 / (samples as f64).max(1.0);
        format!("{name:<18} {bytes:>16} bytes {each:>10.4} per sample\n")
    };
    [
        format!("{:<18} {samples:>16}\n", "samples"),
        line("before", before),
        line("after", after),
        line("  values", chunk_bytes),
        line("  timestamps", timestamp_bytes),
        line("  index", index_bytes),
        line("  rest", rest),
    ]
    .concat()
}

/// Bytes of all files below a folder.
fn size_of_folder(path: &Path) -> Result<u64, CommandError> {
    let failed = |source| CommandError::Folder {
        path: path.to_owned(),
        source,
    };
    let mut bytes = 0;
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(failed)?;
        bytes += if metadata.is_dir() {
            size_of_folder(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use storage::{AppendPolicy, AppendRequest, Appender as _, Durability, Sample, SeriesKey};

    use super::*;

    fn run(folder: &Path) -> Result<String, String> {
        let path = format!("--storage.tsdb.path={}", folder.display());
        let matches = command()
            .try_get_matches_from(["tsdb", "compact", path.as_str()])
            .map_err(|error| error.to_string())?;
        compacted(&folder_of(&matches)).map_err(|error| base::report(&error))
    }

    fn open(folder: &Path) -> Tsdb {
        let options = TsdbOptions {
            retention: None,
            background: Background::Manual,
            ..TsdbOptions::new(folder.join(ENGINE_FOLDER))
        };
        Tsdb::open(options, Arc::new(SystemClock), &Registry::new()).unwrap()
    }

    #[test]
    fn folders_are_compacted_and_what_does_not_work_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let missing = run(folder.path()).unwrap_err();
        assert!(missing.starts_with("there is no data in "), "{missing}");
        let tsdb = open(folder.path());
        let labels = model::Labels::from_pairs([(model::METRIC_NAME, "m")]).unwrap();
        let mut request = AppendRequest::default();
        let samples = (0..3000_i32).map(|step| Sample {
            timestamp: model::Timestamp::from_millis(
                1_700_000_000_000 + i64::from(step) * 15_000 + i64::from(step % 4),
            ),
            value: f64::from(step * step % 100),
        });
        request.push(SeriesKey::Labels(&labels), samples);
        let appended = tsdb.append(&request, AppendPolicy::RollBack, Durability::Acknowledged);
        appended.unwrap().wait_blocking().unwrap();
        let locked = run(folder.path()).unwrap_err();
        assert!(locked.contains("is in use by a running server"), "{locked}");
        drop(tsdb);
        let text = run(folder.path()).unwrap();
        assert!(text.contains("3000\n"), "{text}");
        let tsdb = open(folder.path());
        assert_eq!(tsdb.stored_sizes().samples, 3000);
    }
}

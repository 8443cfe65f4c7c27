//! One run of the program: command line, log, runtime, signals, exit code.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use base::{SharedClock, SystemClock};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{App, StartError};
use crate::flags::Options;
use crate::{build, logging, query_command, tsdb_command};

/// Something failed.
const FAILED: u8 = 1;
/// Flags or configuration are wrong.
const WRONG_INPUT: u8 = 2;

/// Runs the program with these arguments, its name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_verb = |verb: &str| arguments.get(1).is_some_and(|argument| argument == verb);
    if is_verb(query_command::VERB) {
        return query_command::main(arguments.into_iter().skip(2));
    }
    if is_verb(tsdb_command::VERB) {
        return tsdb_command::main(arguments.into_iter().skip(2));
    }
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(exit) => return ExitCode::from(exit.print()),
    };
    let clock: SharedClock = Arc::new(SystemClock);
    // Only a second run in one process could fail here, and it would log as the first one does.
    let _already_logging =
        logging::start(options.log_level, options.log_format, Arc::clone(&clock));
    tracing::info!(version = build::VERSION, "Starting Firewatch");
    options.features.log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("runtime")
        .enable_all()
        .build()
        .map_err(StartError::Resources);
    let ended = runtime.and_then(|runtime| runtime.block_on(run(options, clock)));
    match ended {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(err = base::report(&error), "Firewatch did not start");
            ExitCode::from(match error {
                StartError::Config(_) => WRONG_INPUT,
                _ => FAILED,
            })
        }
    }
}

async fn run(options: Options, clock: SharedClock) -> Result<ExitCode, StartError> {
    // Signals count from here on; one that arrives during the start is obeyed after it.
    let mut signals = Signals::new().map_err(StartError::Resources)?;
    let mut app = App::new(options, clock).await?;
    let started = app.start().await;
    if started.is_ok() {
        obey(&app, &mut signals).await;
    }
    let stopped = app.stop().await;
    started?;
    Ok(match stopped {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(err = base::report(&error), "Storage did not close cleanly");
            ExitCode::from(FAILED)
        }
    })
}

/// Reloads as often as asked to, and returns when asked to stop.
async fn obey(app: &App, signals: &mut Signals) {
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                // The outcome is logged and shown in the metrics.
                let _logged = app.reload().await;
            }
            _ = signals.terminate.recv() => {
                tracing::warn!(signal = "terminated", "Received an OS signal, exiting gracefully...");
                return;
            }
            _ = signals.interrupt.recv() => {
                tracing::warn!(signal = "interrupt", "Received an OS signal, exiting gracefully...");
                return;
            }
            () = app.quit_requested() => return,
        }
    }
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

//! The firewatch binary from start to stop: flags, logs, and the wiring of all parts. Start reading
//! in [`app`].
//!
//! Exit codes as upstream's: 0 after a clean stop, 1 when something failed, 2 for wrong flags and
//! for a configuration that cannot be loaded at start.

pub mod app;
mod build;
mod control;
mod features;
pub mod flags;
mod host;
mod logging;
mod memory;
mod process;
mod query_command;
mod reload;
mod retention;
mod run;
mod scraping;
mod tsdb_command;
mod verb;
mod web;

pub use app::{App, StartError, StopError};
pub use features::Features;
pub use flags::Options;
pub use reload::ApplyError;
pub use run::main;

//! Runner of PromQL test scripts: `load` series, `eval` queries, compare with what the script
//! expects. The language is that of upstream's `promql/promqltest`, so that its scripts run as they
//! are; parser and runner are our own. Never panics on a script, and never lets a case pass whose
//! data or notation it does not know in full: such a case is unsupported, which counts as failed.

mod compare;
mod load;
mod pinned;
mod report;
mod run;
mod script;
mod storage;

pub use report::{CaseResult, Failure, Outcome, ScriptReport};
pub use run::{RunOptions, engine_options, run_script};
pub use script::{
    Command, Eval, EvalTime, Expectation, Load, ResultLine, Script, ScriptError, ScriptErrorKind,
    TextPattern,
};
pub use storage::{MemoryScriptStorage, ScriptStorage, ScriptStorageError};

#[cfg(test)]
mod tests;

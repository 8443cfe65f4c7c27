//! What became of a script: one result for each case.

use std::fmt;

/// What became of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptReport {
    /// One result for each `eval`, and one for each command that does not parse.
    pub cases: Vec<CaseResult>,
}

impl ScriptReport {
    /// How many cases passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.cases
            .iter()
            .filter(|case| case.outcome == Outcome::Passed)
            .count()
    }

    /// How many cases there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.cases.len()
    }

    /// The cases that did not pass.
    pub fn failures(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases
            .iter()
            .filter(|case| case.outcome != Outcome::Passed)
    }
}

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// Line of its command, from 1.
    pub line: usize,
    /// The query; empty for a command that does not parse.
    pub query: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was as expected.
    Passed,
    /// Something was not.
    Failed(Failure),
    /// The case needs what the runner or the engine's storage does not have. Counts as failed.
    Unsupported(String),
}

/// What was not as expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// In which form the query was run: as written, pinned with `@`, or as a range.
    pub variant: String,
    /// What is wrong.
    pub reason: String,
    /// What the script expects.
    pub expected: String,
    /// What came out.
    pub got: String,
}

impl fmt::Display for CaseResult {
    /// Several lines, the first one with line number and query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.query)?;
        match &self.outcome {
            Outcome::Passed => write!(f, "\n  passed"),
            Outcome::Unsupported(reason) => write!(f, "\n  unsupported: {reason}"),
            Outcome::Failed(failure) => write!(f, "\n{failure}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}: {}", self.variant, self.reason)?;
        for (title, text) in [("expected", &self.expected), ("got", &self.got)] {
            if !text.is_empty() {
                write!(f, "\n  {title}:")?;
                for line in text.lines() {
                    write!(f, "\n    {line}")?;
                }
            }
        }
        Ok(())
    }
}

//! The script language: one command per block of lines, blocks end at an empty line.
//!
//! ```text
//! load 1m
//!   requests_total{job="a"}  0+10x5
//!
//! eval instant at 5m rate(requests_total[5m])
//!   expect no_warn
//!   {job="a"} 0.16666
//! ```

mod eval;

use model::PromDuration;

pub use eval::{Eval, EvalTime, Expectation, ResultLine, TextPattern};

/// A script: its commands in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// The commands; one that does not parse stands as its error, those after it still run.
    pub commands: Vec<Result<Command, ScriptError>>,
}

/// A command of a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Removes all series.
    Clear,
    /// Stores series.
    Load(Load),
    /// Evaluates a query and compares.
    Eval(Eval),
}

/// A `load` command.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Line of the command, from 1.
    pub line: usize,
    /// Time between two samples of a series; the first one is at the epoch.
    pub interval: PromDuration,
    /// Whether classic histograms also become native ones with custom buckets.
    pub with_native_histograms: bool,
    /// The series, each with its line.
    pub series: Vec<(usize, String)>,
}

/// Why a line is no part of a script.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub kind: ScriptErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptErrorKind {
    /// The first word names no command.
    #[error("invalid command {0:?}")]
    UnknownCommand(String),
    /// A word is missing at the end of the line.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A word stands where another one must.
    #[error("want {want:?}, got {got:?}")]
    UnexpectedWord {
        /// The keyword of the language.
        want: &'static str,
        /// What the script has.
        got: String,
    },
    /// A time or duration does not parse.
    #[error("invalid {what} {text:?}: {reason}")]
    InvalidTime {
        /// Which one.
        what: &'static str,
        /// What the script has.
        text: String,
        /// Why it is none.
        reason: String,
    },
    /// An `expect` line is unknown.
    #[error("invalid expectation {0:?}")]
    UnknownExpectation(String),
    /// Expectations exclude each other.
    #[error("{0} cannot be combined with {1}")]
    Conflict(&'static str, &'static str),
    /// A pattern does not compile.
    #[error("invalid pattern {pattern:?}: {reason}")]
    InvalidPattern {
        /// The pattern.
        pattern: String,
        /// Why it is none.
        reason: String,
    },
    /// A text is not quoted as the language wants it.
    #[error("invalid string literal {0}")]
    InvalidString(String),
}

impl Script {
    /// Parses a script.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().map(clean).collect();
        let mut commands = Vec::new();
        let mut position = 0;
        while position < lines.len() {
            if lines[position].is_empty() {
                position += 1;
                continue;
            }
            let length = lines[position..]
                .iter()
                .take_while(|line| !line.is_empty())
                .count();
            parse_block(
                &lines[position..position + length],
                position + 1,
                &mut commands,
            );
            position += length;
        }
        Self { commands }
    }
}

/// A line without surrounding space; empty for a comment, which ends a block as an empty line does.
fn clean(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') { "" } else { line }
}

/// A line of a block and its number.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    number: usize,
    text: &'a str,
}

impl Line<'_> {
    fn error(&self, kind: ScriptErrorKind) -> ScriptError {
        ScriptError {
            line: self.number,
            kind,
        }
    }
}

/// Parses lines up to the next empty one. `clear` takes no further lines, so commands may follow it
/// at once.
fn parse_block(
    block: &[&str],
    first_line: usize,
    commands: &mut Vec<Result<Command, ScriptError>>,
) {
    let lines: Vec<Line<'_>> = (first_line..)
        .zip(block)
        .map(|(number, text)| Line { number, text })
        .collect();
    let mut rest = lines.as_slice();
    while let Some((head, body)) = rest.split_first() {
        let (word, arguments) = split_word(head.text);
        let keyword = word.to_ascii_lowercase();
        rest = &[];
        let command = match keyword
            .split_once('_')
            .map_or(keyword.as_str(), |(name, _)| name)
        {
            "clear" => {
                rest = body;
                Ok(Command::Clear)
            }
            "load" => parse_load(*head, (&keyword, arguments), body).map(Command::Load),
            "eval" => eval::parse(*head, (&keyword, arguments), body).map(Command::Eval),
            _ => Err(head.error(ScriptErrorKind::UnknownCommand(head.text.to_owned()))),
        };
        commands.push(command);
    }
}

fn parse_load(
    head: Line<'_>,
    (keyword, arguments): (&str, &str),
    body: &[Line<'_>],
) -> Result<Load, ScriptError> {
    let with_native_histograms = match keyword {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(head.error(ScriptErrorKind::UnknownCommand(keyword.to_owned()))),
    };
    if arguments.is_empty() {
        return Err(head.error(ScriptErrorKind::Missing("interval")));
    }
    Ok(Load {
        line: head.number,
        interval: parse_duration(head, "interval", arguments)?,
        with_native_histograms,
        series: body
            .iter()
            .map(|line| (line.number, line.text.to_owned()))
            .collect(),
    })
}

/// Parses `1h30m`, with a sign if need be.
fn parse_duration(
    line: Line<'_>,
    what: &'static str,
    text: &str,
) -> Result<PromDuration, ScriptError> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text),
    };
    match PromDuration::parse(unsigned) {
        // A parsed duration is not negative, so its negation fits.
        Ok(duration) if negative => Ok(PromDuration::from_millis(-duration.as_millis())),
        Ok(duration) => Ok(duration),
        Err(reason) => Err(line.error(ScriptErrorKind::InvalidTime {
            what,
            text: text.to_owned(),
            reason: reason.to_string(),
        })),
    }
}

/// The first word and what follows it, without the space between.
fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

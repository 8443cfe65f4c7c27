//! The `eval` command: a query, when to evaluate it, and what must come out.

use model::{PromDuration, Timestamp};
use promql_syntax::ParserOptions;
use promql_syntax::ast::Expr;

use super::{Line, ScriptError, ScriptErrorKind, parse_duration, split_word};

/// An `eval` command.
#[derive(Clone, Debug, PartialEq)]
pub struct Eval {
    /// Line of the command, from 1.
    pub line: usize,
    /// The query.
    pub query: String,
    /// When it is evaluated.
    pub time: EvalTime,
    /// What must hold beside the value.
    pub expectation: Expectation,
    /// The value.
    pub results: Vec<ResultLine>,
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalTime {
    /// Once.
    Instant(Timestamp),
    /// At each step.
    Range {
        /// First step.
        start: Timestamp,
        /// No step lies behind it.
        end: Timestamp,
        /// Distance of the steps.
        step: PromDuration,
    },
}

/// What must hold beside the value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectation {
    /// The query must fail, with an error that passes all of these.
    pub fail: Option<Vec<TextPattern>>,
    /// There must be warnings; with patterns, exactly those that they describe.
    pub warn: Option<Vec<TextPattern>>,
    /// As `warn`, for infos.
    pub info: Option<Vec<TextPattern>>,
    /// There must be no warning.
    pub no_warn: bool,
    /// There must be no info.
    pub no_info: bool,
    /// The series must come in the order of the lines.
    pub ordered: bool,
    /// The value is a text.
    pub string: Option<String>,
    /// The value is a range vector, the lines being its points: first, last and distance.
    pub range_vector: Option<(Timestamp, Timestamp, PromDuration)>,
}

/// A condition on a message.
#[derive(Clone, Debug)]
pub enum TextPattern {
    /// It is this text.
    Exact(String),
    /// The pattern is found in it.
    Regex(re2::Regex),
}

impl TextPattern {
    /// Whether `message` passes.
    #[must_use]
    pub fn matches(&self, message: &str) -> bool {
        match self {
            Self::Exact(text) => message == text,
            Self::Regex(regex) => regex.is_match(message),
        }
    }

    /// The text or pattern as the script has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(text) => text,
            Self::Regex(regex) => regex.as_str(),
        }
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && self.as_str() == other.as_str()
    }
}

/// A line of the expected value.
#[derive(Clone, Debug, PartialEq)]
pub enum ResultLine {
    /// A bare number: the result is a scalar.
    Scalar(f64),
    /// A series with its values, and its line.
    Series(usize, String),
}

/// Parses `eval…`, its header in words and the lines below it.
pub(super) fn parse(
    head: Line<'_>,
    (keyword, arguments): (&str, &str),
    body: &[Line<'_>],
) -> Result<Eval, ScriptError> {
    let mut expectation = Expectation::default();
    match keyword {
        "eval" => {}
        "eval_fail" => expectation.fail = Some(Vec::new()),
        "eval_warn" => expectation.warn = Some(Vec::new()),
        "eval_info" => expectation.info = Some(Vec::new()),
        "eval_ordered" => expectation.ordered = true,
        _ => return Err(head.error(ScriptErrorKind::UnknownCommand(keyword.to_owned()))),
    }
    let (time, query) = parse_header(head, arguments)?;
    if query.is_empty() {
        return Err(head.error(ScriptErrorKind::Missing("expression")));
    }
    let mut results = Vec::new();
    for line in body {
        match split_word(line.text) {
            ("expect", rest) => expectation.parse(*line, rest)?,
            ("expected_fail_message", text) => {
                expectation
                    .fail
                    .get_or_insert_default()
                    .push(TextPattern::Exact(text.to_owned()));
            }
            ("expected_fail_regexp", text) => {
                expectation
                    .fail
                    .get_or_insert_default()
                    .push(regex(*line, text)?);
            }
            _ => results.push(parse_result(*line)),
        }
    }
    expectation.check(head)?;
    Ok(Eval {
        line: head.number,
        query: query.to_owned(),
        time,
        expectation,
        results,
    })
}

fn parse_header<'a>(
    head: Line<'a>,
    arguments: &'a str,
) -> Result<(EvalTime, &'a str), ScriptError> {
    match split_word(arguments) {
        ("instant", rest) => {
            let ("at", rest) = split_word(rest) else {
                return Ok((EvalTime::Instant(Timestamp::EPOCH), rest));
            };
            let (at, query) = split_word(rest);
            Ok((
                EvalTime::Instant(parse_time(head, "evaluation time", at)?),
                query,
            ))
        }
        ("range", rest) => {
            let (start, end, step, query) = parse_grid(head, rest)?;
            Ok((EvalTime::Range { start, end, step }, query))
        }
        (got, _) => Err(unexpected(head, "instant", got)),
    }
}

/// Parses `from A to B step C`, and returns what follows.
fn parse_grid<'a>(
    line: Line<'a>,
    text: &'a str,
) -> Result<(Timestamp, Timestamp, PromDuration, &'a str), ScriptError> {
    let (start, rest) = keyword_and_word(line, "from", text)?;
    let (end, rest) = keyword_and_word(line, "to", rest)?;
    let (step_text, rest) = keyword_and_word(line, "step", rest)?;
    let step = parse_duration(line, "step", step_text)?;
    if step <= PromDuration::ZERO {
        return Err(line.error(ScriptErrorKind::InvalidTime {
            what: "step",
            text: step_text.to_owned(),
            reason: "must be positive".to_owned(),
        }));
    }
    let start = parse_time(line, "start of range", start)?;
    let end = parse_time(line, "end of range", end)?;
    if end < start {
        return Err(line.error(ScriptErrorKind::InvalidTime {
            what: "end of range",
            text: end.to_string(),
            reason: "lies before its start".to_owned(),
        }));
    }
    Ok((start, end, step, rest))
}

fn keyword_and_word<'a>(
    line: Line<'a>,
    want: &'static str,
    text: &'a str,
) -> Result<(&'a str, &'a str), ScriptError> {
    let (keyword, rest) = split_word(text);
    if keyword != want {
        return Err(unexpected(line, want, keyword));
    }
    Ok(split_word(rest))
}

fn unexpected(line: Line<'_>, want: &'static str, got: &str) -> ScriptError {
    line.error(ScriptErrorKind::UnexpectedWord {
        want,
        got: got.to_owned(),
    })
}

fn parse_time(line: Line<'_>, what: &'static str, text: &str) -> Result<Timestamp, ScriptError> {
    parse_duration(line, what, text).map(|since| Timestamp::EPOCH.saturating_add(since))
}

fn parse_result(line: Line<'_>) -> ResultLine {
    match model::number::parse_float(line.text) {
        Some(value) => ResultLine::Scalar(value),
        None => ResultLine::Series(line.number, line.text.to_owned()),
    }
}

fn regex(line: Line<'_>, pattern: &str) -> Result<TextPattern, ScriptError> {
    re2::Regex::new(pattern)
        .map(TextPattern::Regex)
        .map_err(|error| {
            line.error(ScriptErrorKind::InvalidPattern {
                pattern: pattern.to_owned(),
                reason: error.to_string(),
            })
        })
}

impl Expectation {
    /// Parses what follows the word `expect`.
    fn parse(&mut self, line: Line<'_>, text: &str) -> Result<(), ScriptError> {
        let (kind, rest) = split_word(text);
        match (kind, rest) {
            ("ordered", "") => self.ordered = true,
            ("no_warn", "") => self.no_warn = true,
            ("no_info", "") => self.no_info = true,
            ("fail", rest) => add_pattern(&mut self.fail, line, rest)?,
            ("warn", rest) => add_pattern(&mut self.warn, line, rest)?,
            ("info", rest) => add_pattern(&mut self.info, line, rest)?,
            ("string", literal) => self.string = Some(unquote(line, literal)?),
            ("range", rest) => {
                let ("vector", rest) = split_word(rest) else {
                    return Err(unexpected(line, "vector", split_word(rest).0));
                };
                let (start, end, step, behind) = parse_grid(line, rest)?;
                if !behind.is_empty() {
                    return Err(unknown_expectation(line));
                }
                self.range_vector = Some((start, end, step));
            }
            _ => return Err(unknown_expectation(line)),
        }
        Ok(())
    }

    fn check(&self, head: Line<'_>) -> Result<(), ScriptError> {
        let conflicts = [
            (
                self.warn.is_some() && self.no_warn,
                "expect warn",
                "expect no_warn",
            ),
            (
                self.info.is_some() && self.no_info,
                "expect info",
                "expect no_info",
            ),
            (
                self.fail.is_some() && self.ordered,
                "expect fail",
                "expect ordered",
            ),
            (
                self.fail.is_some() && self.string.is_some(),
                "expect fail",
                "expect string",
            ),
            (
                self.string.is_some() && self.range_vector.is_some(),
                "expect string",
                "expect range vector",
            ),
        ];
        match conflicts.into_iter().find(|(conflict, ..)| *conflict) {
            None => Ok(()),
            Some((_, one, other)) => Err(head.error(ScriptErrorKind::Conflict(one, other))),
        }
    }
}

/// Parses nothing, `msg: TEXT` or `regex: PATTERN`.
fn add_pattern(
    patterns: &mut Option<Vec<TextPattern>>,
    line: Line<'_>,
    text: &str,
) -> Result<(), ScriptError> {
    let pattern = if text.is_empty() {
        None
    } else if let Some(message) = text.strip_prefix("msg:") {
        Some(TextPattern::Exact(message.trim().to_owned()))
    } else if let Some(pattern) = text.strip_prefix("regex:") {
        Some(regex(line, pattern.trim())?)
    } else {
        return Err(unknown_expectation(line));
    };
    patterns.get_or_insert_default().extend(pattern);
    Ok(())
}

fn unknown_expectation(line: Line<'_>) -> ScriptError {
    line.error(ScriptErrorKind::UnknownExpectation(line.text.to_owned()))
}

/// Reads a string literal of the query language.
fn unquote(line: Line<'_>, literal: &str) -> Result<String, ScriptError> {
    match promql_syntax::parse_expr(literal, &ParserOptions::default()) {
        Ok(Expr::String(string)) => Ok(string.value),
        _ => Err(line.error(ScriptErrorKind::InvalidString(literal.to_owned()))),
    }
}

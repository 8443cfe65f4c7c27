//! PromQL parser: lexer, syntax tree with positions, type check, printer.
//!
//! Texts, positions and printed forms are those of Prometheus 3. No input makes it panic, and no
//! input makes it build a tree that is too deep to be walked by recursion: long chains of operators
//! are deep on their left sides only, where walking is a loop.

pub mod ast;
mod check;
mod error;
pub mod functions;
mod lexer;
mod options;
mod parser;
mod pretty;
mod printer;
mod series;
mod token;
mod unquote;

use model::{Labels, Matcher};

pub use ast::Expr;
pub use error::{ParseError, ParseErrors, line_and_column};
pub use options::{DEFAULT_MAX_CHAIN, DEFAULT_MAX_DEPTH, ParserOptions};
pub use parser::SeriesDescription;
pub use pretty::prettify;
pub use series::SequenceValue;

use lexer::Language;
use parser::{Abort, Parser};

/// Parses and checks an expression.
///
/// # Errors
/// The text is no PromQL, or its parts do not fit together. The type check runs only on what was
/// parsed without errors.
pub fn parse_expr(query: &str, options: &ParserOptions) -> Result<Expr, ParseErrors> {
    let mut expr = run(query, options, Language::Query, Parser::parse_query)?;
    match ParseErrors::new(query, check::check(&mut expr, query)) {
        None => Ok(expr),
        Some(errors) => Err(errors),
    }
}

/// Parses a vector selector without modifiers, as `match[]` has it, into its matchers.
///
/// A selector that matches everything is accepted: callers that must refuse it use
/// [`has_non_empty_matcher`].
///
/// # Errors
/// The text is no selector.
pub fn parse_metric_selector(selector: &str) -> Result<Vec<Matcher>, ParseErrors> {
    let options = ParserOptions::default();
    run(
        selector,
        &options,
        Language::Query,
        Parser::parse_lone_selector,
    )
    .map(|selector| selector.matchers)
}

/// Whether at least one matcher refuses series that lack its label. Without one the API answers
/// `match[] must contain at least one non-empty matcher`.
#[must_use]
pub fn has_non_empty_matcher(matchers: &[Matcher]) -> bool {
    matchers.iter().any(|matcher| !matcher.matches_empty())
}

/// Parses a metric: `name{label="value"}`, either part alone, or nothing at all.
///
/// # Errors
/// The text is no metric, or a label occurs twice.
pub fn parse_metric(metric: &str) -> Result<Labels, ParseErrors> {
    run(
        metric,
        &ParserOptions::default(),
        Language::Query,
        Parser::parse_lone_metric,
    )
}

/// Parses a series of a unit test or test script: a metric, then values such as
/// `1 2+3x4 _x5 stale {{count:6}}`. A repetition `axn` stands for `n + 1` values, `_xn` for `n`.
/// Durations are numbers of seconds.
///
/// # Errors
/// The text is no series description, or has more than ten million values.
pub fn parse_series_description(description: &str) -> Result<SeriesDescription, ParseErrors> {
    run(
        description,
        &ParserOptions::default(),
        Language::SeriesDescription,
        Parser::parse_series_description,
    )
}

/// Runs one of the parser's entry points.
fn run<'a, T>(
    input: &'a str,
    options: &'a ParserOptions,
    language: Language,
    parse: impl FnOnce(&mut Parser<'a>) -> Result<T, Abort>,
) -> Result<T, ParseErrors> {
    let mut parser = Parser::new(input, options, language);
    let result = parse(&mut parser);
    let errors = ParseErrors::new(input, parser.into_errors());
    match (result, errors) {
        (_, Some(errors)) => Err(errors),
        (Ok(value), None) => Ok(value),
        (Err(Abort), None) => Err(ParseErrors::unexplained(input)),
    }
}

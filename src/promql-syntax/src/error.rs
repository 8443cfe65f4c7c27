//! Parse errors with their place in the query.

use std::fmt;

use crate::ast::PosRange;

/// One thing that is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Where in the query, in bytes.
    pub pos: PosRange,
    /// What is wrong, in upstream's words.
    pub message: String,
}

/// Everything that was found wrong with a query; never empty.
///
/// Displays the first one as `line:column: parse error: message`, as upstream does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors {
    query: String,
    first: ParseError,
    others: Vec<ParseError>,
}

impl ParseErrors {
    /// Gathers the errors of `query`; `None` when there are none.
    pub(crate) fn new(query: &str, errors: Vec<ParseError>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let first = errors.next()?;
        Some(Self {
            query: query.to_owned(),
            first,
            others: errors.collect(),
        })
    }

    /// Stands in for a failure that recorded no error. The parser records one before it gives up,
    /// so nobody should see it.
    pub(crate) fn unexplained(query: &str) -> Self {
        let first = ParseError {
            pos: PosRange::default(),
            message: "unexpected error".to_owned(),
        };
        Self {
            query: query.to_owned(),
            first,
            others: Vec::new(),
        }
    }

    /// The errors in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &ParseError> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The error that is displayed.
    #[must_use]
    pub fn first(&self) -> &ParseError {
        &self.first
    }

    /// The query that was parsed.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Formats one of the errors as the whole is formatted.
    #[must_use]
    pub fn describe(&self, error: &ParseError) -> String {
        format!(
            "{}: parse error: {}",
            line_and_column(&self.query, error.pos.start),
            error.message
        )
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(&self.first))
    }
}

impl std::error::Error for ParseErrors {}

/// Line and column of a byte offset, both from 1; columns count bytes. Source: upstream
/// `posrange.StartPosInput`.
#[must_use]
pub fn line_and_column(query: &str, offset: usize) -> String {
    if query.is_empty() {
        return "unknown position".to_owned();
    }
    let Some(before) = query.as_bytes().get(..offset) else {
        return "invalid position".to_owned();
    };
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count()
        + 1;
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_bytes() {
        for (query, offset, want) in [
            ("", 0, "unknown position"),
            ("a", 0, "1:1"),
            ("a", 1, "1:2"),
            ("a", 2, "invalid position"),
            ("ä+b", 3, "1:4"),
            ("a\nbc\n", 4, "2:3"),
            ("a\nbc\n", 5, "3:1"),
        ] {
            assert_eq!(line_and_column(query, offset), want, "{query:?} {offset}");
        }
    }
}

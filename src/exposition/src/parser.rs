//! One parser for every format.

use crate::entry::Entry;
use crate::error::ParseError;
use crate::format::Format;
use crate::open_metrics::OpenMetricsParser;
use crate::text::TextParser;

/// Walks over the lines of an exposition; ends after the first error.
#[derive(Clone, Debug)]
pub enum Parser<'a> {
    /// Of the text format.
    Text(TextParser<'a>),
    /// Of OpenMetrics.
    OpenMetrics(OpenMetricsParser<'a>),
}

impl<'a> Parser<'a> {
    /// Starts at the first line of `input`.
    #[must_use]
    pub fn new(format: Format, input: &'a [u8]) -> Self {
        match format {
            Format::Text004 | Format::Text100 => Self::Text(TextParser::new(input)),
            Format::OpenMetrics001 | Format::OpenMetrics100 => {
                Self::OpenMetrics(OpenMetricsParser::new(input))
            }
        }
    }

    /// The next entry, where `expected` is a guess: see [`TextParser::next_expecting`].
    pub fn next_expecting(&mut self, expected: &[u8]) -> Option<Result<Entry<'a>, ParseError>> {
        match self {
            Self::Text(parser) => parser.next_expecting(expected),
            Self::OpenMetrics(parser) => parser.next_expecting(expected),
        }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_expecting(&[])
    }
}

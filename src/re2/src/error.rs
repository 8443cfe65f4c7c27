//! Parse errors in the words of Go's `regexp/syntax` package.
//!
//! The texts are part of the product: they reach users through query errors and configuration
//! checks, and dashboards compare them.

use std::fmt;

/// What is wrong with an expression.
///
/// The set is the one of Go's `syntax.ErrorCode`. Go itself never reports
/// [`ErrorKind::InvalidCharClass`]; it is here so that the list is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The engine refused a program that the parser had accepted.
    Internal,
    /// Defined by Go, never reported.
    InvalidCharClass,
    /// A range such as `[b-a]`, or an unknown class name.
    InvalidCharRange,
    /// An unknown escape such as `\8` or `\Z`.
    InvalidEscape,
    /// A group name that is empty, unclosed or not made of word characters.
    InvalidNamedCapture,
    /// An unknown construct after `(?`.
    InvalidPerlOp,
    /// Two repetition operators in a row.
    InvalidRepeatOp,
    /// A counted repetition above 1000, on its own or as a product, or with its bounds swapped.
    InvalidRepeatSize,
    /// The expression is not UTF-8.
    InvalidUtf8,
    /// A character class without its end.
    MissingBracket,
    /// A group without its end.
    MissingParen,
    /// A repetition operator with nothing to repeat.
    MissingRepeatArgument,
    /// The expression ends in a single backslash.
    TrailingBackslash,
    /// A `)` without its start.
    UnexpectedParen,
    /// The syntax tree is more than 1000 levels high.
    NestingDepth,
    /// The compiled program would be too big.
    Large,
}

impl ErrorKind {
    /// Returns Go's text for this kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "regexp/syntax: internal error",
            Self::InvalidCharClass => "invalid character class",
            Self::InvalidCharRange => "invalid character class range",
            Self::InvalidEscape => "invalid escape sequence",
            Self::InvalidNamedCapture => "invalid named capture",
            Self::InvalidPerlOp => "invalid or unsupported Perl syntax",
            Self::InvalidRepeatOp => "invalid nested repetition operator",
            Self::InvalidRepeatSize => "invalid repeat count",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
            Self::NestingDepth => "expression nests too deeply",
            Self::Large => "expression too large",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An expression that does not compile, with the part of it that is at fault.
///
/// ```
/// let error = re2::Regex::new("(a").unwrap_err();
/// assert_eq!(error.to_string(), "error parsing regexp: missing closing ): `(a`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {kind}: `{expression}`")]
pub struct Error {
    kind: ErrorKind,
    expression: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, expression: &str) -> Self {
        Self {
            kind,
            expression: expression.to_owned(),
        }
    }

    /// Returns what is wrong.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the part of the expression at fault, as Go quotes it.
    pub fn expression(&self) -> &str {
        &self.expression
    }
}

//! Why an exposition does not parse, in upstream's wording.

use std::fmt;

use model::LabelError;

use crate::lexer::Token;

/// Longest part of the input that an error quotes, in bytes: a line may be as long as a body.
const MAX_EXCERPT_BYTES: usize = 2048;

/// Why an exposition does not parse. Source of the texts: upstream `model/textparse`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Something else was expected at this place.
    #[error("{expected}, got {got} ({token:?}) while parsing: {context}", token = token.name())]
    Unexpected {
        /// What was expected.
        expected: &'static str,
        /// The token that stands there.
        token: Token,
        /// Its text and the byte after it.
        got: Excerpt,
        /// The line up to there.
        context: Excerpt,
    },
    /// A value or timestamp is no number.
    #[error("{reason} while parsing: {context}")]
    Number {
        /// What is wrong with it.
        reason: NumberError,
        /// The line up to there.
        context: Excerpt,
    },
    /// A label set has two metric names.
    #[error("metric name already set while parsing: {0}")]
    MetricNameTwice(Excerpt),
    /// A label set has no metric name.
    #[error("metric name not set while parsing: {0}")]
    MetricNameMissing(Excerpt),
    /// A label value is not UTF-8.
    #[error("invalid UTF-8 label value: {0}")]
    LabelValueNotUtf8(Excerpt),
    /// A metric or label name is not UTF-8.
    #[error("invalid UTF-8 name: {0}")]
    NameNotUtf8(Excerpt),
    /// A help text is not UTF-8.
    #[error("help text {0} is not a valid utf8 string")]
    HelpNotUtf8(Excerpt),
    /// The kind after `# TYPE` is not one of the format's.
    #[error("invalid metric type {0}")]
    UnknownKind(Excerpt),
    /// The text of a metadata line is missing.
    #[error("expected text in {0}, got INVALID")]
    NoText(&'static str),
    /// The unit of a metric is not part of its name.
    #[error("unit {unit} not a suffix of metric {name}")]
    UnitNotSuffix {
        /// The unit.
        unit: Excerpt,
        /// The metric.
        name: Excerpt,
    },
    /// A timestamp is no point in time.
    #[error("invalid timestamp {0}")]
    InvalidTimestamp(Excerpt),
    /// The exposition was cut off.
    #[error("data does not end with # EOF")]
    NoEof,
    /// Something follows the end mark.
    #[error("unexpected data after # EOF")]
    DataAfterEof,
    /// The labels form no set.
    #[error(transparent)]
    Labels(#[from] LabelError),
}

/// Why a text is no number. Source of the texts: Go's `strconv`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// Digit separators and hexadecimal floats are not part of the format.
    #[error("unsupported character in float")]
    UnsupportedCharacter,
    /// Not a float.
    #[error("strconv.ParseFloat: parsing {0}: invalid syntax")]
    FloatSyntax(Excerpt),
    /// A float that only infinity could stand for.
    #[error("strconv.ParseFloat: parsing {0}: value out of range")]
    FloatRange(Excerpt),
    /// A timestamp beyond 64 bits.
    #[error("strconv.ParseInt: parsing {0}: value out of range")]
    IntegerRange(Excerpt),
}

/// A part of the input, shown as Go's `%q` does. Long parts are cut.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt(Box<[u8]>);

impl Excerpt {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(Box::from(&bytes[..bytes.len().min(MAX_EXCERPT_BYTES)]))
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            let quoted = model::quote::quoted(chunk.valid()).to_string();
            f.write_str(&quoted[1..quoted.len() - 1])?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_char('"')
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

//! Text exposition formats: what targets serve is parsed, what this server serves is written.
//! Works on bytes in memory: no I/O, no clock, and no opinion on what happens to a sample.

pub mod entry;
pub mod error;
pub mod format;
mod lexer;
pub mod open_metrics;
pub mod parser;
pub mod series;
pub mod text;
mod value;
pub mod write;

pub use entry::{Entry, ExemplarLine, MetricKind, SeriesLine};
pub use error::ParseError;
pub use format::{ContentTypeError, Format};
pub use open_metrics::OpenMetricsParser;
pub use parser::Parser;
pub use series::{parse_exemplar_labels, parse_series};
pub use text::TextParser;
pub use write::TextWriter;

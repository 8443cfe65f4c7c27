//! Exemplars: single observations that stand for the samples of a series, such as one request with
//! its trace.

use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// Most characters in names and values of an exemplar's labels together. Source: OpenMetrics 1.0;
/// upstream `ExemplarMaxLabelSetLength`.
pub const MAX_EXEMPLAR_LABEL_CHARS: usize = 128;

/// An exemplar.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// What it is of: a trace, mostly.
    pub labels: Labels,
    /// What was observed.
    pub value: f64,
    /// When.
    pub timestamp: Timestamp,
}

impl Exemplar {
    /// Whether its labels are short enough to be kept.
    #[must_use]
    pub fn fits(&self) -> bool {
        let chars = |text: &str| text.chars().count();
        let lengths = (&self.labels).into_iter();
        let length: usize = lengths
            .map(|(name, value)| chars(name) + chars(value))
            .sum();
        length <= MAX_EXEMPLAR_LABEL_CHARS
    }
}

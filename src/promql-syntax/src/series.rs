//! Values of series descriptions, as unit tests of rules and test scripts write them.

use std::sync::Arc;

use model::FloatHistogram;

/// A value in a series description.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SequenceValue {
    /// `_`: no sample at this step.
    Omitted,
    /// A number, or the stale marker for `stale`.
    Float(f64),
    /// `{{…}}`: a native histogram.
    Histogram {
        /// The histogram.
        histogram: Arc<FloatHistogram>,
        /// Whether the description says what is known of counter resets. Where it does not, those
        /// who compare with the value do not care.
        hint_is_given: bool,
    },
}

impl PartialEq for SequenceValue {
    /// Compares bits, so that `NaN` equals itself and not the stale marker.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Omitted, Self::Omitted) => true,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (
                Self::Histogram {
                    histogram,
                    hint_is_given,
                },
                Self::Histogram {
                    histogram: other,
                    hint_is_given: other_hint,
                },
            ) => histogram == other && hint_is_given == other_hint,
            (Self::Omitted | Self::Float(_) | Self::Histogram { .. }, _) => false,
        }
    }
}

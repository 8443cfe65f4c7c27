//! Values of series descriptions, as unit tests of rules and test scripts write them.

/// What the values of a series description are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceKind {
    /// Samples.
    Samples,
    /// Start timestamps, written `metric@st`: seconds from the sample of the same step, usually
    /// given as durations such as `-1m`.
    StartTimestamps,
}

/// A value in a series description.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum SequenceValue {
    /// `_`: no sample at this step.
    Omitted,
    /// A number, or the stale marker for `stale`.
    Float(f64),
}

impl PartialEq for SequenceValue {
    /// Compares bits, so that `NaN` equals itself and not the stale marker.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Omitted, Self::Omitted) => true,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Omitted | Self::Float(_), _) => false,
        }
    }
}

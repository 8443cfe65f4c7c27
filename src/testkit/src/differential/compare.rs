//! When two results are the same.

use model::FloatHistogram;
use promql::SampleValue;

/// Numbers are the same when they differ by no more than this part of the larger one, or of one.
pub const RELATIVE_TOLERANCE: f64 = 1e-9;

/// Whether two numbers are the same within [`RELATIVE_TOLERANCE`]; any NaN equals any other.
#[must_use]
pub fn close(a: f64, b: f64) -> bool {
    let tolerance = RELATIVE_TOLERANCE * a.abs().max(b.abs()).max(1.0);
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance
}

/// Whether two histograms have the same layout and buckets; empty buckets and what is known of
/// counter resets do not count.
#[must_use]
pub fn same_histogram(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let filled = |histogram: &FloatHistogram| -> Vec<(f64, f64)> {
        let buckets = histogram.all_buckets();
        let filled = buckets.filter(|bucket| bucket.count != 0.0);
        filled.map(|bucket| (bucket.upper, bucket.count)).collect()
    };
    let (ours, theirs) = (filled(a), filled(b));
    a.schema == b.schema
        && close(a.count, b.count)
        && close(a.sum, b.sum)
        && (a.has_custom_buckets() || close(a.zero_count, b.zero_count))
        && ours.len() == theirs.len()
        && ours
            .iter()
            .zip(&theirs)
            .all(|(a, b)| close(a.0, b.0) && close(a.1, b.1))
}

/// Whether two samples are the same.
pub(super) fn same_value(a: &SampleValue, b: &SampleValue) -> bool {
    match (a, b) {
        (SampleValue::Float(a), SampleValue::Float(b)) => close(*a, *b),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => same_histogram(a, b),
        _ => false,
    }
}

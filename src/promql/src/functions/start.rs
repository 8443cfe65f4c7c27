//! Start timestamps: since when samples have been counting. Source: upstream
//! `isStartTimestampReset` and `checkStartTimeOverlap` in `promql/functions.go`.

use super::window::Windows;

/// Whether a sample started counting after the one before it was taken. Both are given as start,
/// 0 where it is not known, and time.
pub(crate) fn is_reset(
    (previous_start_ms, previous_ms): (i64, i64),
    (start_ms, at_ms): (i64, i64),
) -> bool {
    // A start that is not before its sample says nothing: a sample that began as it was taken is
    // how OpenTelemetry writes an unknown start.
    let is_known = |start_ms: i64, at_ms: i64| start_ms != 0 && start_ms < at_ms;
    if !is_known(start_ms, at_ms) {
        return false;
    }
    // A start at the previous sample is that of a delta, or it stands for the unknown start of a
    // counter whose first sample has none.
    start_ms > previous_ms || (start_ms == previous_ms && is_known(previous_start_ms, previous_ms))
}

/// Whether a sample started counting before the one before it was taken, without sharing its start.
fn overlaps(previous_start_ms: i64, previous_ms: i64, start_ms: i64) -> bool {
    start_ms != 0 && start_ms < previous_ms && start_ms != previous_start_ms
}

/// The positions of samples that overlap with the one before them.
pub(super) fn overlapping(windows: &Windows<'_>) -> Vec<usize> {
    let starts = windows.start_timestamps;
    (1..starts.len())
        .filter(|index| {
            let previous = index - 1;
            overlaps(
                starts[previous],
                windows.timestamps[previous],
                starts[*index],
            )
        })
        .collect()
}

/// Whether any of the sorted positions is behind `first` and before `end`.
pub(super) fn any_between(positions: &[usize], first: usize, end: usize) -> bool {
    let next = positions.partition_point(|position| *position <= first);
    positions.get(next).is_some_and(|position| *position < end)
}

/// Since when the first sample of a window has been counting, if that is strictly inside the
/// window: there the counter was zero.
pub(super) fn inside(windows: &Windows<'_>, step: usize, first: usize) -> Option<i64> {
    let start_ms = *windows.start_timestamps.get(first)?;
    let is_inside =
        start_ms != 0 && start_ms > windows.left_ms(step) && start_ms < windows.timestamps[first];
    is_inside.then_some(start_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_follow_from_starts() {
        let unknown = 0;
        for (previous, sample, want) in [
            ((10, 60), (unknown, 120), false),
            ((10, 60), (10, 120), false),
            ((10, 60), (61, 120), true),
            ((10, 60), (120, 120), false),
            ((10, 60), (130, 120), false),
            // A delta, and the two ways in which the start of a counter may be unknown.
            ((10, 60), (60, 120), true),
            ((unknown, 60), (60, 120), false),
            ((60, 60), (60, 120), false),
            ((90, 60), (60, 120), false),
        ] {
            assert_eq!(is_reset(previous, sample), want, "{previous:?} {sample:?}");
        }
    }

    #[test]
    fn a_start_before_the_previous_sample_overlaps_unless_it_is_shared() {
        assert!(overlaps(10, 60, 30) && overlaps(0, 60, 30));
        assert!(!overlaps(30, 60, 30) && !overlaps(10, 60, 60) && !overlaps(10, 60, 0));
        assert!(any_between(&[3, 9], 2, 4) && any_between(&[3, 9], 3, 10));
        assert!(!any_between(&[3, 9], 3, 9) && !any_between(&[], 0, 5));
    }
}

//! Checks of native histograms and start timestamps, on both sides.

use model::{Matcher, stale_nan};

use super::entry::{
    Entry, ReadEntry, append, counts, custom, expect_stored, expected, float, float_counts,
    histogram, is_duplicate, is_out_of_order, odd_histograms, read, stale, try_append,
};
use super::fixture::{Fixture, Violation, expect_equal, expect_that};
use crate::append::{AppendPolicy, Rejected};
use crate::error::AppendError;
use crate::read::{Columns, SelectHints};

pub(super) fn histograms_are_kept_bit_for_bit(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let entries: Vec<Entry> = (0_i64..)
        .zip(odd_histograms())
        .map(|(n, value)| histogram(n * 1_000, value))
        .collect();
    let outcome = append(fixture, "odd", &entries)?;
    expect_equal("stored samples", outcome.appended, entries.len() as u64)?;
    let columns = expect_stored(fixture, "odd", &entries)?;
    expect_equal("start timestamps", columns.start_timestamps.len(), 0)
}

pub(super) fn stale_histograms_are_stale_markers(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let entries = [
        histogram(0, counts(1)),
        histogram(1_000, stale()),
        float(2_000, 1.0),
        histogram(3_000, stale()),
        histogram(4_000, counts(2)),
    ];
    append(fixture, "m", &entries)?;
    expect_stored(fixture, "m", &entries)?;
    append(fixture, "gone", &[histogram(0, stale())])?;
    let columns = expect_stored(fixture, "gone", &[histogram(0, stale())])?;
    expect_equal("histograms", columns.histograms.len(), 0)
}

/// Runs of floats, integer and float histograms of several layouts, and a start timestamp here
/// and there.
fn mixed(count: u32) -> Vec<Entry> {
    let entry = |n: u32| {
        let at = i64::from(n) * 1_000;
        let entry = match n {
            400..=699 => histogram(at, counts(n)),
            _ if n % 50 < 20 => float(at, f64::from(n)),
            _ if n % 50 < 21 => histogram(at, stale()),
            _ if n % 50 < 30 => histogram(at, counts(n)),
            _ if n % 50 < 40 => histogram(at, float_counts(n)),
            _ => histogram(at, custom(n, &[1.0, f64::from(n / 100)])),
        };
        if n % 200 < 90 {
            entry.started(i64::from(n / 30) * 1_000 - 500)
        } else {
            entry
        }
    };
    (0..count).map(entry).collect()
}

pub(super) fn floats_and_histograms_share_a_series(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let entries = mixed(1_000);
    for part in entries.chunks(70) {
        append(fixture, "m", part)?;
    }
    expect_stored(fixture, "m", &entries)?;
    append(fixture, "at_once", &entries)?;
    expect_stored(fixture, "at_once", &entries)?;
    for (first, last) in [
        (0, 0),
        (19_000, 21_000),
        (20_500, 20_600),
        (395_000, 705_000),
        (999_000, 7_200_000),
    ] {
        let (_, got) = read(fixture, fixture.range(first, last), "m")?;
        let want: Vec<ReadEntry> = entries
            .iter()
            .filter(|entry| (first..=last).contains(&entry.at))
            .map(|entry| expected(fixture, entry))
            .collect();
        expect_equal(&format!("samples in {first}..={last}"), got, want)?;
    }
    Ok(())
}

pub(super) fn chunks_with_histograms_tell_no_values(
    fixture: &Fixture<'_>,
) -> Result<(), Violation> {
    append(fixture, "m", &mixed(1_000))?;
    let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
    let set = fixture
        .querier(fixture.whole_range())?
        .select(&matchers, SelectHints::default())?;
    let mut cursor = set.chunks(0)?;
    let mut previous_last = None;
    let mut samples = 0;
    while let Some(summary) = cursor.summary()? {
        let ordered = summary.first <= summary.last && previous_last < Some(summary.first);
        let why = format!("{summary:?} after {previous_last:?}");
        expect_that("chunk order", if ordered { Ok(()) } else { Err(why) })?;
        previous_last = Some(summary.last);
        let mut columns = Columns::default();
        cursor.decode(&mut columns)?;
        expect_equal("samples", columns.len(), summary.samples as usize)?;
        samples += columns.len();
        if !columns.histograms.is_empty() {
            expect_equal("facts about values", summary.values, None)?;
        }
    }
    expect_equal("samples of all chunks", samples, 1_000)
}

pub(super) fn histograms_keep_the_order(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let stored = [histogram(10_000, counts(1)), float(20_000, 2.0)];
    append(fixture, "m", &stored)?;
    for late in [
        histogram(15_000, counts(9)),
        histogram(10_000, counts(1)),
        float(10_000, 1.0),
    ] {
        let refused = try_append(fixture, AppendPolicy::RollBack, &[("m", &[late])])?;
        expect_that("an older sample", is_out_of_order(&refused))?;
    }
    let backwards = [histogram(40_000, counts(1)), histogram(30_000, counts(2))];
    let refused = try_append(fixture, AppendPolicy::RollBack, &[("m", &backwards)])?;
    expect_that("histograms going backwards", is_out_of_order(&refused))?;
    expect_stored(fixture, "m", &stored)?;
    // The columns of a request are one sequence: each entry comes at its time.
    let sorted = [
        float(30_000, 1.0),
        histogram(40_000, counts(1)),
        float(50_000, 2.0),
        histogram(60_000, counts(2)),
    ];
    append(fixture, "m", &sorted)?;
    expect_stored(fixture, "m", &[&stored[..], &sorted].concat())?;
    Ok(())
}

pub(super) fn another_histogram_is_a_duplicate(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let cases = [
        (histogram(0, counts(1)), histogram(0, counts(2))),
        (histogram(0, counts(1)), histogram(0, float_counts(1))),
        (histogram(0, float_counts(1)), histogram(0, counts(1))),
        (
            histogram(0, custom(1, &[1.0])),
            histogram(0, custom(1, &[2.0])),
        ),
        (histogram(0, counts(1)), float(0, 1.0)),
        (float(0, 1.0), histogram(0, counts(1))),
        (float(0, stale_nan()), histogram(0, stale())),
        (histogram(0, stale()), histogram(0, counts(1))),
    ];
    for (n, (first, second)) in cases.iter().enumerate() {
        let name = format!("m{n}");
        append(fixture, &name, std::slice::from_ref(first))?;
        let again = std::slice::from_ref(second);
        let refused = try_append(fixture, AppendPolicy::RollBack, &[(&name, again)])?;
        expect_that(
            &format!("{second:?} after {first:?}"),
            is_duplicate(&refused),
        )?;
        expect_stored(fixture, &name, std::slice::from_ref(first))?;
        let both = [first.clone(), second.clone()];
        let refused = try_append(fixture, AppendPolicy::RollBack, &[("both", &both)])?;
        expect_that("both in one request", is_duplicate(&refused))?;
    }
    expect_stored(fixture, "both", &[])?;
    Ok(())
}

pub(super) fn a_repeated_histogram_is_accepted(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let values = odd_histograms().into_iter().chain([stale()]);
    for (n, value) in values.enumerate() {
        let name = format!("m{n}");
        let entries = [histogram(0, counts(1)), histogram(1_000, value)];
        append(fixture, &name, &entries)?;
        for policy in [AppendPolicy::RollBack, AppendPolicy::Skip] {
            let outcome = try_append(fixture, policy, &[(&name, &entries[1..])])??;
            expect_equal("repeated samples count as stored", outcome.appended, 1)?;
            expect_equal("rejected", outcome.rejected, Rejected::default())?;
        }
        expect_stored(fixture, &name, &entries)?;
    }
    Ok(())
}

pub(super) fn refused_histograms_leave_nothing(fixture: &Fixture<'_>) -> Result<(), Violation> {
    append(fixture, "old", &[histogram(10_000, counts(1))])?;
    let request: &[(&str, &[Entry])] = &[
        ("new", &[histogram(20_000, counts(5))]),
        (
            "old",
            &[histogram(20_000, counts(2)), histogram(5_000, counts(1))],
        ),
    ];
    let refused = try_append(fixture, AppendPolicy::RollBack, request)?;
    expect_that("a request with an old histogram", is_out_of_order(&refused))?;
    expect_stored(fixture, "new", &[])?;
    // The newest sample is what it was before, also as a repetition.
    append(fixture, "old", &[histogram(10_000, counts(1))])?;
    expect_stored(fixture, "old", &[histogram(10_000, counts(1))])?;
    // The same under the other policy loses the bad one alone.
    let outcome = try_append(fixture, AppendPolicy::Skip, request)??;
    expect_equal("stored samples", outcome.appended, 2)?;
    expect_equal("out of order", outcome.rejected.out_of_order, 1)?;
    expect_stored(fixture, "new", &[histogram(20_000, counts(5))])?;
    let kept = [histogram(10_000, counts(1)), histogram(20_000, counts(2))];
    expect_stored(fixture, "old", &kept)?;
    Ok(())
}

pub(super) fn histograms_of_any_size_are_refused_or_kept(
    fixture: &Fixture<'_>,
) -> Result<(), Violation> {
    let wide = |bounds: u32| custom(1, &(1..bounds).map(f64::from).collect::<Vec<_>>());
    // Bounds, one bucket more, and a span.
    let kept = histogram(0, wide(32_767));
    let refused = [histogram(1_000, wide(32_768)), histogram(2_000, counts(1))];
    append(fixture, "m", std::slice::from_ref(&kept))?;
    let answer = try_append(fixture, AppendPolicy::RollBack, &[("m", &refused)])?;
    let why = format!("want too large, got {answer:?}");
    let right = matches!(answer, Err(AppendError::HistogramTooLarge { .. }));
    expect_that("a huge histogram", if right { Ok(()) } else { Err(why) })?;
    expect_stored(fixture, "m", std::slice::from_ref(&kept))?;
    let outcome = try_append(fixture, AppendPolicy::Skip, &[("m", &refused)])??;
    expect_equal("too large", outcome.rejected.too_large, 1)?;
    expect_stored(fixture, "m", &[kept, refused[1].clone()])?;
    Ok(())
}

pub(super) fn start_timestamps_are_kept(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let entries = [
        float(0, 1.0).started(-5_000),
        float(1_000, 2.0).started(-5_000),
        float(2_000, 3.0),
        histogram(3_000, counts(1)).started(2_500),
        histogram(4_000, float_counts(1)).started(i64::MIN / 4),
        histogram(5_000, counts(3)),
        float(6_000, 1.0).started(6_000),
        // Later than its sample: kept as it was sent.
        float(7_000, 1.0).started(9_000),
    ];
    append(fixture, "m", &entries)?;
    expect_stored(fixture, "m", &entries)?;
    append(fixture, "floats", &entries[..3])?;
    expect_stored(fixture, "floats", &entries[..3])?;
    // Repetitions are told by time and value alone, and change nothing.
    append(fixture, "m", &[float(7_000, 1.0).started(8_000)])?;
    append(fixture, "m", &[float(7_000, 1.0)])?;
    expect_stored(fixture, "m", &entries)?;
    let unknown = [float(0, 1.0), float(1_000, 2.0)];
    append(fixture, "unknown", &unknown)?;
    let columns = expect_stored(fixture, "unknown", &unknown)?;
    expect_equal("start timestamps", columns.start_timestamps.len(), 0)?;
    expect_equal("histograms", columns.histograms.len(), 0)
}

//! Checks of samples that are older than others of their series, on an engine that takes them up to
//! an hour behind the newest sample.

use model::{Matcher, stale_nan};

use super::entry::{
    Answer, Entry, append, counts, custom, expect_stored, float, float_counts, histogram,
    is_duplicate, is_out_of_order, stale, try_append,
};
use super::fixture::{Fixture, Violation, expect_equal, expect_that, labels};
use crate::append::{AppendPolicy, AppendRequest, OutOfOrder, Rejected, SeriesKey};
use crate::error::AppendError;
use crate::read::{Columns, SelectHints};

const MINUTE: i64 = 60_000;

fn is_too_old(answer: &Answer) -> Result<(), String> {
    match answer {
        Err(AppendError::TooOld { .. }) => Ok(()),
        other => Err(format!("want too old, got {other:?}")),
    }
}

/// Sends each sample on its own.
fn append_each(fixture: &Fixture<'_>, name: &str, entries: &[Entry]) -> Result<(), Violation> {
    entries.iter().try_for_each(|entry| {
        let outcome = append(fixture, name, std::slice::from_ref(entry))?;
        expect_equal("stored samples", outcome.appended, 1)
    })
}

pub(super) fn late_samples_take_their_place(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let all: Vec<Entry> = (0..240_u32)
        .map(|n| float(i64::from(n) * 15_000, f64::from(n * 7 % 50)))
        .collect();
    let is_late = |n: usize| n % 3 == 1 || n > 200 && n % 4 == 3;
    let pick = |late: bool| -> Vec<Entry> {
        let picked = all.iter().enumerate().filter(|(n, _)| is_late(*n) == late);
        picked.map(|(_, entry)| entry.clone()).collect()
    };
    append(fixture, "m", &pick(false))?;
    let late = pick(true);
    // Newest first, so that each is before all others; then the rest at once.
    let (rest, single) = late.split_at(late.len() / 2);
    for entry in single.iter().rev() {
        append_each(fixture, "m", std::slice::from_ref(entry))?;
    }
    append(fixture, "m", rest)?;
    expect_stored(fixture, "m", &all)?;
    for (first, last) in [(0, 0), (15_000, 15_000), (100_000, 2_000_000)] {
        let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
        let found = fixture.read(fixture.range(first, last), &matchers)?;
        let times = found.iter().flat_map(|(_, samples)| samples);
        let times: Vec<i64> = times.map(|(at, _)| *at).collect();
        let want = all.iter().map(|entry| entry.at);
        let want: Vec<i64> = want.filter(|at| (first..=last).contains(at)).collect();
        expect_equal(&format!("samples in {first}..={last}"), times, want)?;
    }
    // What is newer still goes on behind.
    append_each(fixture, "m", &[float(3_700_000, 1.0)])
}

pub(super) fn the_window_reaches_back_from_the_newest_sample(
    fixture: &Fixture<'_>,
) -> Result<(), Violation> {
    append(fixture, "m", &[float(5 * MINUTE, 5.0)])?;
    append(fixture, "other", &[float(70 * MINUTE, 0.0)])?;
    // A series that is new starts anywhere.
    append(fixture, "new", &[float(MINUTE, 1.0)])?;
    let old = |at| try_append(fixture, AppendPolicy::RollBack, &[("m", &[float(at, 1.0)])]);
    expect_that("an hour and more", is_too_old(&old(5 * MINUTE - 1)?))?;
    append(fixture, "m", &[float(65 * MINUTE, 65.0)])?;
    append(fixture, "m", &[float(10 * MINUTE, 10.0)])?;
    expect_that("an hour and more", is_too_old(&old(10 * MINUTE - 1)?))?;
    let changed = try_append(
        fixture,
        AppendPolicy::RollBack,
        &[("m", &[float(65 * MINUTE, 66.0)])],
    )?;
    expect_that("another newest value", is_duplicate(&changed))?;
    let partly = try_append(
        fixture,
        AppendPolicy::Skip,
        &[("m", &[float(MINUTE, 1.0), float(11 * MINUTE, 11.0)])],
    )?;
    let rejected = Rejected {
        too_old: 1,
        ..Rejected::default()
    };
    expect_equal("samples left out", partly?.rejected, rejected)?;
    let stored = [
        float(5 * MINUTE, 5.0),
        float(10 * MINUTE, 10.0),
        float(11 * MINUTE, 11.0),
        float(65 * MINUTE, 65.0),
    ];
    expect_stored(fixture, "m", &stored)?;
    expect_stored(fixture, "new", &[float(MINUTE, 1.0)])?;
    Ok(())
}

pub(super) fn the_first_of_two_late_samples_stays(fixture: &Fixture<'_>) -> Result<(), Violation> {
    append_each(
        fixture,
        "m",
        &[
            float(10_000, 1.0),
            float(20_000, 2.0),
            float(60_000, 6.0),
            // Late ones: a new time, the same again, another value, and times that are taken.
            float(30_000, 3.0),
            float(30_000, 3.0),
            float(30_000, -3.0),
            float(10_000, -1.0),
            histogram(20_000, counts(1)),
            histogram(40_000, counts(4)),
            float(40_000, -4.0),
            float(40_000, stale_nan()),
        ],
    )?;
    let stored = [
        float(10_000, 1.0),
        float(20_000, 2.0),
        float(30_000, 3.0),
        histogram(40_000, counts(4)),
        float(60_000, 6.0),
    ];
    expect_stored(fixture, "m", &stored)?;
    Ok(())
}

pub(super) fn requests_may_refuse_late_samples(fixture: &Fixture<'_>) -> Result<(), Violation> {
    append(fixture, "m", &[float(10_000, 1.0), float(20_000, 2.0)])?;
    let labels = labels("m")?;
    let mut request = AppendRequest {
        out_of_order: OutOfOrder::Refuse,
        ..AppendRequest::default()
    };
    request.push(
        SeriesKey::Labels(&labels),
        fixture.samples(&[(15_000, 3.0)]),
    );
    let refused = fixture.send(&request, AppendPolicy::RollBack);
    expect_that("a late sample", is_out_of_order(&refused))?;
    let skipped = fixture.send(&request, AppendPolicy::Skip)?;
    expect_equal("samples left out", skipped.rejected.out_of_order, 1)?;
    expect_stored(fixture, "m", &[float(10_000, 1.0), float(20_000, 2.0)])?;
    Ok(())
}

pub(super) fn late_samples_may_be_of_any_kind(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let entry = |n: u32| {
        let at = i64::from(n) * 5_000;
        let entry = match n % 7 {
            0 | 1 => float(at, f64::from(n)),
            2 => histogram(at, counts(n)),
            3 => histogram(at, float_counts(n)),
            4 => histogram(at, stale()),
            5 => float(at, stale_nan()),
            _ => histogram(at, custom(n, &[1.0, 2.5])),
        };
        if n.is_multiple_of(5) {
            entry.started(i64::from(n) * 1_000 - 500)
        } else {
            entry
        }
    };
    let all: Vec<Entry> = (0..300).map(entry).collect();
    let picked = |rest: usize| all.iter().skip(rest).step_by(3).cloned();
    append(fixture, "m", &picked(2).collect::<Vec<Entry>>())?;
    append(fixture, "m", &picked(0).rev().collect::<Vec<Entry>>())?;
    append(fixture, "m", &picked(1).collect::<Vec<Entry>>())?;
    expect_stored(fixture, "m", &all)?;
    Ok(())
}

pub(super) fn late_samples_are_in_chunks_without_overlap(
    fixture: &Fixture<'_>,
) -> Result<(), Violation> {
    let samples = |from: u32| (from..600).step_by(2);
    let points = |from: u32| samples(from).map(|n| float(i64::from(n) * 5_000, f64::from(n)));
    append(fixture, "m", &points(1).collect::<Vec<Entry>>())?;
    append(fixture, "m", &points(0).collect::<Vec<Entry>>())?;
    for (first, last) in [(0, 7_200_000), (5_000, 5_000), (1_000_000, 1_500_001)] {
        let range = fixture.range(first, last);
        let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
        let set = fixture
            .querier(range)?
            .select(&matchers, SelectHints::default())?;
        let mut cursor = set.chunks(0)?;
        let mut previous_last = None;
        let mut found = 0;
        let mut columns = Columns::default();
        while let Some(summary) = cursor.summary()? {
            let ordered = summary.first <= summary.last && previous_last < Some(summary.first);
            let why = format!("{summary:?} after {previous_last:?}");
            expect_that("chunk order", if ordered { Ok(()) } else { Err(why) })?;
            previous_last = Some(summary.last);
            columns.clear();
            cursor.decode(&mut columns)?;
            found += columns.len();
            if summary.first >= range.start && summary.last <= range.end {
                expect_equal("samples", columns.len(), summary.samples as usize)?;
            }
        }
        let want = (0..600).filter(|n| (first..=last).contains(&(n * 5_000)));
        expect_equal(&format!("samples in {first}..={last}"), found, want.count())?;
        let mut newest = Columns::default();
        set.read_newest(0, &mut newest)?;
        let newest = newest.timestamps.last().copied();
        let want = columns.timestamps.last().copied();
        expect_equal("the newest sample", newest, want)?;
    }
    Ok(())
}

pub(super) fn late_samples_change_the_generation(fixture: &Fixture<'_>) -> Result<(), Violation> {
    append(fixture, "m", &[float(10_000, 1.0), float(3_000_000, 2.0)])?;
    let before = fixture.queryable.write_generation();
    append(fixture, "m", &[float(20_000, 3.0)])?;
    let change = |first, last| {
        let range = fixture.range(first, last);
        fixture.queryable.first_change(before, range)
    };
    let late = fixture.range(20_000, 20_000).start;
    let told = change(0, 60_000);
    let changed = match told {
        Some(told) if told <= late => Ok(()),
        told => Err(format!("the first change is at {told:?}, not by {late:?}")),
    };
    expect_that("after a late sample", changed)?;
    expect_equal("before a late sample", change(0, 9_999), None)
}

//! Checks of the reading side.

use model::{MatchOp, Matcher, Timestamp, ValueSummary, stale_nan};

use super::fixture::{Fixture, Point, Violation, expect_equal, expect_that, labels, matcher};
use crate::read::{ChunkSummary, Columns, SelectHints, SeriesSet};

use MatchOp::{Equal, NotEqual, NotRegex, Regex};

/// Matchers as name, operator and value, and the series of [`load_zoo`] that pass them all.
type MatcherCase = (
    &'static [(&'static str, MatchOp, &'static str)],
    &'static [&'static str],
);

const ZOO: [&str; 6] = [
    "ape|size=big",
    "ape|size=small|wild=yes",
    "ape",
    "bee|size=small",
    "bee|größe=klein",
    "cat|size=a\nb",
];

const MATCHER_CASES: &[MatcherCase] = &[
    (&[], &ZOO),
    (
        &[("__name__", Equal, "ape")],
        &["ape|size=big", "ape|size=small|wild=yes", "ape"],
    ),
    (&[("__name__", Equal, "dog")], &[]),
    (
        &[("size", Equal, "small")],
        &["ape|size=small|wild=yes", "bee|size=small"],
    ),
    (&[("size", Equal, "smal")], &[]),
    (&[("größe", Equal, "klein")], &["bee|größe=klein"]),
    // An absent label is an empty one.
    (&[("size", Equal, "")], &["ape", "bee|größe=klein"]),
    (
        &[("size", NotEqual, "")],
        &[
            "ape|size=big",
            "ape|size=small|wild=yes",
            "bee|size=small",
            "cat|size=a\nb",
        ],
    ),
    (&[("nowhere", Equal, "")], &ZOO),
    (&[("nowhere", NotEqual, "")], &[]),
    (&[("nowhere", NotEqual, "x")], &ZOO),
    (&[("nowhere", Regex, "x?")], &ZOO),
    (&[("nowhere", Regex, "x+")], &[]),
    (&[("nowhere", NotRegex, ".*")], &[]),
    (&[("nowhere", NotRegex, ".+")], &ZOO),
    (
        &[("size", NotEqual, "small")],
        &["ape|size=big", "ape", "bee|größe=klein", "cat|size=a\nb"],
    ),
    // Patterns are anchored, and the dot passes newlines.
    (&[("size", Regex, "ma")], &[]),
    (
        &[("size", Regex, ".*ma.*")],
        &["ape|size=small|wild=yes", "bee|size=small"],
    ),
    (&[("size", Regex, "a.b")], &["cat|size=a\nb"]),
    (
        &[("size", Regex, "big|small")],
        &["ape|size=big", "ape|size=small|wild=yes", "bee|size=small"],
    ),
    (
        &[("size", Regex, "big|")],
        &["ape|size=big", "ape", "bee|größe=klein"],
    ),
    (&[("size", Regex, ".*")], &ZOO),
    (&[("size", Regex, "")], &["ape", "bee|größe=klein"]),
    (
        &[("size", NotRegex, "")],
        &[
            "ape|size=big",
            "ape|size=small|wild=yes",
            "bee|size=small",
            "cat|size=a\nb",
        ],
    ),
    (
        &[("size", Regex, ".+"), ("wild", Equal, "")],
        &["ape|size=big", "bee|size=small", "cat|size=a\nb"],
    ),
    (
        &[("size", NotRegex, "big|small")],
        &["ape", "bee|größe=klein", "cat|size=a\nb"],
    ),
    (
        &[("__name__", Regex, "a.*|b.*"), ("size", NotEqual, "big")],
        &[
            "ape|size=small|wild=yes",
            "ape",
            "bee|size=small",
            "bee|größe=klein",
        ],
    ),
    (
        &[("__name__", NotEqual, "ape"), ("size", Equal, "")],
        &["bee|größe=klein"],
    ),
    (&[("size", Equal, "small"), ("size", Equal, "big")], &[]),
    (
        &[("size", NotEqual, "small"), ("size", Regex, ".+")],
        &["ape|size=big", "cat|size=a\nb"],
    ),
];

fn load_zoo(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let points: &[Point] = &[(0, 1.0), (60_000, 2.0)];
    fixture.append(&ZOO.map(|animal| (animal, points)))?;
    Ok(())
}

fn build(matchers: &[(&str, MatchOp, &str)]) -> Result<Vec<Matcher>, Violation> {
    matchers
        .iter()
        .map(|(name, op, value)| matcher(name, *op, value))
        .collect()
}

pub(super) fn matchers_select(fixture: &Fixture<'_>) -> Result<(), Violation> {
    load_zoo(fixture)?;
    for (matchers, want) in MATCHER_CASES {
        let found = fixture.read(fixture.whole_range(), &build(matchers)?)?;
        let found: Vec<String> = found.into_iter().map(|(labels, _)| labels).collect();
        let mut wanted = Vec::with_capacity(want.len());
        for animal in *want {
            wanted.push(labels(animal)?.to_string());
        }
        wanted.sort();
        expect_equal(&format!("series for {matchers:?}"), found, wanted)?;
    }
    Ok(())
}

pub(super) fn label_names_are_listed(fixture: &Fixture<'_>) -> Result<(), Violation> {
    load_zoo(fixture)?;
    let cases: [MatcherCase; 4] = [
        (&[], &["__name__", "größe", "size", "wild"]),
        (&[("__name__", Equal, "ape")], &["__name__", "size", "wild"]),
        (
            &[("__name__", Regex, "ape|cat"), ("wild", Equal, "")],
            &["__name__", "size"],
        ),
        (&[("__name__", Equal, "dog")], &[]),
    ];
    let querier = fixture.querier(fixture.whole_range())?;
    for (matchers, want) in cases {
        let names = querier.label_names(&build(matchers)?)?;
        expect_equal(
            &format!("label names for {matchers:?}"),
            &names[..],
            &owned(want)[..],
        )?;
    }
    Ok(())
}

pub(super) fn label_values_are_listed(fixture: &Fixture<'_>) -> Result<(), Violation> {
    load_zoo(fixture)?;
    let cases: [(&str, MatcherCase); 6] = [
        ("__name__", (&[], &["ape", "bee", "cat"])),
        ("size", (&[], &["a\nb", "big", "small"])),
        (
            "size",
            (&[("__name__", NotEqual, "cat")], &["big", "small"]),
        ),
        ("size", (&[("wild", Equal, "yes")], &["small"])),
        ("wild", (&[("__name__", Equal, "bee")], &[])),
        ("nowhere", (&[], &[])),
    ];
    let querier = fixture.querier(fixture.whole_range())?;
    for (name, (matchers, want)) in cases {
        let values = querier.label_values(name, &build(matchers)?)?;
        let what = format!("values of {name} for {matchers:?}");
        expect_equal(&what, &values[..], &owned(want)[..])?;
    }
    Ok(())
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn both_ends_of_a_range_are_inside(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let points: Vec<Point> = (0..300_u32)
        .map(|n| (i64::from(n) * 1_000, f64::from(n)))
        .collect();
    fixture.append(&[("m", &points)])?;
    let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
    for (first, last, count) in [
        (0, 299_000, 300),
        (0, 0, 1),
        (1, 999, 0),
        (1, 1_000, 1),
        (1_000, 1_999, 1),
        (126_000, 130_000, 5),
        (127_000, 128_000, 2),
        (299_000, 7_200_000, 1),
        (299_001, 7_200_000, 0),
        (2_000, 1_000, 0),
    ] {
        let found = fixture.read(fixture.range(first, last), &matchers)?;
        let times: Vec<i64> = found
            .iter()
            .flat_map(|(_, s)| s)
            .map(|(at, _)| *at)
            .collect();
        let want: Vec<i64> = (0..300)
            .map(|n| n * 1_000)
            .filter(|at| (first..=last).contains(at))
            .collect();
        expect_equal(&format!("samples in {first}..={last}"), times, want)?;
        expect_equal(
            "number of samples",
            found.iter().map(|(_, s)| s.len()).sum(),
            count,
        )?;
    }
    Ok(())
}

/// Writes one series in several requests, with stale markers, NaNs and a long stale stretch.
fn load_long(fixture: &Fixture<'_>) -> Result<Vec<Point>, Violation> {
    let points: Vec<Point> = (0..1_000_u32)
        .map(|n| {
            let value = match n {
                200..=599 => stale_nan(),
                _ if n % 97 == 3 => f64::NAN,
                _ if n % 89 == 5 => stale_nan(),
                _ => f64::from(n * 37 % 101) - 50.0,
            };
            (i64::from(n) * 5_000, value)
        })
        .collect();
    for part in points.chunks(70) {
        fixture.append(&[("long", part)])?;
    }
    Ok(points)
}

fn select_long(
    fixture: &Fixture<'_>,
    first: i64,
    last: i64,
) -> Result<Box<dyn SeriesSet>, Violation> {
    let matchers = [Matcher::equal(model::METRIC_NAME, "long")];
    let set = fixture
        .querier(fixture.range(first, last))?
        .select(&matchers, SelectHints::default())?;
    expect_equal("selected series", set.len(), 1)?;
    expect_equal("is empty", set.is_empty(), false)?;
    Ok(set)
}

pub(super) fn chunks_cover_a_series(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let points = load_long(fixture)?;
    for (first, last) in [
        (0, 7_200_000),
        (12_500, 12_500),
        (333_000, 4_000_001),
        (4_995_000, 4_995_000),
    ] {
        let set = select_long(fixture, first, last)?;
        let mut columns = Columns::default();
        let mut cursor = set.chunks(0)?;
        let mut previous_last = None;
        while let Some(summary) = cursor.summary()? {
            let ordered = summary.first <= summary.last && previous_last < Some(summary.first);
            let why = format!("{summary:?} after {previous_last:?}");
            expect_that("chunk order", if ordered { Ok(()) } else { Err(why) })?;
            previous_last = Some(summary.last);
            cursor.decode(&mut columns)?;
        }
        let want: Vec<(i64, u64)> = points
            .iter()
            .filter(|(at, _)| (first..=last).contains(at))
            .map(|(at, value)| (fixture.at(*at).as_millis(), value.to_bits()))
            .collect();
        let got: Vec<(i64, u64)> = columns
            .timestamps
            .iter()
            .copied()
            .zip(columns.values.iter().map(|v| v.to_bits()))
            .collect();
        expect_equal(&format!("samples in {first}..={last}"), got, want)?;
    }
    Ok(())
}

pub(super) fn chunk_summaries_are_true(fixture: &Fixture<'_>) -> Result<(), Violation> {
    load_long(fixture)?;
    let set = select_long(fixture, 0, 7_200_000)?;
    let mut cursor = set.chunks(0)?;
    let mut columns = Columns::default();
    while let Some(summary) = cursor.summary()? {
        expect_equal(
            "asked twice",
            cursor.summary()?.map(facts),
            Some(facts(summary)),
        )?;
        columns.clear();
        cursor.decode(&mut columns)?;
        expect_equal("samples", columns.len(), summary.samples as usize)?;
        let times = (
            columns.timestamps.first().copied(),
            columns.timestamps.last().copied(),
        );
        let want = (
            Some(summary.first.as_millis()),
            Some(summary.last.as_millis()),
        );
        expect_equal("first and last time", times, want)?;
        if let Some(values) = summary.values {
            let want = ValueSummary::of(&columns.values);
            let (got, want) = (format!("{:?}", Some(values)), format!("{want:?}"));
            expect_equal("facts about values", got, want)?;
        }
    }
    Ok(())
}

/// A summary in a form in which NaNs compare.
fn facts(summary: ChunkSummary) -> String {
    format!("{summary:?}")
}

pub(super) fn chunks_can_be_skipped(fixture: &Fixture<'_>) -> Result<(), Violation> {
    load_long(fixture)?;
    let set = select_long(fixture, 0, 7_200_000)?;
    let mut whole = Columns::default();
    set.read(0, &mut whole)?;
    let mut cursor = set.chunks(0)?;
    let mut position = 0;
    let mut skip_next = false;
    while let Some(summary) = cursor.summary()? {
        let end = position + summary.samples as usize;
        if skip_next {
            cursor.skip()?;
        } else {
            let mut columns = Columns::default();
            cursor.decode(&mut columns)?;
            expect_equal(
                "times",
                &columns.timestamps[..],
                &whole.timestamps[position..end],
            )?;
        }
        skip_next = !skip_next;
        position = end;
    }
    expect_equal("samples of all chunks", position, 1_000)
}

pub(super) fn newest_samples_are_those_of_chunks(fixture: &Fixture<'_>) -> Result<(), Violation> {
    load_long(fixture)?;
    for (first, last) in [(0, 7_200_000), (12_500, 333_000), (333_000, 4_970_001)] {
        let set = select_long(fixture, first, last)?;
        let (mut all, mut newest) = (set.chunks(0)?, set.chunks(0)?);
        while all.summary()?.is_some() {
            let (same, summary) = (newest.summary()?.map(facts), all.summary()?.map(facts));
            expect_equal("summary", same, summary)?;
            let (mut columns, mut last) = (Columns::default(), Columns::default());
            all.decode(&mut columns)?;
            newest.decode_newest(&mut last)?;
            expect_equal("time", last.timestamps.last(), columns.timestamps.last())?;
            let bits = |columns: &Columns| columns.values.last().map(|value| value.to_bits());
            expect_equal("value", bits(&last), bits(&columns))?;
        }
        expect_equal("chunk behind the last", newest.summary()?.is_none(), true)?;
        let (mut whole, mut last) = (Columns::default(), Columns::default());
        set.read(0, &mut whole)?;
        set.read_newest(0, &mut last)?;
        expect_equal(
            "newest time",
            last.timestamps.last(),
            whole.timestamps.last(),
        )?;
    }
    Ok(())
}

pub(super) fn selections_repeat_in_order(fixture: &Fixture<'_>) -> Result<(), Violation> {
    load_zoo(fixture)?;
    let order = || -> Result<Vec<String>, Violation> {
        let set = fixture
            .querier(fixture.whole_range())?
            .select(&[], SelectHints::default())?;
        Ok((0..set.len())
            .map(|index| set.labels(index).to_string())
            .collect())
    };
    expect_equal("order of series", order()?, order()?)
}

pub(super) fn series_are_read_in_any_order(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let names: Vec<String> = (0..20).map(|n| format!("m|n={n}")).collect();
    for (n, name) in (0_u32..).zip(&names) {
        fixture.append(&[(name, &[(0, f64::from(n)), (1_000, f64::from(n) + 0.5)])])?;
    }
    let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
    let set = fixture
        .querier(fixture.whole_range())?
        .select(&matchers, SelectHints::default())?;
    expect_equal("selected series", set.len(), names.len())?;
    let mut columns = Columns::default();
    for index in (0..set.len()).rev().chain(0..set.len()) {
        set.read(index, &mut columns)?;
        let labels = set.labels(index);
        let number: f64 = labels.value_or_empty("n").parse()?;
        expect_equal(
            &labels.to_string(),
            &columns.values[..],
            &[number, number + 0.5][..],
        )?;
    }
    Ok(())
}

pub(super) fn changes_are_told(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let queryable = fixture.queryable;
    let range = fixture.range(0, 600_000);
    let at = |offset: i64| fixture.range(offset, offset).start;
    let empty = queryable.write_generation();
    fixture.append(&[("m", &[(300_000, 1.0)])])?;
    let told = queryable.first_change(empty, range);
    expect_that("after the first write", not_after(told, at(300_000)))?;
    let first = queryable.write_generation();
    fixture.read_metric("m")?;
    expect_equal("after a read", queryable.first_change(first, range), None)?;
    fixture.append(&[("m", &[(400_000, 1.0)])])?;
    let told = queryable.first_change(first, range);
    expect_that("after a second write", not_after(told, at(400_000)))?;
    let older = queryable.first_change(first, fixture.range(0, 390_000));
    expect_equal("before the second write", older, None)?;
    let second = queryable.write_generation();
    fixture.append(&[("other", &[(0, 1.0)])])?;
    let told = queryable.first_change(second, fixture.range(-10, 600_000));
    expect_that("after a new series", not_after(told, at(0)))?;
    let before = queryable.first_change(second, fixture.range(0, 0));
    expect_equal("at its only sample", before, Some(at(0)))
}

fn not_after(told: Option<Timestamp>, changed: Timestamp) -> Result<(), String> {
    match told {
        Some(told) if told <= changed => Ok(()),
        told => Err(format!(
            "the first change is at {told:?}, not by {changed:?}"
        )),
    }
}

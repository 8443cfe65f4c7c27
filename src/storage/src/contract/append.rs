//! Checks of the writing side.

use model::{LabelError, Labels, stale_nan};

use super::fixture::{Fixture, Point, Violation, expect_equal, expect_that, labels};
use crate::append::{
    AppendOutcome, AppendPolicy, AppendRequest, Durability, Rejected, SeriesKey, SeriesRef,
};
use crate::error::AppendError;

pub(super) fn values_are_kept_bit_for_bit(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let odd = [
        0.0,
        -0.0,
        f64::MIN_POSITIVE / 4.0,
        f64::MAX,
        f64::INFINITY,
        f64::NEG_INFINITY,
        model::sample::normal_nan(),
        stale_nan(),
        f64::from_bits(0xfff8_dead_beef_0001),
        0.1 + 0.2,
    ];
    let points: Vec<Point> = (0_i64..).map(|index| index * 1_000).zip(odd).collect();
    let outcome = fixture.append(&[("odd|a=1", &points)])?;
    expect_equal("stored samples", outcome.appended, 10)?;
    expect_equal("created series", outcome.created_series, 1)?;
    fixture.expect_stored("odd", &[("odd|a=1", &points)])
}

pub(super) fn deferred_samples_are_visible_at_once(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let labels = labels("deferred")?;
    let mut request = AppendRequest::default();
    request.push(SeriesKey::Labels(&labels), fixture.samples(&[(0, 1.0)]));
    let pending = fixture
        .appender
        .append(&request, AppendPolicy::Skip, Durability::Deferred)?;
    fixture.expect_stored("deferred", &[("deferred", &[(0, 1.0)])])?;
    expect_equal("stored samples", pending.wait_blocking()?.appended, 1)
}

pub(super) fn older_samples_are_out_of_order(fixture: &Fixture<'_>) -> Result<(), Violation> {
    fixture.append(&[("m", &[(10_000, 1.0), (20_000, 2.0)])])?;
    for late in [(15_000, 9.0), (19_999, 2.0), (10_000, 7.0), (0, 0.0)] {
        let refused = fixture.try_append(AppendPolicy::RollBack, &[("m", &[late])])?;
        expect_that("an older sample", is_out_of_order(&refused))?;
    }
    fixture.expect_stored("m", &[("m", &[(10_000, 1.0), (20_000, 2.0)])])
}

pub(super) fn another_value_is_a_duplicate(fixture: &Fixture<'_>) -> Result<(), Violation> {
    fixture.append(&[("zero", &[(0, 0.0)]), ("nan", &[(0, f64::NAN)])])?;
    // Values are compared bit by bit: the two zeros differ, and so do the NaNs.
    for (name, other) in [
        ("zero", 1.0),
        ("zero", -0.0),
        ("nan", stale_nan()),
        ("nan", 1.0),
    ] {
        let refused = fixture.try_append(AppendPolicy::RollBack, &[(name, &[(0, other)])])?;
        expect_that("another value at the same time", is_duplicate(&refused))?;
    }
    fixture.expect_stored("zero", &[("zero", &[(0, 0.0)])])?;
    fixture.expect_stored("nan", &[("nan", &[(0, f64::NAN)])])
}

pub(super) fn an_exact_repetition_is_accepted(fixture: &Fixture<'_>) -> Result<(), Violation> {
    for value in [1.5, stale_nan(), -0.0] {
        let name = format!("m|bits={:x}", value.to_bits());
        fixture.append(&[(&name, &[(0, 1.0), (1_000, value)])])?;
        for policy in [AppendPolicy::RollBack, AppendPolicy::Skip] {
            let outcome = fixture.try_append(policy, &[(&name, &[(1_000, value)])])??;
            expect_equal("repeated samples count as stored", outcome.appended, 1)?;
            expect_equal("rejected", outcome.rejected, Rejected::default())?;
            expect_equal("created series", outcome.created_series, 0)?;
        }
    }
    expect_equal("series", fixture.read_metric("m")?.len(), 3)?;
    for (name, points) in fixture.read_metric("m")? {
        expect_equal(&format!("samples of {name}"), points.len(), 2)?;
    }
    Ok(())
}

pub(super) fn a_rolled_back_request_leaves_nothing(fixture: &Fixture<'_>) -> Result<(), Violation> {
    fixture.append(&[("m|a=old", &[(10_000, 1.0)])])?;
    let refused = fixture.try_append(
        AppendPolicy::RollBack,
        &[
            ("m|a=new", &[(20_000, 5.0)]),
            ("m|a=old", &[(20_000, 2.0), (30_000, 3.0)]),
            ("m|a=newer", &[(20_000, 5.0), (10_000, 4.0)]),
            ("m|a=newest", &[(40_000, 6.0)]),
        ],
    )?;
    expect_that("a request with an old sample", is_out_of_order(&refused))?;
    fixture.expect_stored("m", &[("m|a=old", &[(10_000, 1.0)])])?;
    let values = fixture
        .querier(fixture.whole_range())?
        .label_values("a", &[])?;
    expect_equal("label values", values, vec!["old".to_owned()])?;
    // The series must still take what the refused request held.
    fixture.append(&[("m|a=old", &[(15_000, 2.5)]), ("m|a=new", &[(5_000, 5.0)])])?;
    fixture.expect_stored(
        "m",
        &[
            ("m|a=new", &[(5_000, 5.0)]),
            ("m|a=old", &[(10_000, 1.0), (15_000, 2.5)]),
        ],
    )
}

pub(super) fn a_skipping_request_keeps_the_rest(fixture: &Fixture<'_>) -> Result<(), Violation> {
    fixture.append(&[("m|a=1", &[(10_000, 1.0)])])?;
    let outcome = fixture.try_append(
        AppendPolicy::Skip,
        &[
            (
                "m|a=1",
                &[(5_000, 0.5), (10_000, 9.0), (10_000, 1.0), (20_000, 2.0)],
            ),
            ("m|a=2", &[(10_000, 7.0), (9_000, 6.0), (11_000, 8.0)]),
        ],
    )??;
    expect_equal("stored samples", outcome.appended, 4)?;
    expect_equal("created series", outcome.created_series, 1)?;
    let rejected = Rejected {
        out_of_order: 2,
        duplicate: 1,
        ..Rejected::default()
    };
    expect_equal("rejected", outcome.rejected, rejected)?;
    fixture.expect_stored(
        "m",
        &[
            ("m|a=1", &[(10_000, 1.0), (20_000, 2.0)]),
            ("m|a=2", &[(10_000, 7.0), (11_000, 8.0)]),
        ],
    )
}

pub(super) fn order_is_checked_inside_a_request(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let backwards = fixture.try_append(
        AppendPolicy::RollBack,
        &[("m", &[(2_000, 1.0), (1_000, 1.0)])],
    )?;
    expect_that("samples going backwards", is_out_of_order(&backwards))?;
    let twice = fixture.try_append(
        AppendPolicy::RollBack,
        &[("m", &[(1_000, 1.0), (1_000, 2.0)])],
    )?;
    expect_that("two values at one time", is_duplicate(&twice))?;
    // A series may come twice in a request.
    let split: &[(&str, &[Point])] = &[("m", &[(5_000, 1.0)]), ("m", &[(4_000, 1.0)])];
    let refused = fixture.try_append(AppendPolicy::RollBack, split)?;
    expect_that(
        "a series that comes twice, backwards",
        is_out_of_order(&refused),
    )?;
    fixture.expect_stored("m", &[])?;
    let split: &[(&str, &[Point])] = &[("m", &[(4_000, 1.0)]), ("m", &[(5_000, 1.0)])];
    let outcome = fixture.append(split)?;
    expect_equal("created series", outcome.created_series, 1)?;
    expect_equal("one reference", outcome.refs[0], outcome.refs[1])?;
    fixture.expect_stored("m", &[("m", &[(4_000, 1.0), (5_000, 1.0)])])
}

pub(super) fn order_is_checked_per_series(fixture: &Fixture<'_>) -> Result<(), Violation> {
    fixture.append(&[("m|a=late", &[(3_600_000, 1.0)])])?;
    fixture.append(&[("m|a=early", &[(0, 2.0)])])?;
    fixture.expect_stored(
        "m",
        &[
            ("m|a=late", &[(3_600_000, 1.0)]),
            ("m|a=early", &[(0, 2.0)]),
        ],
    )
}

pub(super) fn references_name_series(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let first = fixture.append(&[("m|a=1", &[(0, 1.0)]), ("m|a=2", &[(0, 2.0)])])?;
    let again = fixture.append(&[("m|a=2", &[(1_000, 2.5)]), ("m|a=1", &[(1_000, 1.5)])])?;
    expect_equal(
        "references",
        &[first.refs[1], first.refs[0]][..],
        &again.refs[..],
    )?;
    let known = known_refs(&first)?;
    let by_ref = |reference: SeriesRef| {
        let mut request = AppendRequest::default();
        request.push(SeriesKey::Ref(reference), fixture.samples(&[(2_000, 3.5)]));
        fixture.send(&request, AppendPolicy::RollBack)
    };
    let outcome = by_ref(known[0])?;
    expect_equal("reference given back", outcome.refs, vec![Some(known[0])])?;
    expect_equal("created series", outcome.created_series, 0)?;
    let unknown = by_ref(SeriesRef::new(u64::from(u32::MAX) - 7));
    expect_that("an unknown reference", is_unknown_series(&unknown))?;
    fixture.expect_stored(
        "m",
        &[
            ("m|a=1", &[(0, 1.0), (1_000, 1.5), (2_000, 3.5)]),
            ("m|a=2", &[(0, 2.0), (1_000, 2.5)]),
        ],
    )
}

pub(super) fn raw_spans_name_series(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let by_labels = fixture.append(&[("m|a=1", &[(0, 1.0)])])?;
    for at in [1_000, 2_000] {
        let mut request = AppendRequest::default();
        let keys: [&[u8]; 2] = [b"m|a=1", b"m|b=2"];
        for span in keys {
            let key = SeriesKey::Raw {
                span,
                parse: parse_span,
            };
            request.push(key, fixture.samples(&[(at, 2.0)]));
        }
        let outcome = fixture.send(&request, AppendPolicy::RollBack)?;
        expect_equal("same series", outcome.refs[0], by_labels.refs[0])?;
        expect_equal(
            "created series",
            outcome.created_series,
            u64::from(at == 1_000),
        )?;
    }
    fixture.expect_stored(
        "m",
        &[
            ("m|a=1", &[(0, 1.0), (1_000, 2.0), (2_000, 2.0)]),
            ("m|b=2", &[(1_000, 2.0), (2_000, 2.0)]),
        ],
    )
}

pub(super) fn invalid_labels_lose_only_their_series(
    fixture: &Fixture<'_>,
) -> Result<(), Violation> {
    for (at, policy) in [(0, AppendPolicy::RollBack), (1_000, AppendPolicy::Skip)] {
        let empty = Labels::empty();
        let mut request = AppendRequest::default();
        let twice = SeriesKey::Raw {
            span: b"m|a=1|a=2",
            parse: parse_span,
        };
        request.push(twice, fixture.samples(&[(at, 1.0), (at + 1, 1.0)]));
        let good = SeriesKey::Raw {
            span: b"m|a=1",
            parse: parse_span,
        };
        request.push(good, fixture.samples(&[(at, 2.0)]));
        request.push(SeriesKey::Labels(&empty), fixture.samples(&[(at, 3.0)]));
        let outcome = fixture.send(&request, policy)?;
        expect_equal("stored samples", outcome.appended, 1)?;
        let rejected = Rejected {
            invalid_labels: 3,
            ..Rejected::default()
        };
        expect_equal("rejected", outcome.rejected, rejected)?;
        let named: Vec<bool> = outcome.refs.iter().map(Option::is_some).collect();
        expect_equal("references", named, vec![false, true, false])?;
    }
    fixture.expect_stored("m", &[("m|a=1", &[(0, 2.0), (1_000, 2.0)])])
}

fn parse_span(span: &[u8]) -> Result<Labels, LabelError> {
    // The checks' own spans are text; anything else would show as a name that nobody expects.
    labels(&String::from_utf8_lossy(span))
}

fn known_refs(outcome: &AppendOutcome) -> Result<Vec<SeriesRef>, Violation> {
    let refs: Option<Vec<SeriesRef>> = outcome.refs.iter().copied().collect();
    refs.ok_or_else(|| Violation::new("a stored series has no reference".to_owned()))
}

type Answer = Result<AppendOutcome, AppendError>;

fn is_out_of_order(answer: &Answer) -> Result<(), String> {
    match answer {
        Err(AppendError::OutOfOrder { .. }) => Ok(()),
        other => Err(format!("want out of order, got {other:?}")),
    }
}

fn is_duplicate(answer: &Answer) -> Result<(), String> {
    match answer {
        Err(AppendError::DuplicateForTimestamp { .. }) => Ok(()),
        other => Err(format!("want duplicate for timestamp, got {other:?}")),
    }
}

fn is_unknown_series(answer: &Answer) -> Result<(), String> {
    match answer {
        Err(AppendError::UnknownSeries) => Ok(()),
        other => Err(format!("want unknown series, got {other:?}")),
    }
}

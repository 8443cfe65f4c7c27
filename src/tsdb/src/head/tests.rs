//! What the head remembers of a series' newest sample.

use std::sync::Arc;

use model::{FloatHistogram, Histogram};
use storage::{Point, PointValue};

use super::*;

fn histogram(sum: f64) -> Histogram {
    Histogram::Float(Arc::new(FloatHistogram {
        sum,
        ..FloatHistogram::default()
    }))
}

/// Takes a sample as the newest one and returns it as rows.
fn reserve(head: &mut HeadSeries, at: i64, value: PointValue<'_>) -> Rows {
    head.reserve(at, value);
    let mut rows = Rows::default();
    let point = Point {
        timestamp: Timestamp::from_millis(at),
        value,
        start_timestamp_ms: 0,
    };
    rows.push(0, &point);
    rows
}

#[test]
fn failed_commits_bring_back_what_was_published() {
    let (one, two) = (histogram(1.0), histogram(2.0));
    let values = [
        PointValue::Histogram(&one),
        PointValue::Histogram(&two),
        PointValue::Float(0.0),
        PointValue::Float(1.0),
    ];
    for published in values {
        for failed in values {
            let head = Head::new();
            let mut locked = head.lock(std::iter::once(0));
            let rows = reserve(locked.series(0), 10, published);
            locked.publish(&rows, 1);
            let rows = reserve(locked.series(0), 20, failed);
            assert!(locked.series(0).repeats(failed));
            locked.abandon(&rows);
            let series = locked.series(0);
            assert_eq!(series.reserved_ms, 10);
            for value in values {
                assert_eq!(
                    series.repeats(value),
                    value == published,
                    "{published:?} {value:?}"
                );
            }
        }
    }
}

#[test]
fn other_kinds_begin_a_chunk() {
    let sum = histogram(1.0);
    let integer = Histogram::Integer(Arc::default());
    let kinds = [
        (PointValue::Float(1.0), 1),
        (PointValue::Float(2.0), 1),
        (PointValue::Histogram(&sum), 2),
        (PointValue::Histogram(&sum), 2),
        (PointValue::Histogram(&integer), 3),
        (PointValue::Float(3.0), 4),
        (PointValue::Histogram(&integer), 5),
    ];
    let head = Head::new();
    for (at, (value, chunks)) in (1..).zip(kinds) {
        let mut locked = head.lock(std::iter::once(0));
        let rows = reserve(locked.series(0), at, value);
        locked.publish(&rows, 1);
        drop(locked);
        assert_eq!(head.snapshot(0).0.len(), chunks, "after {value:?}");
    }
}

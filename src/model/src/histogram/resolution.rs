//! Fewer, wider buckets in place. Source: upstream `ReduceResolution`.

use super::layout::{Cells, coarsened, walk};
use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, IntegerHistogram, Span};

impl FloatHistogram {
    /// Takes the histogram to a coarser schema; everything but schema and buckets stays. Does
    /// nothing if the schema is the same or finer, or if there are custom buckets.
    pub fn reduce_resolution(&mut self, schema: i32) {
        let Some(by) = distance(self.schema, schema) else {
            return;
        };
        let positive = coarsened(walk(&self.positive_spans, &self.positive_buckets), by);
        let negative = coarsened(walk(&self.negative_spans, &self.negative_buckets), by);
        self.schema = schema;
        (self.positive_spans, self.positive_buckets) = (positive.spans, positive.counts);
        (self.negative_spans, self.negative_buckets) = (negative.spans, negative.counts);
    }
}

impl IntegerHistogram {
    /// As [`FloatHistogram::reduce_resolution`].
    pub fn reduce_resolution(&mut self, schema: i32) {
        let Some(by) = distance(self.schema, schema) else {
            return;
        };
        self.schema = schema;
        reduce_side(&mut self.positive_spans, &mut self.positive_deltas, by);
        reduce_side(&mut self.negative_spans, &mut self.negative_deltas, by);
    }
}

/// How many times the number of buckets halves; `None` if nothing is to be done.
fn distance(from: i32, to: i32) -> Option<u32> {
    let custom = from == CUSTOM_BUCKETS_SCHEMA || to == CUSTOM_BUCKETS_SCHEMA;
    (!custom && to < from).then(|| from.abs_diff(to))
}

fn reduce_side(spans: &mut Vec<Span>, deltas: &mut Vec<i64>, by: u32) {
    let mut count = 0_i64;
    for delta in deltas.iter_mut() {
        count = count.wrapping_add(*delta);
        *delta = count;
    }
    let Cells {
        spans: coarse,
        mut counts,
    } = coarsened(walk(spans, deltas), by);
    let mut previous = 0_i64;
    for slot in &mut counts {
        let count = *slot;
        *slot = count.wrapping_sub(previous);
        previous = count;
    }
    (*spans, *deltas) = (coarse, counts);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(offset: i32, length: u32) -> Span {
        Span { offset, length }
    }

    #[test]
    fn neighbours_are_added_up_and_the_rest_stays() {
        // Buckets -1, 0, 1, 2 and 6 with 1, 2, 3, 4 and 5; a negative one at 1 with 7.
        let mut integer = IntegerHistogram {
            counter_reset_hint: crate::CounterResetHint::Gauge,
            schema: 9,
            zero_threshold: 0.5,
            zero_count: 8,
            count: 30,
            sum: 1.5,
            positive_spans: vec![span(-1, 4), span(3, 1)],
            positive_deltas: vec![1, 1, 1, 1, 1],
            negative_spans: vec![span(1, 1)],
            negative_deltas: vec![7],
            ..IntegerHistogram::default()
        };
        let mut float = integer.to_float();
        let before = integer.clone();
        integer.reduce_resolution(8);
        // Two become one: (-1, 0), (1, 2), and 6 with the empty 5.
        let reduced = IntegerHistogram {
            schema: 8,
            positive_spans: vec![span(0, 2), span(1, 1)],
            positive_deltas: vec![3, 4, -2],
            ..before.clone()
        };
        assert_eq!(integer, reduced);
        float.reduce_resolution(8);
        assert_eq!(float, reduced.to_float());
        integer.reduce_resolution(8);
        integer.reduce_resolution(CUSTOM_BUCKETS_SCHEMA);
        assert_eq!(integer, reduced);
    }

    #[test]
    fn the_finest_reserved_schema_leaves_two_buckets() {
        let mut histogram = IntegerHistogram {
            schema: 52,
            positive_spans: vec![span(i32::MIN, 1), span(0, 1), span(i32::MAX, 2)],
            positive_deltas: vec![1, 0, 0, 0],
            ..IntegerHistogram::default()
        };
        histogram.reduce_resolution(8);
        assert_eq!(histogram.positive_spans, [span(0, 2)]);
        assert_eq!(
            histogram.to_float().positive_buckets.iter().sum::<f64>(),
            4.0
        );
    }
}

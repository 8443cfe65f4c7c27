//! `sort` and its like: the order of an instant query's result. Range queries keep their order.

use std::cmp::Ordering;

use super::{Operator, SeriesMeta, Shared};
use crate::error::EngineError;
use crate::functions::quantile::nan_first;
use crate::limits::Reservation;
use crate::slice::SeriesSlice;

/// By what series are ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SortKey {
    /// By value, smallest first; NaN last.
    Ascending,
    /// By value, largest first; NaN last.
    Descending,
    /// By these labels' values, then by all labels.
    Labels(Vec<String>),
    /// The reverse of that.
    LabelsDescending(Vec<String>),
}

/// Orders the series of its input, which has one step.
pub(crate) struct SortOperator {
    input: Box<dyn Operator>,
    key: SortKey,
    sorted: std::vec::IntoIter<SeriesSlice>,
    memory: Reservation,
}

impl SortOperator {
    pub(crate) fn new(input: Box<dyn Operator>, key: SortKey, shared: Shared) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            input,
            key,
            sorted: Vec::new().into_iter(),
            memory,
        }
    }
}

impl Operator for SortOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let metas = self.input.series()?;
        let by_value = matches!(self.key, SortKey::Ascending | SortKey::Descending);
        let mut points = Vec::with_capacity(metas.len());
        for meta in metas {
            let mut slice = SeriesSlice::default();
            self.input.next(&mut slice)?;
            if by_value {
                // Histograms have no order.
                slice.keep_floats();
            }
            if slice.present.get(0) {
                self.memory.add_bytes(size_of::<SeriesSlice>())?;
                self.memory.add_slice(&slice)?;
                points.push((meta, slice));
            }
        }
        points.sort_by(|a, b| compare(&self.key, a, b));
        let (metas, slices): (Vec<_>, Vec<_>) = points.into_iter().unzip();
        self.sorted = slices.into_iter();
        Ok(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        match self.sorted.next() {
            Some(slice) => *out = slice,
            None => out.reset(1),
        }
        Ok(())
    }
}

fn compare(
    key: &SortKey,
    a: &(SeriesMeta, SeriesSlice),
    b: &(SeriesMeta, SeriesSlice),
) -> Ordering {
    match key {
        SortKey::Ascending => ascending(a.1.values[0], b.1.values[0]),
        SortKey::Descending => descending(a.1.values[0], b.1.values[0]),
        SortKey::Labels(labels) => by_labels(labels, &a.0, &b.0),
        SortKey::LabelsDescending(labels) => by_labels(labels, &b.0, &a.0),
    }
}

/// Smallest first, NaN last.
pub(crate) fn ascending(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Largest first, NaN last.
pub(crate) fn descending(a: f64, b: f64) -> Ordering {
    nan_first(&b, &a)
}

fn by_labels(labels: &[String], a: &SeriesMeta, b: &SeriesMeta) -> Ordering {
    labels
        .iter()
        .map(|label| {
            natural(
                a.labels.value_or_empty(label),
                b.labels.value_or_empty(label),
            )
        })
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.labels.cmp(&b.labels))
}

/// Natural order: runs of digits compare as numbers, so that `4m5` is before `4m600`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    loop {
        let (chunk_a, chunk_b) = (first_chunk(rest_a), first_chunk(rest_b));
        if chunk_a.is_empty() || chunk_b.is_empty() {
            return chunk_a.len().cmp(&chunk_b.len());
        }
        let are_numbers = chunk_a.starts_with(|c: char| c.is_ascii_digit())
            && chunk_b.starts_with(|c: char| c.is_ascii_digit());
        let order = if are_numbers {
            let (number_a, number_b) = (significant(chunk_a), significant(chunk_b));
            number_a
                .len()
                .cmp(&number_b.len())
                .then_with(|| number_a.cmp(number_b))
        } else {
            chunk_a.cmp(chunk_b)
        };
        if order.is_ne() {
            return order;
        }
        rest_a = &rest_a[chunk_a.len()..];
        rest_b = &rest_b[chunk_b.len()..];
    }
}

/// The leading run of digits, or of anything else.
fn first_chunk(text: &str) -> &str {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text
        .find(|c: char| c.is_ascii_digit() != is_number)
        .unwrap_or(text.len());
    &text[..end]
}

/// The digits without leading zeros.
fn significant(digits: &str) -> &str {
    digits.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natural_order_reads_numbers() {
        let sorted = [
            "", "1.2.3", "1.11.3", "1.111.3", "4m5", "4m600", "4m1000", "a", "a1", "b",
        ];
        for (index, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(natural(a, b), index.cmp(&other), "{a:?} against {b:?}");
            }
        }
        assert_eq!(natural("007", "7"), Ordering::Equal);
    }

    #[test]
    fn not_a_number_comes_last_both_ways() {
        let mut values = [f64::NAN, 2.0, f64::NEG_INFINITY, 3.0];
        values.sort_by(|a, b| ascending(*a, *b));
        assert_eq!(values[..3], [f64::NEG_INFINITY, 2.0, 3.0]);
        values.sort_by(|a, b| descending(*a, *b));
        assert_eq!(values[..3], [3.0, 2.0, f64::NEG_INFINITY]);
    }
}

//! Writing a sealed chunk of histograms.

use model::histogram::MAX_HISTOGRAM_PARTS;
use model::{FloatHistogram, Histogram, IntegerHistogram};

use super::layout::{Layout, MAX_CHUNK_PARTS};
use super::{absolute, hint_number};
use crate::chunk::{ChunkKind, SampleTimes, put_head};
use crate::integers::encode_plain;
use crate::values::encode_values;
use crate::varint::put_varint;
use crate::{EncodeError, check_length};

/// Appends a sealed chunk of 1 to [`crate::MAX_SAMPLES`] histograms, all with integer counts or
/// all with float counts. Timestamps are in milliseconds and strictly ascending; start timestamps
/// are empty or one per sample, 0 where not known.
///
/// # Errors
/// [`EncodeError`], if the columns differ in length, are empty or too long, if the histograms are
/// of both kinds, or too large. Nothing is appended then.
pub fn encode_histograms(
    times: SampleTimes<'_>,
    histograms: &[Histogram],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    times.check(histograms.len())?;
    check_length(histograms.len())?;
    check_parts(histograms)?;
    let begin = out.len();
    let integers: Option<Vec<&IntegerHistogram>> = histograms
        .iter()
        .map(|histogram| match histogram {
            Histogram::Integer(histogram) => Some(&**histogram),
            Histogram::Float(_) => None,
        })
        .collect();
    let floats: Option<Vec<&FloatHistogram>> = histograms
        .iter()
        .map(|histogram| match histogram {
            Histogram::Float(histogram) => Some(&**histogram),
            Histogram::Integer(_) => None,
        })
        .collect();
    let written = match (integers, floats) {
        (Some(integers), _) => put_head(ChunkKind::IntegerHistograms, times, out)
            .and_then(|()| put_integers(&integers, out)),
        (None, Some(floats)) => {
            put_head(ChunkKind::FloatHistograms, times, out).and_then(|()| put_floats(&floats, out))
        }
        (None, None) => Err(EncodeError::MixedHistograms),
    };
    written.inspect_err(|_| out.truncate(begin))
}

fn check_parts(histograms: &[Histogram]) -> Result<(), EncodeError> {
    let refuse = |parts, limit| Err(EncodeError::TooManyParts { parts, limit });
    let mut all = 0_usize;
    for histogram in histograms {
        let parts = histogram.parts();
        if parts > MAX_HISTOGRAM_PARTS {
            return refuse(parts, MAX_HISTOGRAM_PARTS);
        }
        all += parts;
    }
    if all > MAX_CHUNK_PARTS {
        return refuse(all, MAX_CHUNK_PARTS);
    }
    Ok(())
}

/// Appends the layouts and returns the histograms in runs of equal ones.
fn put_layouts<'h, 'a, T>(
    histograms: &'a [&'h T],
    layout: fn(&'h T) -> Layout<'h>,
    out: &mut Vec<u8>,
) -> Result<Vec<&'a [&'h T]>, EncodeError> {
    let runs: Vec<&[&T]> = histograms
        .chunk_by(|a, b| layout(a).same(&layout(b)))
        .collect();
    put_varint(runs.len() as u64, out);
    for run in &runs {
        put_varint(run.len() as u64, out);
        if let Some(first) = run.first() {
            layout(first).encode(out)?;
        }
    }
    Ok(runs)
}

fn put_integers(histograms: &[&IntegerHistogram], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let runs = put_layouts(histograms, Layout::of_integer, out)?;
    let column =
        |value: fn(&IntegerHistogram) -> i64| histograms.iter().map(|h| value(h)).collect();
    encode_plain(column(|h| hint_number(h.counter_reset_hint).into()), out);
    let sums: Vec<f64> = histograms.iter().map(|h| h.sum).collect();
    encode_values(&sums, out)?;
    encode_plain(column(|h| h.count.cast_signed()), out);
    encode_plain(column(|h| h.zero_count.cast_signed()), out);
    let mut counts: Vec<Vec<i64>> = Vec::new();
    for run in runs {
        let buckets = run
            .first()
            .map_or(0, |first| Layout::of_integer(first).buckets());
        counts.clear();
        counts.resize_with(buckets, || Vec::with_capacity(run.len()));
        for histogram in run {
            let all =
                absolute(&histogram.positive_deltas).chain(absolute(&histogram.negative_deltas));
            counts
                .iter_mut()
                .zip(all)
                .for_each(|(column, count)| column.push(count));
        }
        counts
            .drain(..)
            .for_each(|column| encode_plain(column, out));
    }
    Ok(())
}

fn put_floats(histograms: &[&FloatHistogram], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let runs = put_layouts(histograms, Layout::of_float, out)?;
    let hints = histograms
        .iter()
        .map(|h| hint_number(h.counter_reset_hint).into());
    encode_plain(hints.collect(), out);
    let mut column: Vec<f64> = Vec::with_capacity(histograms.len());
    let values: [fn(&FloatHistogram) -> f64; 3] = [|h| h.sum, |h| h.count, |h| h.zero_count];
    for value in values {
        column.clear();
        column.extend(histograms.iter().map(|h| value(h)));
        encode_values(&column, out)?;
    }
    for run in runs {
        let Some(first) = run.first() else { continue };
        for bucket in 0..first.positive_buckets.len() {
            column.clear();
            column.extend(run.iter().map(|h| h.positive_buckets[bucket]));
            encode_values(&column, out)?;
        }
        for bucket in 0..first.negative_buckets.len() {
            column.clear();
            column.extend(run.iter().map(|h| h.negative_buckets[bucket]));
            encode_values(&column, out)?;
        }
    }
    Ok(())
}

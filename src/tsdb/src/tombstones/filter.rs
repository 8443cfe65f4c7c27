//! A chunk without some of its samples.

use chunkenc::{ChunkKind, HistogramChunk, SampleTimes};
use model::{CounterResetHint, FloatHistogram, Histogram, IntegerHistogram};

use crate::error::TsdbError;

/// A chunk with the samples whose time passes `keep`; empty where none does. What a histogram says
/// of the one before it is forgotten where that one goes.
pub(crate) fn filtered(bytes: &[u8], keep: impl Fn(i64) -> bool) -> Result<Vec<u8>, TsdbError> {
    let corrupt = |error: chunkenc::DecodeError| TsdbError::corrupt("chunk", error.to_string());
    let refused = |error: chunkenc::EncodeError| TsdbError::corrupt("chunk", error.to_string());
    let header = chunkenc::header(bytes).map_err(corrupt)?;
    let mut out = Vec::new();
    if header.kind != ChunkKind::Floats {
        let chunk = HistogramChunk::decode(bytes).map_err(corrupt)?;
        let mut kept = KeptHistograms::default();
        kept.take(&chunk, keep);
        if !kept.timestamps.is_empty() {
            chunkenc::encode_histograms(kept.times(), &kept.histograms, &mut out)
                .map_err(refused)?;
        }
        return Ok(out);
    }
    let (mut timestamps, mut starts, mut values) = (Vec::new(), Vec::new(), Vec::new());
    chunkenc::decode_with_starts(bytes, &mut timestamps, &mut starts, &mut values)
        .map_err(corrupt)?;
    let passes: Vec<bool> = timestamps.iter().map(|at| keep(*at)).collect();
    retain(&mut timestamps, &passes);
    retain(&mut values, &passes);
    retain(&mut starts, &passes);
    if !timestamps.is_empty() {
        let times = SampleTimes {
            timestamps: &timestamps,
            start_timestamps: &starts,
        };
        chunkenc::encode_with_starts(times, &values, &mut out).map_err(refused)?;
    }
    Ok(out)
}

/// Keeps the items at positions that pass; a column that is not there stays so.
fn retain<T>(items: &mut Vec<T>, passes: &[bool]) {
    let mut passes = passes.iter();
    items.retain(|_| passes.next().copied().unwrap_or(true));
}

#[derive(Default)]
struct KeptHistograms {
    timestamps: Vec<i64>,
    starts: Vec<i64>,
    histograms: Vec<Histogram>,
}

impl KeptHistograms {
    fn take(&mut self, chunk: &HistogramChunk, keep: impl Fn(i64) -> bool) {
        let starts = chunk.start_timestamps();
        let mut gap = false;
        for (position, at) in chunk.timestamps().iter().enumerate() {
            let histogram = chunk.histogram(position).filter(|_| keep(*at));
            let Some(histogram) = histogram else {
                gap = true;
                continue;
            };
            self.timestamps.push(*at);
            self.starts.push(starts.get(position).copied().unwrap_or(0));
            self.histograms
                .push(if gap { unsure(histogram) } else { histogram });
            gap = false;
        }
    }

    fn times(&self) -> SampleTimes<'_> {
        SampleTimes {
            timestamps: &self.timestamps,
            start_timestamps: &self.starts,
        }
    }
}

fn unsure(histogram: Histogram) -> Histogram {
    let known = CounterResetHint::NotCounterReset;
    match histogram {
        Histogram::Integer(histogram) if histogram.counter_reset_hint == known => {
            Histogram::Integer(std::sync::Arc::new(IntegerHistogram {
                counter_reset_hint: CounterResetHint::Unknown,
                ..IntegerHistogram::clone(&histogram)
            }))
        }
        Histogram::Float(histogram) if histogram.counter_reset_hint == known => {
            Histogram::Float(std::sync::Arc::new(FloatHistogram {
                counter_reset_hint: CounterResetHint::Unknown,
                ..FloatHistogram::clone(&histogram)
            }))
        }
        other => other,
    }
}

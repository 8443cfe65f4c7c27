//! Any bytes decode as a large chunk or fail; what decodes, encodes to something that decodes to
//! the same bits.
#![no_main]

use chunkenc::{LargeChunk, LargeColumns, LargeSamples, SampleTimes, TimeBounds};
use libfuzzer_sys::fuzz_target;

fn decode(bytes: &[u8], stream: &[i64]) -> Option<(Vec<i64>, Vec<i64>, Vec<f64>)> {
    let (mut timestamps, mut start_timestamps, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let bounds = TimeBounds { min_timestamp: i64::MIN, max_timestamp: i64::MAX };
    let mut columns = LargeColumns {
        timestamps: &mut timestamps,
        start_timestamps: &mut start_timestamps,
        values: &mut values,
    };
    LargeChunk::read(bytes).ok()?.decode(stream, bounds, &mut columns).ok()?;
    Some((timestamps, start_timestamps, values))
}

fuzz_target!(|bytes: &[u8]| {
    let stream: Vec<i64> = (0..9000).map(|i| i * 15_000).collect();
    let Some((timestamps, start_timestamps, values)) = decode(bytes, &stream) else {
        return;
    };
    if timestamps.is_empty() || !timestamps.is_sorted_by(|a, b| a < b) {
        return;
    }
    let times = SampleTimes { timestamps: &timestamps, start_timestamps: &start_timestamps };
    let samples = LargeSamples { times, stream: None, values: &values, facts: None };
    let mut encoded = Vec::new();
    chunkenc::encode_large(&samples, &mut encoded).expect("decoded columns encode");
    let (timestamps_again, _, values_again) = decode(&encoded, &[]).expect("ours decodes");
    assert_eq!(timestamps, timestamps_again);
    assert!(values.iter().map(|v| v.to_bits()).eq(values_again.iter().map(|v| v.to_bits())));
});

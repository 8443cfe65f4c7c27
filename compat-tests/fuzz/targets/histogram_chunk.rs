//! Any bytes decode or fail, as a chunk of histograms and as one histogram; what decodes, encodes
//! to something that decodes to the same bits.
#![no_main]

use chunkenc::{HistogramChunk, SampleTimes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((histogram, _)) = chunkenc::take_histogram(bytes) {
        let mut encoded = Vec::new();
        chunkenc::put_histogram(&histogram, &mut encoded).expect("a decoded histogram encodes");
        let (again, taken) = chunkenc::take_histogram(&encoded).expect("ours decodes");
        assert!(again == histogram && taken == encoded.len());
    }
    let Ok(chunk) = HistogramChunk::decode(bytes) else { return };
    let histograms: Vec<_> = (0..chunk.len()).filter_map(|index| chunk.histogram(index)).collect();
    assert_eq!(histograms.len(), chunk.len());
    if !chunk.timestamps().is_sorted_by(|a, b| a < b) {
        return;
    }
    let times = SampleTimes {
        timestamps: chunk.timestamps(),
        start_timestamps: chunk.start_timestamps(),
    };
    let mut encoded = Vec::new();
    chunkenc::encode_histograms(times, &histograms, &mut encoded).expect("decoded columns encode");
    let again = HistogramChunk::decode(&encoded).expect("ours decodes");
    assert_eq!(chunk.timestamps(), again.timestamps());
    for (index, histogram) in histograms.iter().enumerate() {
        assert!(again.histogram(index).as_ref() == Some(histogram));
    }
});

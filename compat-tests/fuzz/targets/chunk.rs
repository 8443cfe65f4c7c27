//! Any bytes decode or fail; what decodes, encodes to something that decodes to the same bits.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    if chunkenc::decode(bytes, &mut timestamps, &mut values).is_err() || !timestamps.is_sorted_by(|a, b| a < b) {
        return;
    }
    let mut encoded = Vec::new();
    chunkenc::encode(&timestamps, &values, &mut encoded).expect("decoded columns encode");
    let (mut timestamps_again, mut values_again) = (Vec::new(), Vec::new());
    chunkenc::decode(&encoded, &mut timestamps_again, &mut values_again).expect("ours decodes");
    assert_eq!(timestamps, timestamps_again);
    assert!(values.iter().map(|v| v.to_bits()).eq(values_again.iter().map(|v| v.to_bits())));
});

//! Any body decodes or fails, and the labels of every series parse or fail.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remote::WriteDecoder;

fuzz_target!(|body: &[u8]| {
    let mut decoder = WriteDecoder::new();
    let _decoded_or_refused = decoder.decode(body);
    let _parsed_or_refused = remote::labels::parse_labels(body);
});

//! Any body decodes or fails, the labels of every series parse or fail, and metadata finds its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Timestamp;
use remote::WriteDecoder;
use storage::metadata::FamilyTable;

fuzz_target!(|body: &[u8]| {
    let mut decoder = WriteDecoder::new();
    let is_decoded = decoder.decode(body).is_ok();
    // What was refused holds anything, and its metadata ends somewhere.
    let mut table = FamilyTable::default();
    let changes = table.plan(&mut decoder.metadata(), Timestamp::EPOCH);
    assert!(!is_decoded || decoder.has_metadata() || changes.is_empty());
    let is_whole = changes.left_out() == 0;
    table.apply(changes, Timestamp::EPOCH);
    let repeated = table.plan(&mut decoder.metadata(), Timestamp::EPOCH);
    assert!(!is_whole || repeated.is_empty());
    let _parsed_or_refused = remote::labels::parse_labels(body);
});

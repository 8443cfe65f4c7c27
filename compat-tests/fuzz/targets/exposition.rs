//! Any bytes are read in every format without panic, and every series line parses or fails.
#![no_main]

use exposition::{Entry, Format, Parser, parse_series};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for content_type in ["text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"] {
        let Ok(format) = Format::from_content_type(content_type, None) else { continue };
        for entry in Parser::new(format, bytes).map_while(Result::ok) {
            if let Entry::Series(line) = entry {
                let _parsed_or_refused = parse_series(line.raw, line.kind);
            }
        }
    }
});

//! Any pattern compiles or fails; the fast paths of an anchored pattern agree with its engine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use re2::Regex;

fuzz_target!(|input: (&str, &str)| {
    let (pattern, haystack) = input;
    if let Ok(anchored) = Regex::new_anchored(pattern) {
        let by_engine = anchored.captures(haystack).is_some();
        assert_eq!(anchored.is_match(haystack), by_engine, "{pattern:?} on {haystack:?}");
    }
});

//! The codecs as their users see them: exactness, bounds, hostile bytes.

#![expect(clippy::unwrap_used, reason = "helpers outside of test functions")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the generators are in range"
)]

mod corruption;
mod histograms;
mod large;
mod roundtrip;
mod samples;

//! Histograms as text. Source: upstream `String` and `TestExpression` in
//! `model/histogram/float_histogram.go`.

use std::fmt;

use super::layout::walk;
use super::{Bucket, CounterResetHint, FloatHistogram, Span};
use crate::number::format_general;

/// The most buckets that one list of a test expression has.
const MAX_LISTED: i64 = 1 << 20;

impl fmt::Display for Bucket {
    /// As upstream: `[` and `]` for bounds that belong to it, then the count: `(1,2]:3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{},{}{}:{}",
            if self.lower_inclusive { '[' } else { '(' },
            format_general(self.lower),
            format_general(self.upper),
            if self.upper_inclusive { ']' } else { ')' },
            format_general(self.count)
        )
    }
}

impl fmt::Display for FloatHistogram {
    /// As upstream `String`: `{count:3, sum:4.5, [-1,-0.5):1, (1,2]:2}`, populated buckets only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, sum) = (format_general(self.count), format_general(self.sum));
        write!(f, "{{count:{count}, sum:{sum}")?;
        let buckets = self.negative_buckets().chain(self.zero_bucket());
        for bucket in buckets.chain(self.positive_buckets()) {
            if bucket.count != 0.0 {
                write!(f, ", {bucket}")?;
            }
        }
        f.write_str("}")
    }
}

impl FloatHistogram {
    /// The histogram as PromQL test scripts write it: `{{schema:1 count:3 sum:4 buckets:[1 2]}}`.
    /// Its text form if its buckets lie so far apart that the list of them would not fit anywhere.
    #[must_use]
    pub fn to_test_expression(&self) -> String {
        let sides = [
            (
                "offset",
                "buckets",
                &self.positive_spans,
                &self.positive_buckets,
            ),
            (
                "n_offset",
                "n_buckets",
                &self.negative_spans,
                &self.negative_buckets,
            ),
        ];
        let mut parts = self.scalar_parts();
        for (offset_key, key, spans, counts) in sides {
            let Some((offset, list)) = listed(spans, counts) else {
                return self.to_string();
            };
            if offset != 0 {
                parts.push(format!("{offset_key}:{offset}"));
            }
            if !list.is_empty() {
                parts.push(format!("{key}:[{}]", joined(&list)));
            }
        }
        format!("{{{{{}}}}}", parts.join(" "))
    }

    fn scalar_parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if self.schema != 0 {
            parts.push(format!("schema:{}", self.schema));
        }
        for (key, value) in [
            ("count", self.count),
            ("sum", self.sum),
            ("z_bucket", self.zero_count),
            ("z_bucket_w", self.zero_threshold),
        ] {
            if value != 0.0 {
                parts.push(format!("{key}:{}", format_general(value)));
            }
        }
        if self.has_custom_buckets() {
            parts.push(format!("custom_values:[{}]", joined(&self.custom_values)));
        }
        let hint = match self.counter_reset_hint {
            CounterResetHint::Unknown => return parts,
            CounterResetHint::CounterReset => "reset",
            CounterResetHint::NotCounterReset => "not_reset",
            CounterResetHint::Gauge => "gauge",
        };
        parts.push(format!("counter_reset_hint:{hint}"));
        parts
    }
}

/// The first populated bucket and the counts from it to the last one, gaps filled. `None` if that
/// are too many.
fn listed(spans: &[Span], counts: &[f64]) -> Option<(i32, Vec<f64>)> {
    let populated = || walk(spans, counts).filter(|(_, count)| *count != 0.0);
    let Some((first, _)) = populated().next() else {
        return Some((0, Vec::new()));
    };
    let mut list = Vec::new();
    for (index, count) in populated() {
        let position = i64::from(index) - i64::from(first);
        if position > MAX_LISTED {
            return None;
        }
        // Invalid spans may lead back.
        let position = usize::try_from(position).unwrap_or_default();
        if position >= list.len() {
            list.resize(position + 1, 0.0);
        }
        list[position] += count;
    }
    Some((first, list))
}

fn joined(numbers: &[f64]) -> String {
    let texts: Vec<String> = numbers
        .iter()
        .map(|number| format_general(*number))
        .collect();
    texts.join(" ")
}

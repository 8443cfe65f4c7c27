//! Writes JSON by hand, byte for byte as upstream's encoders do. Never builds a tree.

use std::fmt::Write as _;

use model::{Bucket, FloatHistogram, Labels, Timestamp};

/// How texts are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// As JSON demands: label sets. Source: upstream's own encoder of labels.
    Plain,
    /// Also `<`, `>` and `&`, and the two line separators that JavaScript dislikes: everything
    /// else. Source: Go's `encoding/json`.
    Html,
}

/// Appends a text in quotes.
pub(crate) fn push_string(text: &str, escape: Escape, out: &mut String) {
    out.push('"');
    let mut copied = 0;
    for (at, c) in text.char_indices() {
        let needed = match c {
            '"' | '\\' | '\u{0}'..='\u{1f}' => true,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => escape == Escape::Html,
            _ => false,
        };
        if needed {
            out.push_str(&text[copied..at]);
            push_escaped(c, out);
            copied = at + c.len_utf8();
        }
    }
    out.push_str(&text[copied..]);
    out.push('"');
}

fn push_escaped(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c => {
            let _infallible = write!(out, "\\u{:04x}", u32::from(c));
        }
    }
}

/// Appends a label set as an object.
pub(crate) fn push_labels(labels: &Labels, out: &mut String) {
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(name, Escape::Plain, out);
        out.push(':');
        push_string(value, Escape::Plain, out);
    }
    out.push('}');
}

/// Appends a timestamp as samples have it: seconds, with three decimals when there are
/// milliseconds.
pub(crate) fn push_timestamp(timestamp: Timestamp, out: &mut String) {
    timestamp.write_seconds(out);
}

/// Appends `[timestamp,"value"]`.
pub(crate) fn push_point(timestamp: Timestamp, value: f64, out: &mut String) {
    out.push('[');
    push_timestamp(timestamp, out);
    out.push(',');
    push_quoted_number(value, out);
    out.push(']');
}

/// Appends `[timestamp,{"count":"…","sum":"…","buckets":[…]}]`. Empty buckets are left out.
pub(crate) fn push_histogram_point(
    timestamp: Timestamp,
    histogram: &FloatHistogram,
    out: &mut String,
) {
    out.push('[');
    push_timestamp(timestamp, out);
    out.push_str(",{\"count\":");
    push_quoted_number(histogram.count, out);
    out.push_str(",\"sum\":");
    push_quoted_number(histogram.sum, out);
    let mut is_first = true;
    for bucket in histogram.all_buckets().filter(|bucket| bucket.count != 0.0) {
        out.push_str(if is_first { ",\"buckets\":[" } else { "," });
        is_first = false;
        push_bucket(&bucket, out);
    }
    out.push_str(if is_first { "}]" } else { "]}]" });
}

/// Appends `[rule,"lower","upper","count"]`; the rule tells which bounds belong to the bucket.
fn push_bucket(bucket: &Bucket, out: &mut String) {
    let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
        (false, true) => '0',
        (true, false) => '1',
        (false, false) => '2',
        (true, true) => '3',
    };
    out.push('[');
    out.push(rule);
    for number in [bucket.lower, bucket.upper, bucket.count] {
        out.push(',');
        push_quoted_number(number, out);
    }
    out.push(']');
}

/// Appends a number as samples have it: as a text.
pub(crate) fn push_quoted_number(value: f64, out: &mut String) {
    out.push('"');
    model::number::write_api(value, out);
    out.push('"');
}

/// Appends a finite number as Go's `encoding/json` does; NaN and infinities become 0.
pub(crate) fn push_number(value: f64, out: &mut String) {
    model::number::write_api(if value.is_finite() { value } else { 0.0 }, out);
}

/// Appends `items` in brackets.
pub(crate) fn push_array<T>(
    items: impl IntoIterator<Item = T>,
    out: &mut String,
    mut push: impl FnMut(T, &mut String),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(item, out);
    }
    out.push(']');
}

/// Appends texts in brackets.
pub(crate) fn push_strings<S: AsRef<str>>(items: &[S], out: &mut String) {
    push_array(items, out, |item, out| {
        push_string(item.as_ref(), Escape::Html, out)
    });
}

/// Writes an object, key by key.
pub(crate) struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// Opens the object.
    pub(crate) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self {
            out,
            is_empty: true,
        }
    }

    /// Goes on with an object that was opened and has a key already.
    pub(crate) fn resume(out: &'a mut String) -> Self {
        Self {
            out,
            is_empty: false,
        }
    }

    /// Writes a key and gives the output, to which the value has to be appended.
    pub(crate) fn key(&mut self, key: &str) -> &mut String {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        push_string(key, Escape::Html, self.out);
        self.out.push(':');
        self.out
    }

    /// Writes a text.
    pub(crate) fn string(&mut self, key: &str, value: &str) -> &mut Self {
        push_string(value, Escape::Html, self.key(key));
        self
    }

    /// Writes a label set.
    pub(crate) fn labels(&mut self, key: &str, value: &Labels) -> &mut Self {
        push_labels(value, self.key(key));
        self
    }

    /// Writes an integer.
    pub(crate) fn integer(&mut self, key: &str, value: impl Into<i128>) -> &mut Self {
        let _infallible = write!(self.key(key), "{}", value.into());
        self
    }

    /// Writes a number.
    pub(crate) fn number(&mut self, key: &str, value: f64) -> &mut Self {
        push_number(value, self.key(key));
        self
    }

    /// Writes `true` or `false`.
    pub(crate) fn boolean(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key).push_str(if value { "true" } else { "false" });
        self
    }

    /// Closes the object.
    pub(crate) fn end(self) {
        self.out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_upstream() {
        for (text, plain, html) in [
            ("a<b>&", "\"a<b>&\"", "\"a\\u003cb\\u003e\\u0026\""),
            (
                "\"\\\n\r\t",
                "\"\\\"\\\\\\n\\r\\t\"",
                "\"\\\"\\\\\\n\\r\\t\"",
            ),
            (
                "\u{8}\u{c}\u{1}",
                "\"\\u0008\\u000c\\u0001\"",
                "\"\\u0008\\u000c\\u0001\"",
            ),
            ("\u{7f}äΩ😀", "\"\u{7f}äΩ😀\"", "\"\u{7f}äΩ😀\""),
            ("\u{2028}", "\"\u{2028}\"", "\"\\u2028\""),
            ("", "\"\"", "\"\""),
        ] {
            for (escape, want) in [(Escape::Plain, plain), (Escape::Html, html)] {
                let mut out = String::new();
                push_string(text, escape, &mut out);
                assert_eq!(out, want);
            }
        }
    }

    #[test]
    fn writes_objects_in_order() {
        let mut out = String::new();
        let labels = Labels::from_pairs([("b", "2<"), ("A", "1")]).unwrap();
        let mut object = Object::begin(&mut out);
        object
            .string("z", "x")
            .labels("l", &labels)
            .integer("i", -5)
            .boolean("t", true);
        object.number("n", 1e-7).number("nan", f64::NAN);
        push_strings(&["p", "q"], object.key("s"));
        object.end();
        let want =
            r#"{"z":"x","l":{"A":"1","b":"2<"},"i":-5,"t":true,"n":1e-07,"nan":0,"s":["p","q"]}"#;
        assert_eq!(out, want);
    }

    #[test]
    fn writes_points_as_upstream() {
        for (millis, value, want) in [
            (0, 0.0, r#"[0,"0"]"#),
            (1_050, 1e21, r#"[1.050,"1e+21"]"#),
            (1_000, f64::NAN, r#"[1,"NaN"]"#),
            (-1, f64::NEG_INFINITY, r#"[-0.001,"-Inf"]"#),
            (1_795_443_666_621, 0.1, r#"[1795443666.621,"0.1"]"#),
        ] {
            let mut out = String::new();
            push_point(Timestamp::from_millis(millis), value, &mut out);
            assert_eq!(out, want);
        }
    }
}

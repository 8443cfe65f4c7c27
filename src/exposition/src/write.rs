//! Writes the text format 0.0.4. Names outside its character set are written in quotes, as 1.0.0
//! does.

use model::labels::{is_legacy_label_name, is_legacy_metric_name};

use crate::entry::MetricKind;

/// Writes an exposition, family by family.
#[derive(Clone, Debug, Default)]
pub struct TextWriter {
    out: String,
}

impl TextWriter {
    /// An exposition without lines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a family: its `# HELP` line, unless `help` is empty, and its `# TYPE` line.
    pub fn family(&mut self, name: &str, help: &str, kind: MetricKind) -> &mut Self {
        if !help.is_empty() {
            self.out.push_str("# HELP ");
            self.metric_name(name);
            self.out.push(' ');
            escape(help, Quotes::Keep, &mut self.out);
            self.out.push('\n');
        }
        self.out.push_str("# TYPE ");
        self.metric_name(name);
        self.out.push(' ');
        self.out.push_str(kind.as_text_format());
        self.out.push('\n');
        self
    }

    /// Writes a sample without a timestamp.
    pub fn sample<'l>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: f64,
    ) -> &mut Self {
        self.series(name, labels);
        self.out.push(' ');
        self.out.push_str(&model::number::format_general(value));
        self.out.push('\n');
        self
    }

    /// Writes a sample with its time in milliseconds since the epoch.
    pub fn sample_at<'l>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: f64,
        timestamp_ms: i64,
    ) -> &mut Self {
        self.sample(name, labels, value);
        self.out.pop();
        self.out.push(' ');
        self.out.push_str(&timestamp_ms.to_string());
        self.out.push('\n');
        self
    }

    /// The exposition.
    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }

    fn series<'l>(&mut self, name: &str, labels: impl IntoIterator<Item = (&'l str, &'l str)>) {
        let plain_name = is_legacy_metric_name(name);
        let mut separator = '{';
        if plain_name {
            self.out.push_str(name);
        } else {
            self.out.push('{');
            self.metric_name(name);
            separator = ',';
        }
        for (label, value) in labels {
            self.out.push(separator);
            separator = ',';
            if is_legacy_label_name(label) {
                self.out.push_str(label);
            } else {
                self.quoted(label);
            }
            self.out.push('=');
            self.quoted(value);
        }
        if separator == ',' {
            self.out.push('}');
        }
    }

    fn metric_name(&mut self, name: &str) {
        if is_legacy_metric_name(name) {
            self.out.push_str(name);
        } else {
            self.quoted(name);
        }
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        escape(text, Quotes::Escape, &mut self.out);
        self.out.push('"');
    }
}

/// What happens to double quotes: help texts keep them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Keep,
    Escape,
}

fn escape(text: &str, quotes: Quotes, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes == Quotes::Escape => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_families() {
        let mut writer = TextWriter::new();
        writer
            .family(
                "requests_total",
                "All \"requests\",\nby C:\\ drive.",
                MetricKind::Counter,
            )
            .sample(
                "requests_total",
                [("drive", "C:\\"), ("note", "a \"b\"\n")],
                1e6,
            )
            .sample_at("requests_total", [], 0.5, -7)
            .family("rule.lag", "", MetricKind::Unknown)
            .sample("rule.lag", [("group.name", "a")], f64::INFINITY)
            .sample("rule.lag", [], f64::NAN);
        let want = [
            r#"# HELP requests_total All "requests",\nby C:\\ drive."#,
            "# TYPE requests_total counter",
            r#"requests_total{drive="C:\\",note="a \"b\"\n"} 1e+06"#,
            "requests_total 0.5 -7",
            r#"# TYPE "rule.lag" untyped"#,
            r#"{"rule.lag","group.name"="a"} +Inf"#,
            r#"{"rule.lag"} NaN"#,
            "",
        ];
        assert_eq!(writer.finish(), want.join("\n"));
    }
}

//! Bodies of remote write 1.0, made without an allocation for a series: the labels of a template
//! are encoded once, around what differs between targets.

use super::load::{self, INSTANCE, NODE_NAME};

/// A template's labels in protobuf.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    /// Labels that all targets share, one after the other.
    Labels(Vec<u8>),
    /// A label whose value is the address of the target.
    Instance(String),
    /// A label whose value is the name of the machine.
    NodeName(String),
}

impl Template {
    pub(super) fn new(template: &load::Template) -> Self {
        let mut pieces = Vec::new();
        for (name, value) in &template.labels {
            match (value.as_str(), pieces.last_mut()) {
                (INSTANCE, _) => pieces.push(Piece::Instance(name.clone())),
                (NODE_NAME, _) => pieces.push(Piece::NodeName(name.clone())),
                (_, Some(Piece::Labels(labels))) => put_label(labels, name, value),
                _ => {
                    let mut labels = Vec::new();
                    put_label(&mut labels, name, value);
                    pieces.push(Piece::Labels(labels));
                }
            }
        }
        Self(pieces)
    }
}

/// Collects the series of one request after the other.
pub(super) struct Encoder {
    request: Vec<u8>,
    series: Vec<u8>,
    /// The target of the names below.
    target: Option<u32>,
    instance: String,
    node_name: String,
    snappy: snap::raw::Encoder,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            request: Vec::new(),
            series: Vec::new(),
            target: None,
            instance: String::new(),
            node_name: String::new(),
            snappy: snap::raw::Encoder::new(),
        }
    }
}

impl Encoder {
    /// Adds a series; without samples it is left out.
    pub(super) fn series(
        &mut self,
        template: &Template,
        target: u32,
        samples: impl Iterator<Item = (i64, f64)>,
    ) {
        if self.target != Some(target) {
            self.target = Some(target);
            self.instance = load::instance(target);
            self.node_name = load::node_name(target);
        }
        self.series.clear();
        for piece in &template.0 {
            match piece {
                Piece::Labels(labels) => self.series.extend_from_slice(labels),
                Piece::Instance(name) => put_label(&mut self.series, name, &self.instance),
                Piece::NodeName(name) => put_label(&mut self.series, name, &self.node_name),
            }
        }
        let labels_length = self.series.len();
        for (at_ms, value) in samples {
            put_sample(&mut self.series, at_ms, value);
        }
        if self.series.len() > labels_length {
            put_bytes(&mut self.request, 1, &self.series);
        }
    }

    /// The body of what was added, compressed.
    pub(super) fn finish(&mut self) -> anyhow::Result<Vec<u8>> {
        let body = self.snappy.compress_vec(&self.request)?;
        self.request.clear();
        Ok(body)
    }
}

/// `prometheus.Label` as field 1 of its series.
fn put_label(into: &mut Vec<u8>, name: &str, value: &str) {
    let field = |text: &str| 1 + varint_length(text.len() as u64) + text.len();
    into.push(0x0a);
    put_varint(into, (field(name) + field(value)) as u64);
    put_bytes(into, 1, name.as_bytes());
    put_bytes(into, 2, value.as_bytes());
}

/// `prometheus.Sample` as field 2 of its series; a value of zero is left out, as senders do.
fn put_sample(into: &mut Vec<u8>, at_ms: i64, value: f64) {
    let at = at_ms.cast_unsigned();
    let value_length = if value.to_bits() == 0 { 0 } else { 9 };
    into.push(0x12);
    put_varint(into, (value_length + 1 + varint_length(at)) as u64);
    if value_length > 0 {
        into.push(0x09);
        into.extend_from_slice(&value.to_le_bytes());
    }
    into.push(0x10);
    put_varint(into, at);
}

fn put_bytes(into: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    into.push(field << 3 | 2);
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    into.push(low_bits(value));
}

fn low_bits(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use testkit::remote_write::{Sample, TimeSeries, body, labels};

    use super::*;
    use crate::commands::bench::load::{Model, Template as LoadTemplate};

    #[test]
    fn bodies_are_those_of_a_protobuf_library() {
        let pairs = [
            ("__name__", "a"),
            ("instance", INSTANCE),
            ("le", "+Inf"),
            ("nodename", NODE_NAME),
        ];
        let template = LoadTemplate {
            labels: pairs
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            model: Model::Constant(1.0),
        };
        let samples = [
            (1_700_000_000_000, 0.5),
            (1_700_000_015_001, 0.0),
            (-1, 2.5),
        ];
        let mut encoder = Encoder::default();
        let encoded = Template::new(&template);
        encoder.series(&encoded, 7, samples.into_iter());
        encoder.series(&encoded, 8, samples.into_iter().take(1));
        encoder.series(&encoded, 9, std::iter::empty());
        let series = |target: u32, count: usize| TimeSeries {
            labels: labels(&[
                ("__name__", "a"),
                ("instance", &load::instance(target)),
                ("le", "+Inf"),
                ("nodename", &load::node_name(target)),
            ]),
            samples: samples
                .iter()
                .take(count)
                .map(|(timestamp, value)| Sample {
                    value: *value,
                    timestamp: *timestamp,
                })
                .collect(),
            ..TimeSeries::default()
        };
        assert_eq!(
            encoder.finish().unwrap(),
            body(vec![series(7, 3), series(8, 1)]).unwrap()
        );
    }
}

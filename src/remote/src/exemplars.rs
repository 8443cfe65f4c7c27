//! Exemplars of remote write 1.0: read apart from the samples, by those who keep them.

use model::{Exemplar, Timestamp};
use storage::SeriesExemplars;

use crate::labels::{LABEL_TAG, parse_exemplar_labels, parse_labels};
use crate::wire::{Reader, WireError, WireType, push_varint};

/// Reads the exemplars of all series of a decompressed message. Series without any, or with labels
/// that form no set, are left out.
pub(crate) fn read_exemplars(message: &[u8]) -> Result<Vec<SeriesExemplars>, WireError> {
    let mut found = Vec::new();
    let mut reader = Reader::new(message);
    while let Some(tag) = reader.tag()? {
        if tag.field == 1 && tag.wire_type == WireType::Bytes {
            found.extend(read_series(reader.bytes()?)?);
        } else {
            reader.skip(tag.wire_type)?;
        }
    }
    Ok(found)
}

fn read_series(series: &[u8]) -> Result<Option<SeriesExemplars>, WireError> {
    let mut labels = Vec::new();
    let mut exemplars = Vec::new();
    let mut reader = Reader::new(series);
    while let Some(tag) = reader.tag()? {
        match (tag.field, tag.wire_type) {
            (1, WireType::Bytes) => push_label(reader.bytes()?, &mut labels),
            (3, WireType::Bytes) => exemplars.extend(read_exemplar(reader.bytes()?)?),
            _ => reader.skip(tag.wire_type)?,
        }
    }
    let labels = match parse_labels(&labels) {
        Ok(labels) if !exemplars.is_empty() => labels,
        Ok(_) | Err(_) => return Ok(None),
    };
    Ok(Some(SeriesExemplars {
        series: labels,
        exemplars,
    }))
}

/// `None` where its labels form no set.
fn read_exemplar(bytes: &[u8]) -> Result<Option<Exemplar>, WireError> {
    let mut labels = Vec::new();
    let (mut value_bits, mut timestamp_ms) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some(tag) = reader.tag()? {
        match (tag.field, tag.wire_type) {
            (1, WireType::Bytes) => push_label(reader.bytes()?, &mut labels),
            (2, WireType::Fixed64) => value_bits = reader.fixed64()?,
            (3, WireType::Varint) => timestamp_ms = reader.varint()?.cast_signed(),
            _ => reader.skip(tag.wire_type)?,
        }
    }
    let labels = parse_exemplar_labels(&labels).ok();
    Ok(labels.map(|labels| Exemplar {
        labels,
        value: f64::from_bits(value_bits),
        timestamp: Timestamp::from_millis(timestamp_ms),
    }))
}

/// Adds a label as series have them.
fn push_label(label: &[u8], out: &mut Vec<u8>) {
    out.push(LABEL_TAG);
    push_varint(label.len() as u64, out);
    out.extend_from_slice(label);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        push_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    }

    fn label(name: &str, value: &str) -> Vec<u8> {
        let fields = [field(0x0a, name.as_bytes()), field(0x12, value.as_bytes())];
        field(0x0a, &fields.concat())
    }

    fn exemplar(labels: &[u8], value: f64, timestamp_ms: i64) -> Vec<u8> {
        let mut body = labels.to_vec();
        body.push(0x11);
        body.extend_from_slice(&value.to_le_bytes());
        body.push(0x18);
        push_varint(timestamp_ms.cast_unsigned(), &mut body);
        field(0x1a, &body)
    }

    #[test]
    fn exemplars_are_read_with_their_series() {
        let series = |parts: &[Vec<u8>]| field(0x0a, &parts.concat());
        let trace = label("trace_id", "x");
        let twice = [label("a", "1"), label("a", "2")].concat();
        let message = [
            series(&[
                label("__name__", "m"),
                exemplar(&trace, 0.5, -3),
                field(0x12, &[0x10, 7]),
                exemplar(&twice, 1.0, 1),
                exemplar(&[], 2.0, 2),
            ]),
            series(&[label("__name__", "none")]),
            series(&[label("no_name", "m"), exemplar(&trace, 1.0, 1)]),
        ]
        .concat();
        let found = read_exemplars(&message).unwrap();
        let texts: Vec<String> = found
            .iter()
            .flat_map(|found| {
                let exemplars = found.exemplars.iter();
                exemplars.map(|it| {
                    let at = it.timestamp.as_millis();
                    format!("{} {} {}@{at}", found.series, it.labels, it.value)
                })
            })
            .collect();
        let want = [
            r#"{__name__="m"} {trace_id="x"} 0.5@-3"#,
            r#"{__name__="m"} {} 2@2"#,
        ];
        assert_eq!(texts, want);
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_exemplars(&bytes);
            let _ = read_exemplars(&field(0x0a, &bytes));
            let _ = read_exemplars(&field(0x0a, &field(0x1a, &bytes)));
        }
    }
}

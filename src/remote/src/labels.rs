//! Label fields of remote write 1.0: checked on every request, read only when an engine meets a
//! series for the first time.

use model::{LabelError, Labels, METRIC_NAME};

use crate::wire::{Reader, WireError, WireType};

/// First byte of every span: field 1 of a series, length and bytes. Spans of other encodings (a
/// line of a scrape never starts with a line feed) therefore differ from all of ours.
pub(crate) const LABEL_TAG: u8 = 0x0a;

const NAME_TAG: u8 = 0x0a;
const VALUE_TAG: u8 = 0x12;

/// Checks the bytes of one label without reading them as text.
#[inline]
pub(crate) fn check_label(label: &[u8]) -> Result<(), WireError> {
    if is_plain(label) {
        Ok(())
    } else {
        read_label(label).map(drop)
    }
}

/// Gives the position behind the label fields at the start of a series, as far as they are laid out
/// as every sender lays them out. This is where a decoder spends its time.
#[inline]
pub(crate) fn skip_plain_labels(series: &[u8]) -> usize {
    let mut rest = series;
    while let [LABEL_TAG, length @ 0..=0x7f, tail @ ..] = rest
        && let Some((label, after)) = tail.split_at_checked(usize::from(*length))
        && is_plain(label)
    {
        rest = after;
    }
    series.len() - rest.len()
}

/// Whether a label is laid out as every sender lays it out: name, value, both shorter than 128
/// bytes, and nothing else.
#[inline]
fn is_plain(label: &[u8]) -> bool {
    let [NAME_TAG, name_length @ 0..=0x7f, rest @ ..] = label else {
        return false;
    };
    match rest.get(usize::from(*name_length)..) {
        Some([VALUE_TAG, value_length @ 0..=0x7f, value @ ..]) => {
            value.len() == usize::from(*value_length)
        }
        _ => false,
    }
}

/// Name and value of one label; an absent field is empty, of repeated ones the last counts.
fn read_label(label: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut name, mut value) = (&[][..], &[][..]);
    let mut reader = Reader::new(label);
    while let Some(tag) = reader.tag()? {
        match tag.field {
            1 => {
                tag.expect(WireType::Bytes, "Name")?;
                name = reader.bytes()?;
            }
            2 => {
                tag.expect(WireType::Bytes, "Value")?;
                value = reader.bytes()?;
            }
            _ => reader.skip(tag.wire_type)?,
        }
    }
    Ok((name, value))
}

/// Reads the label fields of one series, in any order, as a label set. Labels with an empty value
/// are left out.
///
/// # Errors
/// The metric name is missing or empty, a label name is empty or occurs twice, or a text is not
/// UTF-8: what upstream's receiver skips with `Invalid metric names or labels`.
pub fn parse_labels(span: &[u8]) -> Result<Labels, LabelError> {
    let pairs = read_pairs(span)?;
    if !pairs
        .iter()
        .any(|(name, value)| *name == METRIC_NAME && !value.is_empty())
    {
        return Err(LabelError::MissingMetricName);
    }
    Labels::from_sorted(&pairs)
}

/// Reads label fields that lie side by side, of an exemplar: without a metric name.
pub(crate) fn parse_exemplar_labels(span: &[u8]) -> Result<Labels, LabelError> {
    Labels::from_sorted(&read_pairs(span)?)
}

/// Names and values in order of names.
fn read_pairs(span: &[u8]) -> Result<Vec<(&str, &str)>, LabelError> {
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(16);
    let mut reader = Reader::new(span);
    while let Some(tag) = reader.tag().map_err(|_| LabelError::Malformed)? {
        if tag.field != 1 || tag.wire_type != WireType::Bytes {
            return Err(LabelError::Malformed);
        }
        let label = reader.bytes().map_err(|_| LabelError::Malformed)?;
        let (name, value) = read_label(label).map_err(|_| LabelError::Malformed)?;
        pairs.push((utf8(name)?, utf8(value)?));
    }
    // Senders sort by name, so the check almost always saves the sort.
    if !pairs.is_sorted_by(|(a, _), (b, _)| a <= b) {
        pairs.sort_by_key(|(name, _)| *name);
    }
    Ok(pairs)
}

fn utf8(bytes: &[u8]) -> Result<&str, LabelError> {
    std::str::from_utf8(bytes)
        .map_err(|_| LabelError::NotUtf8(String::from_utf8_lossy(bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::push_varint;

    fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        push_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    }

    fn label(name: &[u8], value: &[u8]) -> Vec<u8> {
        field(
            LABEL_TAG,
            &[field(NAME_TAG, name), field(VALUE_TAG, value)].concat(),
        )
    }

    #[test]
    fn reads_labels_as_upstream_does() {
        let name = label(b"__name__", b"up");
        for (span, want) in [
            (name.clone(), Ok("{__name__=\"up\"}")),
            (
                [name.clone(), label(b"a", b"1")].concat(),
                Ok("{__name__=\"up\", a=\"1\"}"),
            ),
            (
                [label(b"b", b"2"), label(b"a", b"1"), name.clone()].concat(),
                Ok("{__name__=\"up\", a=\"1\", b=\"2\"}"),
            ),
            (
                [name.clone(), label(b"a", b"")].concat(),
                Ok("{__name__=\"up\"}"),
            ),
            (
                [name.clone(), label(b"a.b", b"1")].concat(),
                Ok("{__name__=\"up\", \"a.b\"=\"1\"}"),
            ),
            (Vec::new(), Err("metric name is missing")),
            (label(b"a", b"1"), Err("metric name is missing")),
            (label(b"__name__", b""), Err("metric name is missing")),
            (
                [name.clone(), label(b"", b"1")].concat(),
                Err("label name is empty"),
            ),
            (
                [
                    name.clone(),
                    label(b"a", b"1"),
                    label(b"b", b"1"),
                    label(b"a", b"2"),
                ]
                .concat(),
                Err("duplicate label name \"a\""),
            ),
            (
                [name.clone(), label(b"a", b"\xff")].concat(),
                Err("label \"\u{fffd}\" is not valid UTF-8"),
            ),
            (
                [name.clone(), vec![0x12, 0]].concat(),
                Err("labels do not decode"),
            ),
            (
                [name.clone(), vec![LABEL_TAG, 9]].concat(),
                Err("labels do not decode"),
            ),
        ] {
            let got = parse_labels(&span).map(|labels| labels.to_string());
            assert_eq!(
                got.map_err(|e| e.to_string()),
                want.map(str::to_owned).map_err(str::to_owned)
            );
        }
    }

    #[test]
    fn reads_unusual_layouts() {
        let long = "x".repeat(300);
        let inner = [
            field(VALUE_TAG, b"first"),
            vec![0x18, 5],
            field(NAME_TAG, b"__name__"),
            field(VALUE_TAG, long.as_bytes()),
        ]
        .concat();
        let labels = parse_labels(&field(LABEL_TAG, &inner)).unwrap();
        assert_eq!(labels.metric_name(), Some(long.as_str()));
        assert_eq!(check_label(&inner), Ok(()));
        assert!(!is_plain(&inner));
    }
}

//! Records of metadata: version, checksum, kind, help, unit.

use storage::{FamilyMetadata, MetadataEntry, MetricKind};

use crate::error::TsdbError;
use crate::varint;

const VERSION: u8 = 1;

/// Kinds by their number in records. Source: `MetricMetadata.MetricType` in upstream's
/// `prompb/types.proto`.
const KINDS: [MetricKind; 8] = [
    MetricKind::Unknown,
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::GaugeHistogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
];

/// The value that is stored under the name of a family.
pub(super) fn encode(metadata: &FamilyMetadata) -> Vec<u8> {
    let FamilyMetadata {
        family,
        kind,
        help,
        unit,
    } = metadata;
    let number = KINDS.iter().position(|known| known == kind).unwrap_or(0);
    let mut payload = Vec::with_capacity(help.len() + unit.len() + 8);
    payload.extend(u8::try_from(number));
    varint::put(&mut payload, help.len() as u64);
    payload.extend_from_slice(help.as_bytes());
    payload.extend_from_slice(unit.as_bytes());
    let mut value = vec![VERSION];
    value.extend_from_slice(&checksum(family.as_bytes(), &payload).to_le_bytes());
    value.extend_from_slice(&payload);
    value
}

/// Reads the value of [`encode`].
pub(super) fn decode<'a>(key: &'a [u8], value: &'a [u8]) -> Result<MetadataEntry<'a>, TsdbError> {
    let corrupt = |reason: &str| TsdbError::corrupt("metadata", reason);
    let (version, rest) = value.split_first().ok_or_else(|| corrupt("it is empty"))?;
    if *version != VERSION {
        return Err(corrupt(&format!("unknown version {version}")));
    }
    let (stored, payload) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| corrupt("it ends in its header"))?;
    if u32::from_le_bytes(*stored) != checksum(key, payload) {
        return Err(corrupt("checksum mismatch"));
    }
    take(key, payload).ok_or_else(|| corrupt("it does not decode"))
}

fn take<'a>(key: &'a [u8], payload: &'a [u8]) -> Option<MetadataEntry<'a>> {
    let (number, mut rest) = payload.split_first()?;
    let kind = *KINDS.get(usize::from(*number))?;
    let length = usize::try_from(varint::take(&mut rest)?).ok()?;
    let (help, unit) = rest.split_at_checked(length)?;
    Some(MetadataEntry {
        family: std::str::from_utf8(key).ok()?,
        kind,
        help: std::str::from_utf8(help).ok()?,
        unit: std::str::from_utf8(unit).ok()?,
    })
}

/// Of the key too, so that a record under a wrong name is no record.
fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_back(
            family in "\\PC{1,20}", number in 0..KINDS.len(), help in "\\PC{0,300}", unit in "\\PC{0,9}"
        ) {
            let kind = KINDS[number];
            let entry = MetadataEntry { family: &family, kind, help: &help, unit: &unit };
            let value = encode(&entry.to_metadata());
            prop_assert_eq!(decode(family.as_bytes(), &value).ok(), Some(entry));
            prop_assert!(decode(b"another name, as long as none", &value).is_err());
        }

        #[test]
        fn damaged_records_are_refused(at in 0..40_usize, flip in 1..=u8::MAX, cut: bool) {
            let entry = MetadataEntry {
                family: "family",
                kind: MetricKind::Gauge,
                help: "some help about it, long enough",
                unit: "bytes",
            };
            let mut value = encode(&entry.to_metadata());
            let at = at.min(value.len() - 1);
            if cut {
                value.truncate(at);
            } else {
                value[at] ^= flip;
            }
            prop_assert!(decode(b"family", &value).is_err());
        }

        #[test]
        fn any_payload_decodes_or_fails(payload in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut value = vec![VERSION];
            value.extend_from_slice(&checksum(b"m", &payload).to_le_bytes());
            value.extend_from_slice(&payload);
            let _decoded_or_refused = decode(b"m", &value);
        }
    }
}

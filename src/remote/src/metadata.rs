//! Metadata of metric families in a request: field 3 of the message, which most requests lack.

use storage::{MetadataEntry, MetricKind};

use crate::wire::{Reader, WireError, WireType};

/// Field of a request that holds metadata.
pub(crate) const METADATA_FIELD: u32 = 3;

/// Walks over the metadata of a whole message, and over everything else. Ends at the first thing
/// that is damaged.
#[derive(Clone, Debug)]
pub(crate) struct MetadataEntries<'a>(Reader<'a>);

impl<'a> MetadataEntries<'a> {
    pub(crate) const fn of(message: &'a [u8]) -> Self {
        Self(Reader::new(message))
    }

    fn next_entry(&mut self) -> Result<Option<MetadataEntry<'a>>, WireError> {
        while let Some(tag) = self.0.tag()? {
            if tag.field != METADATA_FIELD || tag.wire_type != WireType::Bytes {
                self.0.skip(tag.wire_type)?;
                continue;
            }
            if let Some(entry) = read_metadata(self.0.bytes()?)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for MetadataEntries<'a> {
    type Item = MetadataEntry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().ok().flatten()
    }
}

/// Reads one message of metadata; `None` if one of its texts is none.
pub(crate) fn read_metadata(bytes: &[u8]) -> Result<Option<MetadataEntry<'_>>, WireError> {
    let mut kind = 0;
    let (mut family, mut help, mut unit): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let mut reader = Reader::new(bytes);
    while let Some(tag) = reader.tag()? {
        let (text, name) = match tag.field {
            1 => {
                tag.expect(WireType::Varint, "Type")?;
                kind = reader.varint()?;
                continue;
            }
            2 => (&mut family, "MetricFamilyName"),
            4 => (&mut help, "Help"),
            5 => (&mut unit, "Unit"),
            _ => {
                reader.skip(tag.wire_type)?;
                continue;
            }
        };
        tag.expect(WireType::Bytes, name)?;
        *text = reader.bytes()?;
    }
    let texts = [family, help, unit].map(std::str::from_utf8);
    let [Ok(family), Ok(help), Ok(unit)] = texts else {
        return Ok(None);
    };
    Ok(Some(MetadataEntry {
        family,
        // An enumeration is an int32: whatever is above goes.
        kind: kind_of(kind & u64::from(u32::MAX)),
        help,
        unit,
    }))
}

/// Source: `MetricMetadata.MetricType` in upstream's `prompb/types.proto`; what it lacks is unknown.
const fn kind_of(number: u64) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

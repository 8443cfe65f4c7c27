//! Partitions: one day of samples each. Retention drops whole ones.

use model::{TimeRange, Timestamp};

/// Length of a partition.
pub(crate) const PARTITION_MS: i64 = 24 * 3600 * 1000;

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Partition(i32);

impl Partition {
    /// The partition that holds `at`; `None` beyond the 5.8 million years that day numbers reach.
    pub(crate) fn of(at: Timestamp) -> Option<Self> {
        i32::try_from(at.as_millis().div_euclid(PARTITION_MS))
            .ok()
            .map(Self)
    }

    /// The partition that holds `at`, or the nearest one there is.
    pub(crate) fn nearest(at: Timestamp) -> Self {
        let edge = if at < Timestamp::EPOCH {
            i32::MIN
        } else {
            i32::MAX
        };
        Self::of(at).unwrap_or(Self(edge))
    }

    /// First instant inside.
    pub(crate) fn start_ms(self) -> i64 {
        i64::from(self.0) * PARTITION_MS
    }

    /// Both ends of the day.
    pub(crate) fn range(self) -> TimeRange {
        let start = self.start_ms();
        TimeRange::new(
            Timestamp::from_millis(start),
            Timestamp::from_millis(start + PARTITION_MS - 1),
        )
    }

    /// Bytes that sort as the days do.
    pub(crate) fn to_bytes(self) -> [u8; 4] {
        (self.0.cast_unsigned() ^ (1 << 31)).to_be_bytes()
    }

    /// The first key behind all keys that begin with the partition.
    pub(crate) fn below(self) -> [u8; 5] {
        let mut key = [u8::MAX; 5];
        if let Some(next) = self.0.checked_add(1) {
            key[..4].copy_from_slice(&Self(next).to_bytes());
            key[4] = 0;
        }
        key
    }

    /// Reads [`Partition::to_bytes`].
    pub(crate) fn from_bytes(bytes: [u8; 4]) -> Self {
        Self((u32::from_be_bytes(bytes) ^ (1 << 31)).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_round_down_and_sort() {
        let of = |millis| Partition::of(Timestamp::from_millis(millis)).unwrap();
        assert_eq!(of(0), of(PARTITION_MS - 1));
        assert_ne!(of(-1), of(0));
        assert!(of(-1).to_bytes() < of(0).to_bytes());
        assert!(of(0).to_bytes() < of(PARTITION_MS).to_bytes());
        assert_eq!(Partition::from_bytes(of(-1).to_bytes()), of(-1));
        assert!(of(-1).range().contains(Timestamp::from_millis(-1)));
        assert_eq!(Partition::of(Timestamp::MAX), None);
        assert!(Partition::nearest(Timestamp::MIN) < of(-1));
    }
}

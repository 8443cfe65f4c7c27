//! How much is kept: flags and the configuration file together. Source: upstream `cmd/prometheus`,
//! where the file takes precedence, and 15 days hold if nobody limits anything.

use config::StorageConfig;
use model::PromDuration;
use tsdb::RetentionLimits;

use crate::flags::Options;

/// What is kept when nobody says otherwise.
const DEFAULT_TIME: PromDuration = PromDuration::from_secs(15 * 24 * 3600);

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct RetentionFlags {
    time: Option<PromDuration>,
    max_bytes: u64,
}

impl RetentionFlags {
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            time: options.retention,
            max_bytes: options.retention_size,
        }
    }

    /// What holds under a configuration.
    pub(crate) fn limits(&self, config: &StorageConfig) -> RetentionLimits {
        let time = config.retention_time.or(self.time);
        let time = time.filter(|time| *time > PromDuration::ZERO);
        let bytes = config.retention_size_bytes.unwrap_or(self.max_bytes);
        let max_bytes = Some(bytes).filter(|bytes| *bytes > 0);
        let disk_basis_points = config.retention_basis_points.filter(|points| *points > 0);
        let unlimited = time.is_none() && max_bytes.is_none() && disk_basis_points.is_none();
        RetentionLimits {
            time: if unlimited { Some(DEFAULT_TIME) } else { time },
            max_bytes,
            disk_basis_points,
        }
    }
}

/// The limits as the status page has them, such as `15d or 10GiB or 80%`.
pub(crate) fn describe(limits: &RetentionLimits) -> String {
    let time = limits.time.map(|time| time.to_string());
    let bytes = limits.max_bytes.map(binary_size);
    let part = limits.disk_basis_points;
    let part = part.map(|points| format!("{}%", f64::from(points) / 100.0));
    let parts = time.into_iter().chain(bytes).chain(part);
    parts.collect::<Vec<String>>().join(" or ")
}

/// A size in the largest binary units that leave nothing over, such as `1GiB512MiB`.
fn binary_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["EiB", "PiB", "TiB", "GiB", "MiB", "KiB", "B"];
    let mut text = String::new();
    let mut left = bytes;
    for (unit, power) in UNITS.into_iter().zip((0..UNITS.len()).rev()) {
        let size = 1_u64 << (10 * power);
        if left >= size {
            text.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: PromDuration = PromDuration::from_secs(24 * 3600);

    #[test]
    fn the_file_takes_precedence_and_something_always_limits() {
        let days = |count: i64| PromDuration::from_secs(count * 24 * 3600);
        let limits = |time, max_bytes| RetentionLimits {
            time,
            max_bytes,
            disk_basis_points: None,
        };
        let none = (None, None, None);
        for ((time, max_bytes), (file_time, file_size, percent), want) in [
            ((None, 0), none, limits(Some(days(15)), None)),
            (
                (Some(PromDuration::ZERO), 0),
                none,
                limits(Some(days(15)), None),
            ),
            ((Some(DAY), 0), none, limits(Some(DAY), None)),
            ((None, 512), none, limits(None, Some(512))),
            ((Some(DAY), 512), none, limits(Some(DAY), Some(512))),
            (
                (Some(DAY), 512),
                (Some(days(2)), Some(7), None),
                limits(Some(days(2)), Some(7)),
            ),
            (
                (None, 512),
                (None, Some(0), None),
                limits(Some(days(15)), None),
            ),
            (
                (None, 512),
                (None, Some(7), Some(5000)),
                RetentionLimits {
                    disk_basis_points: Some(5000),
                    ..limits(None, Some(7))
                },
            ),
            ((None, 512), (None, None, Some(0)), limits(None, Some(512))),
        ] {
            let flags = RetentionFlags { time, max_bytes };
            let config = StorageConfig {
                retention_time: file_time,
                retention_size_bytes: file_size,
                retention_basis_points: percent,
                ..StorageConfig::default()
            };
            let got = flags.limits(&config);
            assert_eq!(got, want, "{flags:?} {config:?}");
        }
    }

    #[test]
    fn limits_are_described_as_upstream_does() {
        let days = PromDuration::from_secs(15 * 24 * 3600);
        let mixed = Some((1 << 30) + (512 << 20));
        for (time, max_bytes, disk_basis_points, want) in [
            (Some(days), None, None, "15d"),
            (None, Some(10 << 30), None, "10GiB"),
            (Some(DAY), mixed, None, "1d or 1GiB512MiB"),
            (Some(DAY), mixed, Some(8050), "1d or 1GiB512MiB or 80.5%"),
        ] {
            let limits = RetentionLimits {
                time,
                max_bytes,
                disk_basis_points,
            };
            assert_eq!(describe(&limits), want);
        }
    }
}

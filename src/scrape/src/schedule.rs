//! When to scrape: spread over the interval, and stamped on the ideal schedule.

use std::time::Duration;

use model::{PromDuration, Timestamp};

/// Scrapes that are at most this late are stamped as if they were on time, which keeps the
/// distances of timestamps equal and so cheap to store. Source: upstream
/// `ScrapeTimestampTolerance`.
const TOLERANCE_MS: i64 = 2;

/// How long to wait before the first scrape. The moment inside the interval depends on `spread`
/// alone, so targets stay where they are over restarts. Source: upstream `Target.offset`.
pub(crate) fn first_delay(now: Timestamp, interval: PromDuration, spread: u64) -> Duration {
    let interval_ms = interval.as_millis().max(1);
    let slot = i64::try_from(spread % interval_ms.unsigned_abs()).unwrap_or(0);
    let delay_ms = (slot - now.as_millis().rem_euclid(interval_ms)).rem_euclid(interval_ms);
    Duration::from_millis(delay_ms.unsigned_abs())
}

/// The ideal times of one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    ideal: Timestamp,
    interval: PromDuration,
}

impl Schedule {
    pub(crate) fn starting(now: Timestamp, interval: PromDuration) -> Self {
        Self {
            ideal: now,
            interval,
        }
    }

    /// The timestamp of a scrape that starts at `now`: the ideal time where it is near enough.
    pub(crate) fn stamp(&mut self, now: Timestamp) -> Timestamp {
        let interval_ms = self.interval.as_millis().max(1);
        let late_ms = now.since(self.ideal).as_millis();
        if late_ms < 0 {
            // The clock was set back: the schedule starts anew.
            self.ideal = now;
            return now;
        }
        let missed = PromDuration::from_millis(late_ms - late_ms % interval_ms);
        self.ideal = self.ideal.saturating_add(missed);
        let tolerance_ms = TOLERANCE_MS.min(interval_ms / 100);
        if late_ms % interval_ms <= tolerance_ms {
            self.ideal
        } else {
            now
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_first_scrape_falls_on_the_slot_of_the_target() {
        let interval = PromDuration::from_millis(1000);
        for (now, spread, want) in [
            (5000, 0, 0),
            (5000, 300, 300),
            (5400, 300, 900),
            (5300, 2300, 0),
            (-1, 0, 1),
            (5000, u64::MAX, 615),
        ] {
            let delay = first_delay(at(now), interval, spread);
            assert_eq!(delay, Duration::from_millis(want), "{now} {spread}");
        }
    }

    #[test]
    fn stamps_are_aligned_within_the_tolerance() {
        let mut schedule = Schedule::starting(at(100), PromDuration::from_millis(1000));
        for (now, want) in [
            (100, 100),
            (1101, 1100),
            (2102, 2100),
            (3103, 3103),
            (4100, 4100),
            // Two scrapes were missed.
            (7101, 7100),
            (8099, 8099),
            // The clock was set back.
            (500, 500),
            (1501, 1500),
        ] {
            assert_eq!(schedule.stamp(at(now)), at(want), "{now}");
        }
        let mut short = Schedule::starting(at(0), PromDuration::from_millis(100));
        assert_eq!(short.stamp(at(101)), at(100));
        assert_eq!(short.stamp(at(202)), at(202));
    }
}

//! The samples of one series in a range vector.

use storage::Columns;

/// Samples of one series. Some may stand for all of a chunk that was not decoded: functions get from
/// them what they would get from the chunk's own samples.
#[derive(Debug, Default)]
pub(crate) struct RangeSamples {
    /// The samples.
    pub(crate) columns: Columns,
    /// How many samples each stands for. Empty when each stands for itself alone.
    pub(crate) stands_for: Vec<u32>,
}

impl RangeSamples {
    /// Removes all samples and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        self.stands_for.clear();
    }

    /// Adds a sample that stands for `count` samples.
    pub(crate) fn push_for(&mut self, count: u32, (at_ms, value): (i64, f64)) {
        self.pad();
        self.columns.push(at_ms, value);
        self.stands_for.push(count);
    }

    /// Lets samples that were added to the columns directly stand for themselves.
    pub(crate) fn pad(&mut self) {
        self.stands_for.resize(self.columns.len(), 1);
    }

    /// How many samples they stand for together.
    pub(crate) fn represented(&self) -> usize {
        if self.stands_for.is_empty() {
            return self.columns.len();
        }
        self.stands_for.iter().map(|count| *count as usize).sum()
    }

    /// Removes stale markers; windows do not see them.
    pub(crate) fn remove_stale(&mut self) {
        let is_stale = |value: &f64| model::is_stale_nan(*value);
        let Self {
            columns,
            stands_for,
        } = self;
        if !columns.values.iter().any(is_stale) {
            return;
        }
        let mut kept = 0;
        columns.retain(|columns, index| {
            let stays = !is_stale(&columns.values[index]);
            if stays && let Some(count) = stands_for.get(index).copied() {
                stands_for[kept] = count;
                kept += 1;
            }
            stays
        });
        stands_for.truncate(kept);
    }

    /// How many samples all windows hold together, for the query's statistics. A histogram counts as
    /// many as it is large.
    pub(crate) fn queryable(&self, bounds: &[(usize, usize)]) -> usize {
        match self.sizes_before() {
            None => bounds.iter().map(|(first, end)| end - first).sum(),
            Some(before) => bounds
                .iter()
                .map(|(first, end)| before[*end] - before[*first])
                .fold(0, usize::saturating_add),
        }
    }

    /// As [`RangeSamples::queryable`], for each window.
    pub(crate) fn queryable_each(&self, bounds: &[(usize, usize)]) -> Vec<usize> {
        let before = self.sizes_before();
        let size = |(first, end): &(usize, usize)| match &before {
            None => end - first,
            Some(before) => before[*end] - before[*first],
        };
        bounds.iter().map(size).collect()
    }

    /// As how many samples those before each position count; `None` when each counts as one.
    fn sizes_before(&self) -> Option<Vec<usize>> {
        let Self {
            columns,
            stands_for,
        } = self;
        if columns.histograms.is_empty() && stands_for.is_empty() {
            return None;
        }
        let mut total = 0_usize;
        let mut before = vec![0];
        for index in 0..columns.len() {
            let size = match columns.histogram(index) {
                Some(histogram) => histogram.size_in_samples(),
                None => stands_for.get(index).map_or(1, |count| *count as usize),
            };
            total = total.saturating_add(size);
            before.push(total);
        }
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_markers_are_removed_and_order_stays() {
        let mut samples = RangeSamples::default();
        for at in 0..10_i64 {
            let value = match at % 3 {
                1 => model::stale_nan(),
                _ => model::sample::normal_nan(),
            };
            samples.columns.push(at, value);
        }
        samples.remove_stale();
        assert_eq!(samples.columns.timestamps, [0, 2, 3, 5, 6, 8, 9]);
        let is_stale = |value: &f64| model::is_stale_nan(*value);
        assert!(!samples.columns.values.iter().any(is_stale));
        assert!(samples.stands_for.is_empty());
    }

    #[test]
    fn samples_keep_what_they_stand_for() {
        let mut samples = RangeSamples::default();
        samples.columns.push(1, 1.0);
        samples.columns.push(2, model::stale_nan());
        samples.push_for(7, (9, 2.0));
        samples.columns.push(10, 3.0);
        samples.pad();
        assert_eq!(samples.represented(), 10);
        samples.remove_stale();
        assert_eq!(samples.stands_for, [1, 7, 1]);
        let bounds = [(0, 3), (1, 2), (2, 2)];
        assert_eq!(samples.queryable_each(&bounds), [9, 7, 0]);
        assert_eq!(samples.queryable(&bounds), 16);
    }
}

//! Facts about the series in memory, counted when they are asked for.

use std::collections::BTreeMap;

use model::{METRIC_NAME, TimeRange};

use super::{MemorySeries, MemoryStorage};
use crate::status::{Cardinality, HeadStatus, LargestCounts, StatusSource, upstream_pair_bytes};

impl StatusSource for MemoryStorage {
    fn head_status(&self, limit: usize) -> HeadStatus {
        let data = self.data.read();
        let mut labels: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for (name, value) in data.series.iter().flat_map(|series| series.labels()) {
            *labels.entry(name).or_default().entry(value).or_default() += 1;
        }
        let mut status = HeadStatus {
            cardinality: cardinality(&labels, limit),
            ..HeadStatus::default()
        };
        status.cardinality.series = data.series.len() as u64;
        for chunk in data
            .series
            .iter()
            .flat_map(|series: &std::sync::Arc<MemorySeries>| series.chunks())
        {
            let summary = chunk.summary();
            let times = status
                .time
                .unwrap_or(TimeRange::new(summary.first, summary.last));
            let (start, end) = (times.start.min(summary.first), times.end.max(summary.last));
            status.time = Some(TimeRange::new(start, end));
            status.chunks += 1;
        }
        status
    }
}

fn cardinality(labels: &BTreeMap<&str, BTreeMap<&str, u64>>, limit: usize) -> Cardinality {
    let [mut metrics, mut values, mut bytes, mut pairs] =
        [(); 4].map(|()| LargestCounts::new(limit));
    for (name, counts) in labels {
        values.offer(counts.len() as u64, [name, "", ""]);
        let sizes = counts
            .iter()
            .map(|(value, series)| upstream_pair_bytes(name, value) * series);
        bytes.offer(sizes.sum(), [name, "", ""]);
        for (value, series) in counts {
            pairs.offer(*series, [name, "=", value]);
            if *name == METRIC_NAME {
                metrics.offer(*series, [value, "", ""]);
            }
        }
    }
    Cardinality {
        series: 0,
        label_pairs: labels.values().map(|values| values.len() as u64).sum(),
        series_by_metric: metrics.into_sorted(),
        values_by_label: values.into_sorted(),
        bytes_by_label: bytes.into_sorted(),
        series_by_pair: pairs.into_sorted(),
    }
}

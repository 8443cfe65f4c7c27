//! How many series there are, by name and label. Counts are those that the postings keep; no
//! series is looked at.

use model::METRIC_NAME;
use storage::{Cardinality, LargestCounts};

use super::Index;

impl Index {
    /// The largest figures of each kind, at most `limit` ones.
    pub(crate) fn cardinality(&self, limit: usize) -> Cardinality {
        let [mut metrics, mut values, mut bytes, mut pairs] =
            [(); 4].map(|()| LargestCounts::new(limit));
        let mut label_pairs = 0;
        for label in self.labels() {
            let name = label.name();
            let count = label.value_count() as u64;
            label_pairs += count;
            values.offer(count, [name, "", ""]);
            bytes.offer(label.upstream_bytes(), [name, "", ""]);
            for (value, series) in label.counts() {
                pairs.offer(series, [name, "=", value]);
                if name == METRIC_NAME {
                    metrics.offer(series, [value, "", ""]);
                }
            }
        }
        Cardinality {
            series: self.all().len(),
            label_pairs,
            series_by_metric: metrics.into_sorted(),
            values_by_label: values.into_sorted(),
            bytes_by_label: bytes.into_sorted(),
            series_by_pair: pairs.into_sorted(),
        }
    }
}

//! The synthetic series that say how a scrape went.

use std::time::Duration;

use config::ScrapeConfig;
use model::{Labels, METRIC_NAME, Timestamp};
use storage::{AppendRequest, Sample, SeriesKey, SeriesRef};

use crate::target::Target;

/// How a scrape went. Source: upstream `scrape/scrape.go`, `scrapeLoop.report`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) up: bool,
    pub(crate) duration: Duration,
    /// Samples that the exposition holds.
    pub(crate) scraped: u64,
    /// Samples that remain after relabelling.
    pub(crate) post_relabeling: u64,
    /// Series that the last scrape did not have.
    pub(crate) series_added: u64,
    /// Bytes of the body, -1 where its limit was hit.
    pub(crate) body_bytes: i64,
}

const ALWAYS: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// With `extra_scrape_metrics`.
const EXTRA: [&str; 3] = [
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// The synthetic series of one target.
#[derive(Debug)]
pub(crate) struct ReportSeries {
    series: Vec<(Labels, Option<SeriesRef>)>,
    timeout_seconds: f64,
    sample_limit: u64,
}

impl ReportSeries {
    pub(crate) fn new(target: &Target, config: &ScrapeConfig) -> Self {
        let extra: &[&str] = if config.extra_scrape_metrics {
            &EXTRA
        } else {
            &[]
        };
        let series = ALWAYS
            .iter()
            .chain(extra)
            .filter_map(|name| {
                let pairs = target.labels.iter().chain([(METRIC_NAME, *name)]);
                // Labels of targets do not start with underscores, so the name is the only one.
                Some((Labels::from_pairs(pairs).ok()?, None))
            })
            .collect();
        Self {
            series,
            timeout_seconds: target.timeout.as_seconds(),
            sample_limit: config.limits.samples,
        }
    }

    /// The values in the order of the series.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts are stored as float64, as upstream does"
    )]
    fn values(&self, report: &Report) -> [f64; 8] {
        [
            f64::from(u8::from(report.up)),
            report.duration.as_secs_f64(),
            report.scraped as f64,
            report.post_relabeling as f64,
            report.series_added as f64,
            self.timeout_seconds,
            self.sample_limit as f64,
            report.body_bytes as f64,
        ]
    }

    /// Adds the series to a request: with their values, or with stale markers.
    pub(crate) fn push<'a>(
        &'a self,
        report: Option<&Report>,
        timestamp: Timestamp,
        request: &mut AppendRequest<'a>,
    ) {
        let values = report.map_or([model::stale_nan(); 8], |report| self.values(report));
        for ((labels, reference), value) in self.series.iter().zip(values) {
            let key = match reference {
                Some(reference) => SeriesKey::Ref(*reference),
                None => SeriesKey::Labels(labels),
            };
            request.push(key, [Sample { timestamp, value }]);
        }
    }

    /// Takes the references of an answered request, whose last series are these.
    pub(crate) fn learn(&mut self, refs: &[Option<SeriesRef>]) {
        for ((_, known), reference) in self.series.iter_mut().rev().zip(refs.iter().rev()) {
            *known = *reference;
        }
    }

    /// Whether references are known.
    pub(crate) fn knows(&self) -> bool {
        self.series.iter().any(|(_, known)| known.is_some())
    }

    /// Forgets the references.
    pub(crate) fn forget(&mut self) {
        for (_, known) in &mut self.series {
            *known = None;
        }
    }
}

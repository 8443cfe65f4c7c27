//! From an answer to samples in storage. CPU-bound: runs on the pool, never on the async runtime.

use std::sync::Arc;
use std::time::Instant;

use base::SharedClock;
use config::ScrapeConfig;
use exposition::entry::{unescape_help, unescape_label};
use exposition::{
    Entry, ExemplarLine, Format, Parser, SeriesLine, parse_exemplar_labels, parse_series,
};
use model::{Exemplar, Labels, PromDuration, Timestamp};
use net::{BodyError, HttpError};
use parking_lot::Mutex;
use storage::{
    AppendError, AppendOutcome, AppendPolicy, AppendRequest, Appender, Durability, ExemplarStore,
    OutOfOrder, Rejected, Sample, SeriesExemplars, SeriesKey, SeriesRef,
};

use crate::cache::{EntryId, SeriesCache, Sighting};
use crate::error::ScrapeError;
use crate::families::{Fact, FamilyCache, Texts};
use crate::fetch::{Fetched, format_of};
use crate::labels::{is_over, refused, stored_labels};
use crate::metrics::ScrapeMetrics;
use crate::report::{Report, ReportSeries};
use crate::target::Target;

/// Samples further in the future are refused, as upstream does.
const MAX_AHEAD: PromDuration = PromDuration::from_secs(600);

/// What one target's ingestion needs and does not change.
pub(crate) struct Ingestion {
    pub(crate) target: Arc<Target>,
    pub(crate) config: Arc<ScrapeConfig>,
    pub(crate) appender: Arc<dyn Appender>,
    pub(crate) exemplars: Arc<dyn ExemplarStore>,
    pub(crate) texts: Arc<Texts>,
    pub(crate) metrics: ScrapeMetrics,
    pub(crate) clock: SharedClock,
}

/// What one target's ingestion remembers.
#[derive(Debug)]
pub(crate) struct TargetState {
    cache: SeriesCache,
    /// Apart from the rest, so that it can be read while samples are stored.
    families: Arc<Mutex<FamilyCache>>,
    report: ReportSeries,
    /// Samples on their way to storage; kept for its memory.
    planned: Vec<Planned>,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    id: EntryId,
    sample: Sample,
}

/// A scrape in progress.
struct Scan<'s> {
    context: &'s Ingestion,
    report: &'s mut Report,
    scraped_at: Timestamp,
    latest: Timestamp,
    /// Labels of series that the cache did not have.
    new_series: Vec<(EntryId, Labels)>,
    /// `None` where nobody keeps them.
    exemplars: Option<Vec<SeriesExemplars>>,
    duplicates: u64,
    out_of_bounds: u64,
    over_sample_limit: bool,
}

impl TargetState {
    pub(crate) fn new(target: &Target, config: &ScrapeConfig) -> Self {
        Self {
            cache: SeriesCache::default(),
            families: Arc::default(),
            report: ReportSeries::new(target, config),
            planned: Vec::new(),
        }
    }

    /// What the target says of its metric families.
    pub(crate) const fn families(&self) -> &Arc<Mutex<FamilyCache>> {
        &self.families
    }

    /// The state with families that another one of the same target knows and may still add to.
    pub(crate) fn with_families(self, families: Arc<Mutex<FamilyCache>>) -> Self {
        Self { families, ..self }
    }

    /// Takes over what another state of the same target knows of its series.
    pub(crate) fn inherit(&mut self, predecessor: &mut Self) {
        self.cache = std::mem::take(&mut predecessor.cache);
    }

    /// Stores an answer, or the lack of one, and the report about it. Returns the report and why
    /// the scrape failed, if it did.
    pub(crate) fn scrape(
        &mut self,
        context: &Ingestion,
        fetched: Result<Fetched, ScrapeError>,
        (started, scraped_at): (Instant, Timestamp),
    ) -> (Report, Option<ScrapeError>) {
        let mut report = Report::default();
        let ingested =
            fetched.and_then(|fetched| self.ingest(context, fetched, scraped_at, &mut report));
        let (stale, error) = match ingested {
            Ok(stale) => (stale, None),
            Err(error) => {
                self.families.lock().roll_back();
                (self.cache.roll_back(), Some(error))
            }
        };
        if error.as_ref().is_some_and(is_body_too_large) {
            context.metrics.exceeded_body_size_limit.inc();
            report.body_bytes = -1;
        }
        report.up = error.is_none();
        report.duration = started.elapsed();
        self.append_tail(context, &stale, Some(&report), scraped_at);
        (report, error)
    }

    /// Marks everything stale: the target is gone.
    pub(crate) fn end(&mut self, context: &Ingestion, at: Timestamp) {
        let stale = self.cache.roll_back();
        self.append_tail(context, &stale, None, at);
    }

    /// Stores the samples of an answer; returns the series that are stale now.
    fn ingest(
        &mut self,
        context: &Ingestion,
        fetched: Fetched,
        scraped_at: Timestamp,
        report: &mut Report,
    ) -> Result<Vec<SeriesRef>, ScrapeError> {
        self.cache.begin();
        let limit = context.config.limits.body_size_bytes;
        let body = fetched.body.decode((limit > 0).then_some(limit))?;
        report.body_bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
        if body.is_empty() {
            // As in upstream: no samples and no complaint, whatever the format.
            return Ok(self.cache.roll_back());
        }
        let fallback = context.config.fallback_scrape_protocol.and_then(format_of);
        let format = Format::from_content_type(&fetched.content_type, fallback)?;
        match self.ingest_body(context, (format, &body), scraped_at, report) {
            Err(ScrapeError::Append(AppendError::UnknownSeries)) => {
                // Storage has forgotten the series, so what is cached here is worth nothing.
                self.forget();
                self.ingest_body(context, (format, &body), scraped_at, report)
            }
            done => done,
        }
    }

    fn ingest_body(
        &mut self,
        context: &Ingestion,
        (format, body): (Format, &[u8]),
        scraped_at: Timestamp,
        report: &mut Report,
    ) -> Result<Vec<SeriesRef>, ScrapeError> {
        self.planned.clear();
        *report = Report {
            body_bytes: report.body_bytes,
            ..Report::default()
        };
        let mut scan = Scan {
            context,
            report,
            scraped_at,
            latest: context.clock.now().saturating_add(MAX_AHEAD),
            new_series: Vec::new(),
            exemplars: context.exemplars.is_enabled().then(Vec::new),
            duplicates: 0,
            out_of_bounds: 0,
            over_sample_limit: false,
        };
        scan.body((format, body), self)?;
        scan.count_refused();
        if scan.over_sample_limit {
            context.metrics.exceeded_sample_limit.inc();
            return Err(ScrapeError::SampleLimit);
        }
        let exemplars = scan.exemplars.take().unwrap_or_default();
        let mut new_series = std::mem::take(&mut scan.new_series);
        new_series.sort_unstable_by_key(|(id, _)| *id);
        let outcome = self.append_samples(context, &new_series)?;
        report.series_added = self.learn(&new_series, &outcome);
        count_rejected(context, outcome.rejected);
        keep_exemplars(context, &exemplars);
        self.families.lock().commit();
        Ok(self.cache.commit())
    }

    /// Stores what is planned; `new_series` is in order of ids.
    fn append_samples(
        &self,
        context: &Ingestion,
        new_series: &[(EntryId, Labels)],
    ) -> Result<AppendOutcome, ScrapeError> {
        let mut request = AppendRequest::default();
        request.series.reserve(self.planned.len());
        request.samples.reserve(self.planned.len());
        for planned in &self.planned {
            let key = match self.cache.reference(planned.id) {
                Some(reference) => SeriesKey::Ref(reference),
                None => {
                    let position = new_series.binary_search_by_key(&planned.id, |(id, _)| *id);
                    // Only a scrape that was broken off by a panic leaves others.
                    let Ok(position) = position else {
                        return Err(AppendError::UnknownSeries.into());
                    };
                    SeriesKey::Labels(&new_series[position].1)
                }
            };
            request.push(key, [planned.sample]);
        }
        append(context, &request).map_err(ScrapeError::from)
    }

    /// Takes the references of new series; returns how many were stored.
    fn learn(&mut self, new_series: &[(EntryId, Labels)], outcome: &AppendOutcome) -> u64 {
        if new_series.is_empty() {
            return 0;
        }
        for (planned, reference) in self.planned.iter().zip(&outcome.refs) {
            if self.cache.reference(planned.id).is_none() {
                self.cache.set_reference(planned.id, *reference);
            }
        }
        let stored = |(id, _): &&(EntryId, Labels)| self.cache.reference(*id).is_some();
        u64::try_from(new_series.iter().filter(stored).count()).unwrap_or(u64::MAX)
    }

    /// Stores stale markers and the synthetic series, with `report` or stale themselves. What
    /// storage refuses of them is not counted: targets may expose the same names, and a target that
    /// came back is newer than the markers of its past.
    fn append_tail(
        &mut self,
        context: &Ingestion,
        stale: &[SeriesRef],
        report: Option<&Report>,
        timestamp: Timestamp,
    ) {
        let mut stale = stale;
        loop {
            let mut request = AppendRequest {
                // As upstream: what has ended must not appear between samples of what goes on.
                out_of_order: OutOfOrder::Refuse,
                ..AppendRequest::default()
            };
            for reference in stale {
                let value = model::stale_nan();
                request.push(SeriesKey::Ref(*reference), [Sample { timestamp, value }]);
            }
            self.report.push(report, timestamp, &mut request);
            match append(context, &request) {
                Ok(outcome) => return self.report.learn(&outcome.refs),
                Err(AppendError::UnknownSeries) if !stale.is_empty() || self.report.knows() => {
                    stale = &[];
                    self.forget();
                }
                Err(error) => {
                    let error = base::report(&error);
                    let url = &context.target.url;
                    return tracing::warn!(target_url = %url, error, "appending scrape report failed");
                }
            }
        }
    }

    fn forget(&mut self) {
        self.cache = SeriesCache::default();
        self.cache.begin();
        self.report.forget();
    }
}

impl Scan<'_> {
    /// Reads all lines: plans samples, notes what is said of families.
    fn body(
        &mut self,
        (format, body): (Format, &[u8]),
        state: &mut TargetState,
    ) -> Result<(), ScrapeError> {
        let TargetState {
            cache,
            families,
            planned,
            ..
        } = state;
        let unescape = match format {
            Format::Text004 | Format::Text100 => unescape_help,
            Format::OpenMetrics001 | Format::OpenMetrics100 => unescape_label,
        };
        let texts = &self.context.texts;
        let mut families = families.lock();
        let mut parser = Parser::new(format, body);
        while let Some(entry) = parser.next_expecting(cache.expected()) {
            match entry? {
                Entry::Series(line) => self.line(line, cache, planned)?,
                Entry::Type { name, kind } => families.note(name, Fact::Kind(kind), texts),
                Entry::Help { name, text } => {
                    families.note(name, Fact::Help(&unescape(text)), texts);
                }
                Entry::Unit { name, unit } => families.note(name, Fact::Unit(unit), texts),
                Entry::Comment(_) => {}
            }
        }
        Ok(())
    }

    /// Plans one sample.
    fn line(
        &mut self,
        line: SeriesLine<'_>,
        cache: &mut SeriesCache,
        planned: &mut Vec<Planned>,
    ) -> Result<(), ScrapeError> {
        self.report.scraped += 1;
        let config = &self.context.config;
        let explicit = line.timestamp_ms.filter(|_| config.honor_timestamps);
        let timestamp = explicit.map_or(self.scraped_at, Timestamp::from_millis);
        let known = cache.find(line.raw);
        let id = match known {
            Some(id) => id,
            None => {
                let labels = self.labels(line)?;
                let id = cache.insert(line.raw);
                self.new_series.push((id, labels));
                id
            }
        };
        self.report.post_relabeling += 1;
        if cache.see(id) == Sighting::Repeated && explicit.is_none() {
            self.duplicates += 1;
            return Ok(());
        }
        if timestamp > self.latest {
            self.out_of_bounds += 1;
            return Ok(());
        }
        if is_over(planned.len() + 1, config.limits.samples) {
            self.over_sample_limit = true;
            return Ok(());
        }
        self.report.series_added += u64::from(known.is_none());
        planned.push(Planned {
            id,
            sample: Sample {
                timestamp,
                value: line.value,
            },
        });
        if explicit.is_none() || config.track_timestamps_staleness {
            cache.track(id);
        }
        match line.exemplar {
            Some(exemplar) => self.exemplar(line, exemplar, timestamp),
            None => Ok(()),
        }
    }

    /// Plans the exemplar of a line; one without a time has that of its sample. Labels that form no
    /// set are left out.
    fn exemplar(
        &mut self,
        line: SeriesLine<'_>,
        exemplar: ExemplarLine<'_>,
        sampled_at: Timestamp,
    ) -> Result<(), ScrapeError> {
        if self.exemplars.is_none() {
            return Ok(());
        }
        let series = self.labels(line)?;
        if let (Some(exemplars), Ok(labels)) =
            (&mut self.exemplars, parse_exemplar_labels(exemplar.raw))
        {
            let timestamp = exemplar.timestamp_ms.map(Timestamp::from_millis);
            let exemplar = Exemplar {
                labels,
                value: exemplar.value,
                timestamp: timestamp.unwrap_or(sampled_at),
            };
            exemplars.push(SeriesExemplars {
                series,
                exemplars: vec![exemplar],
            });
        }
        Ok(())
    }

    /// The labels under which a new series is stored.
    fn labels(&self, line: SeriesLine<'_>) -> Result<Labels, ScrapeError> {
        let Ingestion {
            target,
            config,
            metrics,
            ..
        } = self.context;
        let scraped = parse_series(line.raw, line.kind).map_err(|error| match error {
            exposition::ParseError::Labels(error) => refused(error),
            other => ScrapeError::Parse(other),
        })?;
        stored_labels(&scraped, &target.labels, config).inspect_err(|error| {
            if error.is_label_limit() {
                metrics.exceeded_label_limits.inc();
            }
        })
    }

    /// Counts samples that never reach storage.
    fn count_refused(&self) {
        let metrics = &self.context.metrics;
        let url = &self.context.target.url;
        metrics.duplicate_timestamp.add(self.duplicates);
        metrics.out_of_bounds.add(self.out_of_bounds);
        if self.duplicates > 0 {
            let dropped = self.duplicates;
            tracing::warn!(target_url = %url, dropped, "series appear more than once in a scrape");
        }
        if self.out_of_bounds > 0 {
            let dropped = self.out_of_bounds;
            tracing::warn!(target_url = %url, dropped, "samples are too far in the future");
        }
    }
}

fn append(context: &Ingestion, request: &AppendRequest<'_>) -> Result<AppendOutcome, AppendError> {
    context
        .appender
        .append(request, AppendPolicy::Skip, Durability::Deferred)?
        .wait_blocking()
}

/// Stores the exemplars of samples that were stored. None of them fails a scrape.
fn keep_exemplars(context: &Ingestion, exemplars: &[SeriesExemplars]) {
    if exemplars.is_empty() {
        return;
    }
    let url = &context.target.url;
    match context.exemplars.add(exemplars) {
        Ok(0) => {}
        Ok(dropped) => {
            context.metrics.exemplar_out_of_order.add(dropped);
            tracing::warn!(target_url = %url, dropped, "exemplars of a scrape are out of order");
        }
        Err(error) => {
            let error = base::report(&error);
            tracing::warn!(target_url = %url, error, "exemplars of a scrape are not stored");
        }
    }
}

/// Counts samples that storage left out.
fn count_rejected(context: &Ingestion, rejected: Rejected) {
    let Rejected {
        out_of_order,
        duplicate,
        out_of_bounds,
        too_old,
        ..
    } = rejected;
    let out_of_bounds = out_of_bounds + too_old;
    let metrics = &context.metrics;
    metrics.out_of_order.add(out_of_order);
    metrics.duplicate_timestamp.add(duplicate);
    metrics.out_of_bounds.add(out_of_bounds);
    if out_of_order + duplicate + out_of_bounds > 0 {
        let url = &context.target.url;
        tracing::warn!(
            target_url = %url, out_of_order, duplicate, out_of_bounds,
            "storage left out samples of a scrape"
        );
    }
}

fn is_body_too_large(error: &ScrapeError) -> bool {
    matches!(
        error,
        ScrapeError::Body(BodyError::TooLarge)
            | ScrapeError::Http(HttpError::Body(BodyError::TooLarge))
    )
}

#[cfg(test)]
mod tests;

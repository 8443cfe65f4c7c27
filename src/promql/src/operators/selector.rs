//! Instant selectors: for each step the newest sample that is not too old.

mod condense;
mod hints;

use std::ops::Range;
use std::sync::Arc;

use promql_syntax::ast::WindowEdges;
use storage::{Columns, Querier, SelectHints, SeriesSet};

pub(crate) use condense::Condensation;
use condense::Condenser;

use super::statistics::keep_statistics;
use super::{Operator, RangeSamples, SERIES_PER_CHECK, SeriesMeta, Shared, metas_bytes};
use crate::error::EngineError;
use crate::grid::{Grid, Reference};
use crate::limits::{Reservation, SAMPLE_BYTES};
use crate::plan::{Selector, SelectorOutput};
use crate::slice::SeriesSlice;

/// The series of a selector, read one after the other.
pub(crate) struct SeriesReader {
    selector: Arc<Selector>,
    reference: Reference,
    querier: Arc<dyn Querier>,
    shared: Shared,
    set: Option<Arc<dyn SeriesSet>>,
    next_series: usize,
    /// By how much windows are shorter where upstream starts to read: range selectors are read from
    /// their left edge on, although that does not belong to them.
    left_out_ms: i64,
    /// Whether samples other than the newest at or before each instant do not matter.
    newest_only: bool,
    /// Reads less than all samples, where not all are asked for.
    condenser: Option<Condenser>,
    labels: Reservation,
    samples: Reservation,
}

impl SeriesReader {
    pub(crate) fn new(
        selector: &Selector,
        grid: Grid,
        querier: Arc<dyn Querier>,
        shared: Shared,
    ) -> Self {
        let labels = Reservation::empty(&shared.limits);
        let samples = Reservation::empty(&shared.limits);
        Self {
            selector: Arc::new(selector.clone()),
            reference: grid.reference(selector.at_ms, selector.offset_ms),
            querier,
            shared,
            set: None,
            next_series: 0,
            left_out_ms: 1,
            newest_only: false,
            condenser: None,
            labels,
            samples,
        }
    }

    /// The reader of a range selector. `asked` says what is asked of the samples, if that is less
    /// than all of them.
    pub(crate) fn of_range(self, asked: Option<Condensation>) -> Self {
        let selector = &self.selector;
        let is_plain = selector.edges == WindowEdges::Plain && !selector.statistics_only;
        let condenser = asked
            .filter(|_| is_plain)
            .and_then(|asked| Condenser::new(asked, self.reference, selector.window_ms));
        Self {
            left_out_ms: 0,
            condenser,
            ..self
        }
    }

    /// Reads no more than instant selectors look at.
    fn for_newest(mut self) -> Self {
        self.newest_only = true;
        self
    }

    /// The instants at which the selector looks.
    pub(crate) fn reference(&self) -> Reference {
        self.reference
    }

    /// How far back it looks from each of them.
    pub(crate) fn window_ms(&self) -> i64 {
        self.selector.window_ms
    }

    /// Finds the series. `hints` tells storage what is going to be done with them.
    pub(crate) fn series(&mut self, hints: SelectHints) -> Result<Vec<SeriesMeta>, EngineError> {
        self.shared.limits.check()?;
        let set: Arc<dyn SeriesSet> = self.querier.select(&self.selector.matchers, hints)?.into();
        let metas: Vec<SeriesMeta> = (0..set.len())
            .map(|index| SeriesMeta::new(set.labels(index)))
            .collect();
        self.labels.set(metas_bytes(&metas), 0)?;
        self.set = Some(set);
        Ok(metas)
    }

    /// A reader of the series from this one on, for another thread.
    pub(crate) fn fork(&self, first_series: usize) -> Self {
        Self {
            selector: Arc::clone(&self.selector),
            reference: self.reference,
            querier: Arc::clone(&self.querier),
            shared: self.shared.clone(),
            set: self.set.clone(),
            next_series: first_series,
            left_out_ms: self.left_out_ms,
            newest_only: self.newest_only,
            condenser: self.condenser,
            labels: Reservation::empty(&self.shared.limits),
            samples: Reservation::empty(&self.shared.limits),
        }
    }

    /// Reads the samples of the next series, stale markers included.
    pub(crate) fn next(&mut self, out: &mut RangeSamples) -> Result<(), EngineError> {
        let index = self.next_series;
        self.next_series += 1;
        if index.is_multiple_of(SERIES_PER_CHECK) {
            self.shared.limits.check()?;
        }
        out.clear();
        let Some(set) = &self.set else { return Ok(()) };
        self.read(set.as_ref(), index, out)?;
        let columns = &mut out.columns;
        if !self.shared.use_start_timestamps {
            columns.start_timestamps.clear();
        }
        if !columns.histograms.is_empty() {
            self.shared.limits.note_histograms();
        }
        hints::settle(columns);
        if self.selector.statistics_only {
            let reference = self.reference.later(self.selector.behind_ms);
            keep_statistics(columns, reference, self.reach_ms() - self.left_out_ms);
        }
        self.shared.limits.count_read(out.represented());
        if let Some(steps) = self.shared.limits.steps() {
            steps.add_read(self.reference, out);
        }
        self.hold(&out.columns)
    }

    fn read(
        &self,
        set: &dyn SeriesSet,
        index: usize,
        out: &mut RangeSamples,
    ) -> Result<(), EngineError> {
        if let Some(condenser) = &self.condenser {
            if condenser.read(set, index, out)? {
                return Ok(());
            }
            out.clear();
        }
        let columns = &mut out.columns;
        if self.reads_newest() {
            return Ok(set.read_newest(index, columns)?);
        }
        if self.reference.step_ms() > self.reach_ms() {
            return self.read_sparse(set, index, columns);
        }
        Ok(set.read(index, columns)?)
    }

    /// Counts the samples as held until the next series is read.
    fn hold(&mut self, columns: &Columns) -> Result<(), EngineError> {
        let samples = held_samples(columns);
        let optional = (columns.histograms.len() + columns.start_timestamps.len())
            .saturating_mul(size_of::<i64>());
        let bytes = samples.saturating_mul(SAMPLE_BYTES);
        self.samples.set(bytes.saturating_add(optional), samples)
    }

    /// Whether only the newest sample that was read can matter: there is one instant, at which the
    /// reading ends, and no window.
    fn reads_newest(&self) -> bool {
        // Smoothing reads on behind the instant, and statistics of a histogram depend on the one before.
        self.newest_only
            && self.selector.behind_ms == 0
            && !self.selector.statistics_only
            && self.reference.first_ms() == self.reference.last_ms()
    }

    /// How long the stretch of time is that one step looks at.
    fn reach_ms(&self) -> i64 {
        let selector = &self.selector;
        selector
            .window_ms
            .saturating_add(selector.before_ms)
            .saturating_add(selector.behind_ms)
    }

    /// Decodes only those chunks that some step looks at. Pays off when steps are far apart.
    fn read_sparse(
        &self,
        set: &dyn SeriesSet,
        index: usize,
        columns: &mut Columns,
    ) -> Result<(), EngineError> {
        let reference = self.reference.later(self.selector.behind_ms);
        let mut chunks = set.chunks(index)?;
        while let Some(summary) = chunks.summary()? {
            let (first, last) = (summary.first.as_millis(), summary.last.as_millis());
            if reference.needs(first, last, self.reach_ms()) {
                chunks.decode(columns)?;
            } else {
                chunks.skip()?;
            }
        }
        Ok(())
    }
}

/// As how many samples columns count: a histogram as many as it is large.
fn held_samples(columns: &Columns) -> usize {
    let histograms = columns.histograms.iter().flatten();
    // Each sample counts one already.
    let beside = histograms.map(|histogram| histogram.size_in_samples().saturating_sub(1));
    beside.fold(columns.len(), usize::saturating_add)
}

/// An instant selector.
pub(crate) struct SelectorOperator {
    reader: SeriesReader,
    output: SelectorOutput,
    shared: Shared,
    samples: RangeSamples,
}

impl SelectorOperator {
    pub(crate) fn new(
        selector: &Selector,
        grid: Grid,
        querier: Arc<dyn Querier>,
        shared: Shared,
    ) -> Self {
        Self {
            reader: SeriesReader::new(selector, grid, querier, shared.clone()).for_newest(),
            output: selector.output,
            shared,
            samples: RangeSamples::default(),
        }
    }
}

impl Operator for SelectorOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let step = model::PromDuration::from_millis(self.reader.reference().step_ms());
        self.reader.series(SelectHints {
            step,
            window: model::PromDuration::ZERO,
        })
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.reader.next(&mut self.samples)?;
        let columns = &self.samples.columns;
        let reference = self.reader.reference();
        out.reset(reference.count());
        newest_samples(
            columns,
            reference,
            self.reader.window_ms(),
            |step, sample| match (self.output, columns.histogram(sample)) {
                (SelectorOutput::Timestamp, _) => {
                    out.set(step, seconds(columns.timestamps[sample]));
                }
                (SelectorOutput::StartTimestamp, _) => {
                    let start_ms = columns.start_timestamps.get(sample);
                    out.set(step, seconds(start_ms.copied().unwrap_or(0)));
                }
                (SelectorOutput::Value, Some(histogram)) => {
                    out.set_histogram(step, Arc::clone(histogram));
                }
                (SelectorOutput::Value, None) => out.set(step, columns.values[sample]),
            },
        );
        self.shared.limits.count_queryable(out.samples());
        if let Some(steps) = self.shared.limits.steps() {
            steps.add_queryable(reference, out.sizes());
        }
        if self.output == SelectorOutput::StartTimestamp && !self.shared.use_start_timestamps {
            out.reset(reference.count());
        }
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        Some(Box::new(Self {
            reader: self.reader.fork(series.start),
            output: self.output,
            shared: self.shared.clone(),
            samples: RangeSamples::default(),
        }))
    }
}

/// Milliseconds as seconds. Milliseconds of any date in use are exact as a float.
pub(crate) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// Calls `found` for every step with the position of the newest sample that is not older than
/// `lookback`, unless that is a stale marker. One pass over samples and steps.
pub(super) fn newest_samples(
    columns: &Columns,
    reference: Reference,
    lookback_ms: i64,
    mut found: impl FnMut(usize, usize),
) {
    let timestamps = columns.timestamps.as_slice();
    // Number of samples that are not after the step.
    let mut behind = 0;
    for step in 0..reference.count() {
        let at_ms = reference.at(step);
        behind += advance(&timestamps[behind..], at_ms);
        if behind == 0 {
            continue;
        }
        let newest = behind - 1;
        let is_fresh = timestamps[newest] > at_ms.saturating_sub(lookback_ms);
        if is_fresh && !model::is_stale_nan(columns.values[newest]) {
            found(step, newest);
        }
    }
}

/// How many of the sorted times are not after `at_ms`. Looks at the first few one by one, as there
/// are seldom more between two steps, and by halving further on.
pub(crate) fn advance(timestamps: &[i64], at_ms: i64) -> usize {
    const NEAR: usize = 8;
    match timestamps
        .iter()
        .take(NEAR)
        .position(|timestamp| *timestamp > at_ms)
    {
        Some(count) => count,
        None if timestamps.len() <= NEAR => timestamps.len(),
        None => NEAR + timestamps[NEAR..].partition_point(|timestamp| *timestamp <= at_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(samples: &[(i64, f64)]) -> Columns {
        let mut columns = Columns::default();
        samples
            .iter()
            .for_each(|(at, value)| columns.push(*at, *value));
        columns
    }

    #[test]
    fn newest_samples_agree_with_a_search_for_each_step() {
        let stale = model::stale_nan();
        let samples: Vec<(i64, f64)> = (0..40)
            .map(|number| {
                (
                    number * 7 % 300 + number * 3,
                    if number % 9 == 4 { stale } else { 1.0 },
                )
            })
            .collect();
        let mut samples = samples;
        samples.sort_by_key(|(at, _)| *at);
        samples.dedup_by_key(|(at, _)| *at);
        let columns = columns(&samples);
        for (start, end, step, lookback) in [(-10, 500, 13, 20), (0, 400, 1, 5), (100, 100, 1, 300)]
        {
            let reference = Grid::range(start, end, step)
                .expect("steps")
                .reference(None, 0);
            let mut got = Vec::new();
            newest_samples(&columns, reference, lookback, |step, sample| {
                got.push((step, sample))
            });
            let want: Vec<(usize, usize)> = (0..reference.count())
                .filter_map(|step| {
                    let at = reference.at(step);
                    let newest = samples.iter().rposition(|(time, _)| *time <= at)?;
                    let (time, value) = samples[newest];
                    (time > at - lookback && !model::is_stale_nan(value)).then_some((step, newest))
                })
                .collect();
            assert_eq!(got, want);
        }
    }
}

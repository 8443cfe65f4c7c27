//! What chunks tell about their values must not change results: every case runs on engines that cut
//! the same data into the same short chunks, of which one gives summaries and one gives none.

use model::PromDuration;
use promql::{Engine, EngineError, EngineOptions, QueryContext, QueryRange, QueryResult};
use promql_syntax::ParserOptions;
use storage::memory::MemoryChunks;
use storage::{AppendError, MemoryStorage, Queryable};

use super::case::{Case, CaseOutcome, run_against_reference};
use crate::reference::Dataset;

/// The data of a case, with the engines that hold it in short chunks.
#[derive(Debug)]
pub struct TestData {
    /// The data.
    pub dataset: Dataset,
    summarised: MemoryStorage,
    silent: MemoryStorage,
}

/// A case's outcome, and whether chunks were answered from their summaries on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseRun {
    /// The outcome.
    pub outcome: CaseOutcome,
    /// Whether summaries were used.
    pub used_summaries: bool,
}

/// Runs a case on the engines with short chunks, and against the reference.
#[must_use]
pub fn run_case(case: &Case, data: &TestData, storage: &dyn Queryable) -> CaseRun {
    let summaries = data.compare(case);
    let used_summaries = summaries == SummaryOutcome::Used;
    let outcome = match summaries {
        SummaryOutcome::Different(difference) => CaseOutcome::Different(difference),
        SummaryOutcome::Used | SummaryOutcome::Unused => {
            run_against_reference(case, &data.dataset, storage)
        }
    };
    CaseRun {
        outcome,
        used_summaries,
    }
}

/// What the use of summaries did to a case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SummaryOutcome {
    /// No chunk was answered from its summary.
    Unused,
    /// Fewer samples were held, and nothing else changed.
    Used,
    /// Something else changed.
    Different(String),
}

impl TestData {
    /// Loads the data. The length of chunks follows from it.
    ///
    /// # Errors
    /// The engine refuses a sample.
    pub fn new(dataset: Dataset) -> Result<Self, AppendError> {
        /// Windows of the random queries hold from one to some hundred samples.
        const LENGTHS: [usize; 5] = [2, 3, 5, 8, 13];
        let points: usize = dataset
            .series
            .iter()
            .map(|series| series.points.len())
            .sum();
        let samples = LENGTHS[points % LENGTHS.len()];
        let load = |summaries| -> Result<MemoryStorage, AppendError> {
            let storage = MemoryStorage::with_chunks(MemoryChunks { samples, summaries });
            dataset.append_to(&storage)?;
            Ok(storage)
        };
        Ok(Self {
            summarised: load(true)?,
            silent: load(false)?,
            dataset,
        })
    }

    /// Runs a case with and without summaries.
    fn compare(&self, case: &Case) -> SummaryOutcome {
        difference(run(case, &self.summarised), run(case, &self.silent))
    }
}

fn run(case: &Case, storage: &dyn Queryable) -> Result<QueryResult, EngineError> {
    let engine = Engine::new(EngineOptions {
        parser: ParserOptions::all(),
        name_removal: case.name_removal,
        use_start_timestamps: case.use_start_timestamps,
        per_step_stats: true,
        ..EngineOptions::default()
    });
    let context = QueryContext {
        per_step_stats: true,
        ..QueryContext::default()
    };
    let (query, times) = (engine.parse(&case.query)?, case.times);
    if times.step_ms == 0 {
        return engine.instant_parsed(storage, &query, times.start, context);
    }
    let range = QueryRange {
        start: times.start,
        end: times.end,
        step: PromDuration::from_millis(times.step_ms),
    };
    engine.range_parsed(storage, &query, range, context)
}

fn difference(
    with: Result<QueryResult, EngineError>,
    without: Result<QueryResult, EngineError>,
) -> SummaryOutcome {
    let (with, without) = match (with, without) {
        (Ok(with), Ok(without)) => (with, without),
        (Err(_), Err(_)) => return SummaryOutcome::Unused,
        (with, without) => {
            let text = format!("{with:?} with summaries, {without:?} without");
            return SummaryOutcome::Different(text);
        }
    };
    // As text a number stands for its bits, but for those of NaN.
    let shown = |result: &QueryResult| {
        let stats = result.stats;
        let counts = (stats.queryable_samples, stats.samples_read);
        let (value, annotations) = (&result.value, &result.annotations);
        format!(
            "{value:?} {annotations:?} {counts:?} {:?}",
            result.step_stats
        )
    };
    let (with_text, without_text) = (shown(&with), shown(&without));
    if with_text != without_text {
        let text = format!("{with_text} with summaries, {without_text} without");
        return SummaryOutcome::Different(text);
    }
    match with.stats.peak_samples < without.stats.peak_samples {
        true => SummaryOutcome::Used,
        false => SummaryOutcome::Unused,
    }
}

//! Many cases from one seed.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use model::Timestamp;
use promql::NameRemoval;
use promql_syntax::ast::{AggregateOp, AtModifier};
use promql_syntax::{Expr, ParserOptions, parse_expr};

use super::case::{Case, CaseOutcome, run_against_answer};
use super::chunked::{TestData, run_case};
use super::counts::Counts;
use super::explained::{Explanation, explained};
use super::expressions::{Dialect, Generator};
use super::minimise::minimised;
use super::prometheus::{Prometheus, PrometheusError};
use super::random::Random;
use super::samples::random_data;
use crate::promqltest::{ScriptStorage, ScriptStorageError};
use crate::reference::{Dataset, ReferenceTimes};

/// How many cases share their data.
const CASES_PER_DATASET: u64 = 40;

/// More differences than this are counted, but not looked into.
const MAX_MINIMISED: usize = 20;

/// The case of a seed; `None` where the query that was made does not parse.
#[must_use]
pub fn random_case(seed: u64, dialect: Dialect, base_ms: i64) -> Option<Case> {
    let mut random = Random::new(seed);
    let is_instant = random.once_in(3);
    let start_ms = random.between(-2, 20) * 60_000 + random.between(0, 3) * 7_500 + base_ms;
    // Steps of subqueries are multiples of 10 ms, so that they never lie on the edge of a window.
    let start_ms = if dialect == Dialect::Full {
        start_ms
    } else {
        start_ms + 5
    };
    let step_ms = *random.pick(&[15_000, 60_000, 37_000, 300_000]);
    let steps = random.between(0, 15);
    let times = ReferenceTimes {
        start: Timestamp::from_millis(start_ms),
        end: Timestamp::from_millis(if is_instant {
            start_ms
        } else {
            start_ms + steps * step_ms
        }),
        step_ms: if is_instant { 0 } else { step_ms },
    };
    let is_plain = dialect != Dialect::Full;
    let case = Case {
        query: Generator::new(random.bits(), dialect, base_ms).query(is_instant),
        times,
        name_removal: if is_plain || random.once_in(2) {
            NameRemoval::Immediate
        } else {
            NameRemoval::Delayed
        },
        use_start_timestamps: !is_plain && random.once_in(2),
    };
    parse_expr(&case.query, &ParserOptions::all())
        .is_ok()
        .then_some(case)
}

/// What became of many cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Cases that ran.
    pub cases: usize,
    /// Cases whose value both agree on.
    pub same: usize,
    /// Cases whose error both agree on.
    pub same_errors: usize,
    /// Cases whose error the engine did not reach.
    pub errors_not_reached: usize,
    /// Cases without a definite answer, by reason.
    pub undetermined: BTreeMap<&'static str, usize>,
    /// Cases that differ because the language changed between releases.
    pub explained: BTreeMap<Explanation, usize>,
    /// Cases that differ, the first ones made small.
    pub differences: Vec<String>,
    /// Cases in which chunks were answered from their summaries.
    pub used_summaries: usize,
    /// What the queries of the cases with an answer held.
    pub counts: Counts,
}

/// Puts samples, and nothing else, into an engine that is opened again on them.
pub(super) fn load(
    data: &Dataset,
    storage: &mut dyn ScriptStorage,
) -> Result<(), ScriptStorageError> {
    storage.clear()?;
    data.append_to(storage.appender())
        .map_err(|error| ScriptStorageError(error.to_string()))?;
    storage.restart()
}

/// Runs cases on what `storage` opens until so many had a definite answer. Everything follows from
/// `seed`.
#[must_use]
pub fn run_reference(cases: usize, seed: u64, storage: &mut dyn ScriptStorage) -> Report {
    let mut report = Report::default();
    let mut index = 0_u64;
    let mut current: Option<(u64, TestData)> = None;
    while report.cases < cases {
        let data_seed = seed
            .wrapping_mul(1_000_003)
            .wrapping_add(index / CASES_PER_DATASET);
        if current.as_ref().is_none_or(|(of, ..)| *of != data_seed) {
            match load_test_data(data_seed, storage) {
                Ok(data) => current = Some((data_seed, data)),
                Err(error) => {
                    let difference = format!("data {data_seed}: {error}");
                    report.differences.push(difference);
                    return report;
                }
            }
        }
        let case_seed = seed.wrapping_mul(7_368_787).wrapping_add(index);
        index += 1;
        if let (Some(case), Some((_, data))) = (random_case(case_seed, Dialect::Full, 0), &current)
            && !report.run(&case, data, storage)
        {
            current = None;
        }
    }
    report
}

fn load_test_data(
    seed: u64,
    storage: &mut dyn ScriptStorage,
) -> Result<TestData, ScriptStorageError> {
    let data = random_data(seed, Dialect::Full, 0);
    load(&data, storage)?;
    TestData::new(data).map_err(|error| ScriptStorageError(error.to_string()))
}

/// The first dataset is in November 2023; each further one is two hours later, out of reach of
/// windows and lookback.
const FIRST_BASE_MS: i64 = 1_700_000_000_000;
const BASE_DISTANCE_MS: i64 = 7_200_000;

/// How many cases share their data where a server has to be told of it.
const CASES_PER_SENT_DATASET: usize = 250;

/// Runs cases on the engine and on Prometheus until so many were compared.
///
/// # Errors
/// Prometheus does not answer.
pub fn run_prometheus(
    prometheus: &Prometheus,
    cases: usize,
    seed: u64,
) -> Result<Report, PrometheusError> {
    let mut report = Report::default();
    let mut index = 0_u64;
    let mut base_ms = FIRST_BASE_MS;
    while report.cases < cases {
        let data = random_data(seed.wrapping_add(index), Dialect::Prometheus242, base_ms);
        let storage = match data.to_storage() {
            Ok(storage) => storage,
            Err(error) => {
                report.differences.push(format!("data: {error}"));
                return Ok(report);
            }
        };
        prometheus.send(&data)?;
        let enough = (report.cases + CASES_PER_SENT_DATASET).min(cases);
        while report.cases < enough {
            let case_seed = seed.wrapping_mul(7_368_787).wrapping_add(index);
            index += 1;
            let Some(case) = random_case(case_seed, Dialect::Prometheus242, base_ms) else {
                continue;
            };
            let Ok(expr) = parse_expr(&case.query, &ParserOptions::all()) else {
                continue;
            };
            if let Some(why) = undecided(&expr) {
                *report.undetermined.entry(why).or_default() += 1;
                continue;
            }
            let answer = prometheus.ask(&case)?;
            let outcome = run_against_answer(&case, answer, &storage);
            report.count(&outcome);
            if let CaseOutcome::Different(difference) = outcome {
                match explained(&expr, &difference) {
                    Some(why) => *report.explained.entry(why).or_default() += 1,
                    None => report
                        .differences
                        .push(format!("{}\n  {difference}", at(&case))),
                }
            }
            report.cases += 1;
            report.counts.add(&expr);
        }
        base_ms += BASE_DISTANCE_MS;
    }
    Ok(report)
}

/// Why a query of 2.42 has no definite answer here.
fn undecided(expr: &Expr) -> Option<&'static str> {
    let mut why = None;
    expr.walk(|node| match node {
        Expr::Aggregate(aggregate)
            if matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk) =>
        {
            let is_large = |param: &Expr| {
                matches!(param.unwrap_parens(), Expr::Number(number)
                    if number.value == 0.0 || number.value > 50.0)
            };
            if !aggregate.param.as_deref().is_some_and(is_large) {
                why = Some("equal numbers in topk or bottomk are taken by chance");
            }
        }
        Expr::Subquery(subquery) => {
            let is_pinned = matches!(subquery.time.at, Some(AtModifier::Timestamp(_)));
            let mut inner = 0;
            subquery
                .expr
                .walk(|node| inner += usize::from(matches!(node, Expr::Subquery(_))));
            if is_pinned || inner > 0 {
                why = Some("a step of a subquery may lie on the edge of a window");
            }
        }
        _ => {}
    });
    why
}

fn at(case: &Case) -> String {
    let (start, end) = (case.times.start, case.times.end);
    format!(
        "{}\n  from {start} to {end} by {} ms, names go {:?}, start timestamps {}",
        case.query, case.times.step_ms, case.name_removal, case.use_start_timestamps
    )
}

impl Report {
    fn count(&mut self, outcome: &CaseOutcome) {
        match outcome {
            CaseOutcome::Same => self.same += 1,
            CaseOutcome::SameError => self.same_errors += 1,
            CaseOutcome::ErrorNotReached => self.errors_not_reached += 1,
            CaseOutcome::Undetermined(why) => *self.undetermined.entry(why).or_default() += 1,
            CaseOutcome::Different(_) => {}
        }
    }

    /// Returns whether `storage` still holds the data.
    fn run(&mut self, case: &Case, data: &TestData, storage: &mut dyn ScriptStorage) -> bool {
        let run = run_case(case, data, storage.queryable());
        self.used_summaries += usize::from(run.used_summaries);
        let outcome = run.outcome;
        self.count(&outcome);
        let mut holds_data = true;
        match outcome {
            CaseOutcome::Undetermined(_) => return true,
            CaseOutcome::Different(difference) => {
                holds_data = self.differences.len() >= MAX_MINIMISED;
                self.differences.push(if holds_data {
                    format!("{}\n  {difference}", at(case))
                } else {
                    describe(minimised(case, &data.dataset, difference, storage))
                });
            }
            _ => {}
        }
        self.cases += 1;
        if let Ok(expr) = parse_expr(&case.query, &ParserOptions::all()) {
            self.counts.add(&expr);
        }
        holds_data
    }
}

fn describe((case, data, difference): (Case, Dataset, String)) -> String {
    let mut text = format!("{}\n  {difference}\n  data:", at(&case));
    for series in data.series.iter().take(4) {
        let _infallible = write!(text, " {}", series.labels);
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "DIFFERENT {difference}")?;
        }
        writeln!(f, "{}", self.counts)?;
        for (why, count) in &self.undetermined {
            writeln!(f, "no definite answer, not counted: {count} ({why})")?;
        }
        for (why, count) in &self.explained {
            writeln!(f, "changed since: {count} ({}; {})", why.what, why.source)?;
        }
        writeln!(
            f,
            "chunks answered from summaries in {} cases",
            self.used_summaries
        )?;
        write!(
            f,
            "{} cases: {} same values, {} same errors, {} errors not reached, {} explained, {} \
             differences",
            self.cases,
            self.same,
            self.same_errors,
            self.errors_not_reached,
            self.explained.values().sum::<usize>(),
            self.differences.len()
        )
    }
}

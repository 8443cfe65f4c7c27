//! Random queries over random data: the engine against another evaluator of the same language.

mod case;
mod chunked;
mod compare;
mod counts;
mod explained;
mod expressions;
mod minimise;
mod prometheus;
mod random;
mod run;
mod samples;

pub use case::{Case, CaseOutcome, run_against_answer, run_against_reference};
pub use chunked::{CaseRun, TestData, run_case};
pub use compare::{RELATIVE_TOLERANCE, close, same_histogram};
pub use counts::Counts;
pub use explained::{Explanation, explained};
pub use expressions::{Dialect, Generator};
pub use minimise::minimised;
pub use prometheus::{Prometheus, PrometheusError};
pub use random::Random;
pub use run::{Report, random_case, run_prometheus, run_reference};
pub use samples::random_data;

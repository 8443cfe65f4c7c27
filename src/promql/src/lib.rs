//! The PromQL engine: logical plan, optimiser rules, streaming operators, functions, limits. Reads
//! through the contracts of `storage` alone, and never reads a clock: times are arguments.

pub mod annotations;
mod cache;
mod calendar;
mod engine;
pub mod error;
pub mod explain;
mod functions;
mod grid;
mod limits;
mod numeric;
mod operators;
mod optimise;
mod plan;
pub mod result;
mod slice;

use model::kahan;

pub use annotations::Annotations;
pub use cache::ResultCache;
pub use engine::{
    CacheUse, Engine, EngineOptions, EvaluationTimes, ParsedQuery, QueryContext, QueryRange,
};
pub use error::{EngineError, FunctionError, ParameterError};
pub use explain::{Analysis, OperatorUsage, PlanSteps, PlanTrace, PlanTree, RuleTrace};
pub use limits::{StopCheck, StopReason};
pub use operators::{NameRemoval, TypeLabels};
pub use optimise::Optimiser;
pub use result::{QueryResult, QueryStats, SampleValue, Series, StepStats, Value, VectorSample};

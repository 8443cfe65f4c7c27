//! Operators: how a plan is computed. Labels are known before data, then data streams series by
//! series, all steps of a series as one slice.

pub(crate) mod aggregate;
pub(crate) mod binary;
mod build;
pub(crate) mod call;
mod common;
mod constant;
mod exchange;
mod group_key;
mod info;
mod invariant;
mod matrix;
mod measured;
mod merge;
pub(crate) mod range_call;
mod range_samples;
mod selector;
mod series_buffer;
mod smoothed;
mod sort;
mod statistics;
mod subquery;

use std::ops::Range;
use std::sync::Arc;

use model::Labels;

pub(crate) use build::{BuildContext, build, build_range};
pub(crate) use measured::Meter;
pub(crate) use merge::{MergeOperator, Names};
pub(crate) use range_call::WindowShape;
pub(crate) use range_samples::RangeSamples;
pub(crate) use selector::{advance, seconds};

use crate::annotations::Notes;
use crate::error::EngineError;
use crate::limits::Limits;
use crate::slice::SeriesSlice;

/// How many series are processed between two checks whether the query has to stop.
pub(crate) const SERIES_PER_CHECK: usize = 64;

/// When operations that drop the metric's name do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameRemoval {
    /// At once.
    Immediate,
    /// When the query is done, so that functions can still read the name.
    Delayed,
}

/// What all operators of a query share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) name_removal: NameRemoval,
    pub(crate) type_and_unit_labels: TypeLabels,
    /// Whether start timestamps are read at all.
    pub(crate) use_start_timestamps: bool,
}

/// Whether the labels `__type__` and `__unit__` carry metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TypeLabels {
    /// They are ordinary labels where a metric's kind is concerned.
    Ignored,
    /// `__type__` tells counters from others.
    Trusted,
}

/// The labels of a series of a result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeriesMeta {
    pub(crate) labels: Labels,
    /// Whether the name goes when the query is done.
    pub(crate) drop_name: bool,
}

impl SeriesMeta {
    /// A series that keeps its name.
    pub(crate) fn new(labels: Labels) -> Self {
        Self {
            labels,
            drop_name: false,
        }
    }
}

/// Computes an instant vector or, as one series without labels, a scalar.
pub(crate) trait Operator: Send {
    /// The series of the result, to be asked for once, before the data. Some may turn out to have
    /// no point; no two have the same labels.
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError>;

    /// The data of the next series, in the order of [`Operator::series`]. What `out` holds before
    /// does not matter. Must not be called more often than there are series.
    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError>;

    /// A reader of some series alone, to be used on another thread, once the series are known;
    /// `None` where series are not computed independently of each other.
    fn fork(&self, _series: Range<usize>) -> Option<Box<dyn Operator>> {
        None
    }
}

/// Computes a range vector.
pub(crate) trait RangeOperator: Send {
    /// The series of the result, to be asked for once, before the data.
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError>;

    /// The samples of the next series that lie in any step's window; stale markers are left out.
    fn next(&mut self, out: &mut RangeSamples) -> Result<(), EngineError>;

    /// As [`Operator::fork`].
    fn fork(&self, _series: Range<usize>) -> Option<Box<dyn RangeOperator>> {
        None
    }
}

/// How much memory a list of series takes.
pub(crate) fn metas_bytes(metas: &[SeriesMeta]) -> usize {
    metas
        .iter()
        .map(|meta| size_of::<SeriesMeta>() + meta.labels.as_packed().len())
        .sum()
}

impl Shared {
    /// The series under the name-dropping operation.
    pub(crate) fn drop_name(&self, meta: SeriesMeta) -> SeriesMeta {
        match self.name_removal {
            NameRemoval::Immediate => SeriesMeta::new(without_metadata(&meta.labels)),
            NameRemoval::Delayed => SeriesMeta {
                labels: meta.labels,
                drop_name: true,
            },
        }
    }
}

/// The labels other than those that describe the metric itself. Source: upstream
/// `schema.IsMetadataLabel`.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    labels.filter(|name| !METADATA_LABELS.contains(&name))
}

/// The labels that describe the metric itself: its name, type and unit.
pub(crate) const METADATA_LABELS: [&str; 3] = [model::METRIC_NAME, "__type__", "__unit__"];

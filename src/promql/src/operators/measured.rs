//! Measures operators: time, series, samples, bytes. Exists only where an analysis was asked for, so
//! that it costs nothing otherwise.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::SharedStopwatch;

use super::{Operator, RangeOperator, RangeSamples, SeriesMeta, metas_bytes};
use crate::error::EngineError;
use crate::explain::OperatorUsage;
use crate::plan::Node;
use crate::slice::SeriesSlice;

/// Measures the operators of a plan whose nodes are numbered.
#[derive(Clone)]
pub(crate) struct Meter {
    stopwatch: SharedStopwatch,
    usages: Arc<[Arc<Usage>]>,
}

/// What an operator has cost so far; several threads add to it.
#[derive(Default)]
struct Usage {
    nanos: AtomicU64,
    series: AtomicU64,
    samples: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    /// A meter of `nodes` nodes.
    pub(crate) fn new(nodes: usize, stopwatch: SharedStopwatch) -> Self {
        Self {
            stopwatch,
            usages: (0..nodes).map(|_| Arc::default()).collect(),
        }
    }

    /// What a node's operator has cost so far.
    pub(crate) fn usage(&self, node: &Node) -> OperatorUsage {
        let Some(usage) = self.usages.get(node.id) else {
            return OperatorUsage::default();
        };
        OperatorUsage {
            time: Duration::from_nanos(usage.nanos.load(Ordering::Relaxed)),
            series: usage.series.load(Ordering::Relaxed),
            samples: usage.samples.load(Ordering::Relaxed),
            bytes: usage.bytes.load(Ordering::Relaxed),
        }
    }

    /// The node's operator, measured.
    pub(super) fn operator(&self, node: &Node, inner: Box<dyn Operator>) -> Box<dyn Operator> {
        match self.probe(node) {
            Some(probe) => Box::new(Measured { inner, probe }),
            None => inner,
        }
    }

    /// The node's range operator, measured.
    pub(super) fn range_operator(
        &self,
        node: &Node,
        inner: Box<dyn RangeOperator>,
    ) -> Box<dyn RangeOperator> {
        match self.probe(node) {
            Some(probe) => Box::new(Measured { inner, probe }),
            None => inner,
        }
    }

    fn probe(&self, node: &Node) -> Option<Probe> {
        Some(Probe {
            stopwatch: Arc::clone(&self.stopwatch),
            usage: Arc::clone(self.usages.get(node.id)?),
        })
    }
}

/// Measures one operator.
#[derive(Clone)]
struct Probe {
    stopwatch: SharedStopwatch,
    usage: Arc<Usage>,
}

impl Probe {
    fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = self.stopwatch.elapsed();
        let value = work();
        let nanos = self.stopwatch.elapsed().saturating_sub(start).as_nanos();
        add(&self.usage.nanos, u64::try_from(nanos).unwrap_or(u64::MAX));
        value
    }

    fn add_series(&self, metas: &[SeriesMeta]) {
        add(&self.usage.series, wide(metas.len()));
        add(&self.usage.bytes, wide(metas_bytes(metas)));
    }

    fn add_samples(&self, samples: usize, bytes_each: usize) {
        add(&self.usage.samples, wide(samples));
        add(&self.usage.bytes, wide(samples.saturating_mul(bytes_each)));
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// An operator under measurement.
struct Measured<T: ?Sized> {
    probe: Probe,
    inner: Box<T>,
}

impl Operator for Measured<dyn Operator> {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let metas = self.probe.timed(|| self.inner.series())?;
        self.probe.add_series(&metas);
        Ok(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.probe.timed(|| self.inner.next(out))?;
        self.probe
            .add_samples(out.present.count(), size_of::<f64>());
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        Some(Box::new(Self {
            probe: self.probe.clone(),
            inner: self.inner.fork(series)?,
        }))
    }
}

impl RangeOperator for Measured<dyn RangeOperator> {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let metas = self.probe.timed(|| self.inner.series())?;
        self.probe.add_series(&metas);
        Ok(metas)
    }

    fn next(&mut self, out: &mut RangeSamples) -> Result<(), EngineError> {
        self.probe.timed(|| self.inner.next(out))?;
        self.probe
            .add_samples(out.represented(), size_of::<(i64, f64)>());
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn RangeOperator>> {
        Some(Box::new(Self {
            probe: self.probe.clone(),
            inner: self.inner.fork(series)?,
        }))
    }
}

//! Series that are not known when a request names them: they are new, or come back.

use model::{LabelError, Labels};
use parking_lot::RwLockReadGuard;
use storage::{AppendError, SeriesKey};

use super::{Catalog, Inner, SeriesEntry, Unresolved};

/// Series that have an id but are not known here, since they have stopped.
pub(crate) trait StoppedSeries {
    /// Held from the look for a stopped series on until it is known: none stops meanwhile.
    fn arrivals(&self) -> RwLockReadGuard<'_, ()>;

    /// Whether there are any.
    fn is_any(&self) -> bool;

    /// The series with these labels.
    fn find(&self, labels: &Labels) -> Result<Option<(u32, SeriesEntry)>, AppendError>;

    /// Tells that series are known again.
    fn returned(&self, series: &[(u32, SeriesEntry)]);
}

/// A series that a request names by labels.
struct Missed {
    /// Its place in the request.
    index: usize,
    span_hash: Option<u128>,
    labels: Result<Labels, LabelError>,
    /// What it was when it stopped.
    stopped: Option<(u32, SeriesEntry)>,
}

impl Catalog {
    pub(super) fn resolve_misses(
        &self,
        misses: Vec<(usize, SeriesKey<'_>, u128)>,
        resolution: &mut [Result<u32, Unresolved>],
        stopped: &dyn StoppedSeries,
    ) -> Result<(), AppendError> {
        // Labels are parsed before the lock is taken.
        let mut missed: Vec<Missed> = misses.into_iter().filter_map(Missed::parse).collect();
        // From the look for stopped series on until those that were found are known.
        let _arrivals = stopped.arrivals();
        if stopped.is_any() {
            self.find_stopped(&mut missed, stopped)?;
        }
        let mut returned = Vec::new();
        let outcome = {
            let mut inner = self.inner.write();
            inner.drop_removed();
            let series = inner.records.len();
            inner.spans.bound_aliases(series);
            missed.into_iter().try_for_each(|missed| {
                let index = missed.index;
                resolution[index] = inner.arrive(missed, &mut returned)?;
                Ok(())
            })
        };
        if !returned.is_empty() {
            stopped.returned(&returned);
        }
        outcome
    }

    /// Looks for those of the missed series that have stopped.
    fn find_stopped(
        &self,
        missed: &mut [Missed],
        stopped: &dyn StoppedSeries,
    ) -> Result<(), AppendError> {
        let unknown: Vec<bool> = {
            let inner = self.inner.read();
            let is_unknown = |missed: &Missed| match &missed.labels {
                Ok(labels) => inner.find_labels(labels, u32::MAX).is_none(),
                Err(_) => false,
            };
            missed.iter().map(is_unknown).collect()
        };
        for (missed, is_unknown) in missed.iter_mut().zip(unknown) {
            if is_unknown && let Ok(labels) = &missed.labels {
                missed.stopped = stopped.find(labels)?;
            }
        }
        Ok(())
    }
}

impl Missed {
    fn parse((index, key, hash): (usize, SeriesKey<'_>, u128)) -> Option<Self> {
        let (span_hash, labels) = match key {
            SeriesKey::Raw { span, parse } => (Some(hash), parse(span)),
            SeriesKey::Labels(labels) => (None, Ok(labels.clone())),
            SeriesKey::Ref(_) => return None,
        };
        Some(Self {
            index,
            span_hash,
            labels,
            stopped: None,
        })
    }
}

impl Inner {
    /// The id of a series, which is made or comes back if need be.
    fn arrive(
        &mut self,
        missed: Missed,
        returned: &mut Vec<(u32, SeriesEntry)>,
    ) -> Result<Result<u32, Unresolved>, AppendError> {
        let labels = match missed.labels {
            // A series without any label could never be selected.
            Ok(labels) if labels.is_empty() => return Ok(Err(Unresolved::InvalidLabels)),
            Ok(labels) => labels,
            Err(error) => {
                tracing::debug!(%error, "a series with invalid labels was left out");
                return Ok(Err(Unresolved::InvalidLabels));
            }
        };
        let id = match missed.stopped {
            Some((id, entry)) if self.find_labels(&labels, id).is_none() => {
                self.restore(id, &entry);
                returned.push((id, entry));
                id
            }
            _ => self.find_or_create(&labels)?,
        };
        if let Some(hash) = missed.span_hash {
            self.spans.remember(hash, id);
        }
        Ok(Ok(id))
    }
}

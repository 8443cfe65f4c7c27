//! `count_values`: a series for each value that occurs.

use std::sync::Arc;

use hashbrown::HashMap;
use model::number::format_plain;
use model::quote::quoted;
use model::{FloatHistogram, Labels};
use promql_syntax::ast::PosRange;

use super::group_labels;
use crate::error::{EngineError, FunctionError};
use crate::functions::labels::{is_label_name, with_label};
use crate::limits::Reservation;
use crate::operators::{Operator, SERIES_PER_CHECK, SeriesMeta, Shared};
use crate::plan::Grouping;
use crate::slice::SeriesSlice;

/// `count_values`. The labels depend on the data, so that everything is computed before they are
/// known.
pub(crate) struct CountValuesOperator {
    input: Box<dyn Operator>,
    label: String,
    /// The label as the query has it, for messages.
    written_label: String,
    grouping: Grouping,
    steps: usize,
    shared: Shared,
    counts: std::vec::IntoIter<Vec<f64>>,
    memory: Reservation,
}

impl CountValuesOperator {
    /// The label is the one that gets the value; it stands at `pos`.
    pub(crate) fn new(
        input: Box<dyn Operator>,
        (label, pos): (&str, PosRange),
        grouping: &Grouping,
        steps: usize,
        shared: Shared,
    ) -> Self {
        let memory = Reservation::empty(&shared.limits);
        let mut grouping = grouping.clone();
        if let Grouping::By(names) = &mut grouping {
            names.push(label.to_owned());
            names.sort_unstable();
            names.dedup();
        }
        Self {
            input,
            label: label.to_owned(),
            written_label: shared
                .notes
                .source(pos)
                .map_or_else(|| quoted(label).to_string(), ToOwned::to_owned),
            grouping,
            steps,
            shared,
            counts: Vec::new().into_iter(),
            memory,
        }
    }
}

/// The series of the result, with their counts.
#[derive(Default)]
struct Counters {
    places: HashMap<Labels, usize>,
    outputs: Vec<SeriesMeta>,
    counts: Vec<Vec<f64>>,
}

impl Counters {
    /// The place of the series that counts a value of an input series.
    fn place(
        &mut self,
        operator: &mut CountValuesOperator,
        meta: &SeriesMeta,
        value: &str,
    ) -> Result<usize, EngineError> {
        let labels = with_label(meta.labels.clone(), &operator.label, value)?;
        let labels = group_labels(&labels, &operator.grouping);
        let next = self.outputs.len();
        let place = *self.places.entry(labels.clone()).or_insert(next);
        if place == next {
            let bytes = operator.steps * size_of::<f64>() + labels.as_packed().len();
            operator.memory.add(bytes, 0)?;
            self.outputs.push(SeriesMeta::new(labels));
            self.counts.push(vec![0.0; operator.steps]);
        }
        Ok(place)
    }
}

impl Operator for CountValuesOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        if !is_label_name(&self.label) {
            return Err(FunctionError::CountValuesLabel(self.written_label.clone()).into());
        }
        let metas = self.input.series()?;
        let mut counters = Counters::default();
        let mut slice = SeriesSlice::default();
        // Of the current series: the values that were looked up, and their places.
        let mut known: HashMap<u64, usize> = HashMap::new();
        for (index, meta) in metas.into_iter().enumerate() {
            if index.is_multiple_of(SERIES_PER_CHECK) {
                self.shared.limits.check()?;
            }
            self.input.next(&mut slice)?;
            known.clear();
            for (step, value) in slice.floats() {
                let place = match known.get(&value.to_bits()) {
                    Some(place) => *place,
                    None => {
                        let place = counters.place(self, &meta, &format_plain(value))?;
                        known.insert(value.to_bits(), place);
                        place
                    }
                };
                counters.counts[place][step] += 1.0;
            }
            // A sample is often the newest one at several steps.
            let mut last: Option<(&Arc<FloatHistogram>, usize)> = None;
            for (step, histogram) in slice.histogram_points() {
                let place = match last {
                    Some((known, place)) if Arc::ptr_eq(known, histogram) => place,
                    _ => counters.place(self, &meta, &histogram.to_string())?,
                };
                last = Some((histogram, place));
                counters.counts[place][step] += 1.0;
            }
        }
        self.counts = counters.counts.into_iter();
        Ok(counters.outputs)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        out.reset(self.steps);
        for (step, count) in self.counts.next().into_iter().flatten().enumerate() {
            if count > 0.0 {
                out.set(step, count);
            }
        }
        Ok(())
    }
}

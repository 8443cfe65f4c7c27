//! `quantile`: the only fold that needs all values of a step at once.

use std::sync::Arc;

use super::accumulator::Accumulator;
use crate::functions::quantile::quantile;
use crate::slice::{Bitmap, SeriesSlice};

/// Holds a group's series until the last has come.
pub(super) struct QuantileAccumulator {
    phis: Arc<[f64]>,
    slices: Vec<SeriesSlice>,
}

impl QuantileAccumulator {
    pub(super) fn new(phis: Arc<[f64]>) -> Self {
        Self {
            phis,
            slices: Vec::new(),
        }
    }
}

impl Accumulator for QuantileAccumulator {
    fn fold(&mut self, slice: &SeriesSlice) {
        self.slices.push(slice.clone());
    }

    fn bytes(&self) -> usize {
        let steps = self.phis.len();
        steps
            .saturating_mul(self.slices.len())
            .saturating_mul(size_of::<f64>() + 1)
    }

    fn finish(&mut self, present: &Bitmap, values: &mut [f64]) {
        let mut all = Vec::with_capacity(self.slices.len());
        for step in present.iter() {
            all.clear();
            all.extend(
                self.slices
                    .iter()
                    .filter(|slice| slice.present.get(step))
                    .map(|slice| slice.values[step]),
            );
            values[step] = quantile(self.phis[step], &mut all);
        }
    }
}

//! One series' values at all steps, with one bit for each step that says whether there is one.

use std::sync::Arc;

use model::FloatHistogram;
use smallvec::SmallVec;

use crate::result::SampleValue;

const WORD_BITS: usize = 64;

/// A set of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bitmap {
    words: SmallVec<[u64; 2]>,
    len: usize,
}

impl Bitmap {
    /// No step of `len`.
    pub(crate) fn none(len: usize) -> Self {
        Self {
            words: SmallVec::from_elem(0, len.div_ceil(WORD_BITS)),
            len,
        }
    }

    /// All steps of `len`.
    pub(crate) fn all(len: usize) -> Self {
        let mut bitmap = Self::none(len);
        bitmap.set_all();
        bitmap
    }

    /// Changes to no step of `len`, keeping the memory.
    pub(crate) fn reset(&mut self, len: usize) {
        self.words.clear();
        self.words.resize(len.div_ceil(WORD_BITS), 0);
        self.len = len;
    }

    /// Adds all steps.
    pub(crate) fn set_all(&mut self) {
        self.words.fill(u64::MAX);
        self.clear_tail();
    }

    /// Bits behind the last step are always zero.
    fn clear_tail(&mut self) {
        let used = self.len % WORD_BITS;
        if used > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }

    /// Whether the step is in the set.
    pub(crate) fn get(&self, index: usize) -> bool {
        self.words[index / WORD_BITS] >> (index % WORD_BITS) & 1 == 1
    }

    /// Adds the step.
    pub(crate) fn set(&mut self, index: usize) {
        self.words[index / WORD_BITS] |= 1 << (index % WORD_BITS);
    }

    /// Removes the step.
    pub(crate) fn unset(&mut self, index: usize) {
        self.words[index / WORD_BITS] &= !(1 << (index % WORD_BITS));
    }

    /// Whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether all steps are in the set.
    pub(crate) fn is_full(&self) -> bool {
        self.count() == self.len
    }

    /// How many steps are in the set.
    pub(crate) fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// How much memory the set takes beside its own size.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.words.as_slice())
    }

    /// Whether the sets share a step.
    pub(crate) fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Keeps the steps that are in `other` too.
    pub(crate) fn intersect(&mut self, other: &Self) {
        self.combine(other, |a, b| a & b);
    }

    /// Adds the steps of `other`.
    pub(crate) fn union(&mut self, other: &Self) {
        self.combine(other, |a, b| a | b);
    }

    /// Removes the steps of `other`.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.combine(other, |a, b| a & !b);
    }

    fn combine(&mut self, other: &Self, operation: impl Fn(u64, u64) -> u64) {
        debug_assert_eq!(self.len, other.len, "bitmaps of one grid");
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a = operation(*a, *b);
        }
    }

    /// Keeps the steps for which `keep` is true; it is asked about the steps in the set only.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        for (number, word) in self.words.iter_mut().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                if !keep(number * WORD_BITS + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }

    /// The steps in the set, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(number, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(number * WORD_BITS + bit)
            })
        })
    }
}

/// A point of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// One series at all steps of a grid. Where `present` lacks a step, its value and histogram mean
/// nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SeriesSlice {
    /// One value for each step. At steps with a histogram it means nothing.
    pub(crate) values: Vec<f64>,
    /// The steps that have a point.
    pub(crate) present: Bitmap,
    /// Histograms, one for each step that has a point which is no float. Empty when all are floats.
    pub(crate) histograms: Vec<Option<Arc<FloatHistogram>>>,
}

impl SeriesSlice {
    /// A slice without points.
    pub(crate) fn new(steps: usize) -> Self {
        let mut slice = Self::default();
        slice.reset(steps);
        slice
    }

    /// Removes all points, keeping the memory. Values are left as they are.
    pub(crate) fn reset(&mut self, steps: usize) {
        self.values.resize(steps, 0.0);
        self.present.reset(steps);
        self.histograms.clear();
    }

    /// Sets the point of a step to a float.
    pub(crate) fn set(&mut self, index: usize, value: f64) {
        self.values[index] = value;
        self.present.set(index);
        if let Some(histogram) = self.histograms.get_mut(index) {
            *histogram = None;
        }
    }

    /// Sets the point of a step to a histogram.
    pub(crate) fn set_histogram(&mut self, index: usize, histogram: Arc<FloatHistogram>) {
        self.histograms.resize(self.values.len(), None);
        self.histograms[index] = Some(histogram);
        self.present.set(index);
    }

    /// Sets all points to one float.
    pub(crate) fn fill(&mut self, value: f64) {
        self.values.fill(value);
        self.present.set_all();
        self.histograms.clear();
    }

    /// Takes over the points of another slice.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.values.clone_from(&other.values);
        self.present.clone_from(&other.present);
        self.histograms.clone_from(&other.histograms);
    }

    /// Adds the points of `other`; where both have one, that of `other` stays.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.histograms.is_empty() && other.histograms.is_empty() {
            for index in other.present.iter() {
                self.values[index] = other.values[index];
            }
        } else {
            for index in other.present.iter() {
                match other.histogram(index) {
                    Some(histogram) => self.set_histogram(index, Arc::clone(histogram)),
                    None => self.set(index, other.values[index]),
                }
            }
        }
        self.present.union(&other.present);
    }

    /// The histogram at a step that has a point; `None` when that is a float.
    pub(crate) fn histogram(&self, index: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(index)?.as_ref()
    }

    /// As how many samples the points count: a histogram as many as it is large.
    pub(crate) fn samples(&self) -> usize {
        let histograms = self.histogram_points();
        // Each point counts one already.
        let beside = histograms.map(|(_, histogram)| histogram.size_in_samples().saturating_sub(1));
        beside.fold(self.present.count(), usize::saturating_add)
    }

    /// The steps that have a point, and as how many samples each counts.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let size = |step| {
            self.histogram(step)
                .map_or(1, |it| it.size_in_samples().max(1))
        };
        self.present.iter().map(move |step| (step, size(step)))
    }

    /// Removes the points that are histograms; says whether there was one.
    pub(crate) fn keep_floats(&mut self) -> bool {
        if self.histograms.is_empty() {
            return false;
        }
        let before = self.present.count();
        let Self {
            present,
            histograms,
            ..
        } = self;
        present.retain(|index| histograms[index].is_none());
        histograms.clear();
        self.present.count() < before
    }

    /// The point of a step that has one.
    pub(crate) fn point(&self, index: usize) -> Point<'_> {
        match self.histogram(index) {
            Some(histogram) => Point::Histogram(histogram),
            None => Point::Float(self.values[index]),
        }
    }

    /// Replaces every point; `None` removes it.
    pub(crate) fn change_points(
        &mut self,
        mut change: impl FnMut(usize, Point<'_>) -> Option<SampleValue>,
    ) {
        let Self {
            values,
            present,
            histograms,
        } = self;
        let old = std::mem::take(histograms);
        present.retain(|index| {
            let point = match old.get(index) {
                Some(Some(histogram)) => Point::Histogram(histogram),
                _ => Point::Float(values[index]),
            };
            match change(index, point) {
                None => return false,
                Some(SampleValue::Float(value)) => values[index] = value,
                Some(SampleValue::Histogram(histogram)) => {
                    histograms.resize(values.len(), None);
                    histograms[index] = Some(histogram);
                }
            }
            true
        });
    }

    /// The points that are floats: step and value.
    pub(crate) fn floats(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.present
            .iter()
            .filter(|index| self.histogram(*index).is_none())
            .map(|index| (index, self.values[index]))
    }

    /// The points that are histograms: step and histogram.
    pub(crate) fn histogram_points(
        &self,
    ) -> impl Iterator<Item = (usize, &Arc<FloatHistogram>)> + '_ {
        let steps = (!self.histograms.is_empty()).then(|| self.present.iter());
        steps
            .into_iter()
            .flatten()
            .filter_map(|index| Some((index, self.histogram(index)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bitmap(len: usize, members: &[usize]) -> Bitmap {
        let mut bitmap = Bitmap::none(len);
        for member in members {
            bitmap.set(*member);
        }
        bitmap
    }

    #[test]
    fn set_operations_over_word_borders() {
        for len in [3, 64, 65, 200] {
            let last = len - 1;
            let a = bitmap(len, &[0, 1, last]);
            let b = bitmap(len, &[1, 2]);
            let members = |bitmap: &Bitmap| bitmap.iter().collect::<Vec<_>>();
            let combined = |operation: fn(&mut Bitmap, &Bitmap)| {
                let mut result = a.clone();
                operation(&mut result, &b);
                members(&result)
            };
            let both: &[usize] = if last == 2 { &[1, 2] } else { &[1] };
            assert_eq!(combined(Bitmap::intersect), both);
            let left: &[usize] = if last == 2 { &[0] } else { &[0, last] };
            assert_eq!(combined(Bitmap::subtract), left);
            let mut others = Bitmap::all(len);
            others.subtract(&a);
            assert_eq!(others.count(), len - 3);
            others.union(&a);
            assert!(others.is_full());
            others.retain(|index| index % 2 == 1);
            assert_eq!(others.count(), len / 2);
            assert!(a.intersects(&b) && !a.is_empty() && Bitmap::none(len).is_empty());
        }
    }

    #[test]
    fn merging_keeps_both_sides_points() {
        let mut left = SeriesSlice::new(70);
        left.set(0, 1.0);
        let mut right = SeriesSlice::new(70);
        right.set(69, 2.0);
        left.merge(&right);
        assert_eq!(left.floats().collect::<Vec<_>>(), [(0, 1.0), (69, 2.0)]);
    }
}

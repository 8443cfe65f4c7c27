//! Buckets by index: walking through spans, building them, merging and compacting.
//!
//! Spans come from outside. Whatever they say, a walk visits each count at most once, never leaves
//! the counts and keeps indexes within [`MAX_INDEX`].

use super::Span;
use crate::kahan::KahanSum;

/// The largest index of a bucket, and minus the smallest: far beyond what any schema needs, and
/// such that the difference of two indexes is an `i32`.
pub(super) const MAX_INDEX: i64 = (1 << 30) - 1;

/// What buckets hold.
pub(super) trait Amount: Copy {
    /// Nothing.
    const ZERO: Self;
    /// The sum of both.
    fn plus(self, other: Self) -> Self;
    /// Whether there is nothing.
    fn is_zero(self) -> bool;
}

impl Amount for f64 {
    const ZERO: Self = 0.0;

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn is_zero(self) -> bool {
        self == 0.0
    }
}

impl Amount for i64 {
    const ZERO: Self = 0;

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn is_zero(self) -> bool {
        self == 0
    }
}

/// A number with what rounding took from it.
impl Amount for KahanSum {
    const ZERO: Self = Self::EMPTY;

    fn plus(mut self, other: Self) -> Self {
        self.add(other.sum);
        self.add(other.compensation);
        self
    }

    fn is_zero(self) -> bool {
        self.sum == 0.0 && self.compensation == 0.0
    }
}

/// Counts with their indexes, in the order of the spans.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a, C> {
    spans: std::slice::Iter<'a, Span>,
    counts: std::slice::Iter<'a, C>,
    left_in_span: u32,
    next_index: i64,
}

/// Walks through `counts` from the first bucket to the last.
pub(super) fn walk<'a, C>(spans: &'a [Span], counts: &'a [C]) -> Walk<'a, C> {
    Walk {
        spans: spans.iter(),
        counts: counts.iter(),
        left_in_span: 0,
        next_index: 0,
    }
}

impl<C: Copy> Iterator for Walk<'_, C> {
    type Item = (i32, C);

    fn next(&mut self) -> Option<Self::Item> {
        while self.left_in_span == 0 {
            let span = self.spans.next()?;
            self.next_index = moved(self.next_index, i64::from(span.offset));
            self.left_in_span = span.length;
        }
        let count = *self.counts.next()?;
        let index = as_index(self.next_index);
        self.left_in_span -= 1;
        self.next_index = moved(self.next_index, 1);
        Some((index, count))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.counts.len()))
    }
}

/// Counts with their indexes, the last bucket first.
#[derive(Clone, Debug)]
pub(super) struct ReverseWalk<'a, C> {
    spans: std::slice::Iter<'a, Span>,
    counts: std::slice::Iter<'a, C>,
    left_in_span: u32,
    /// The index after the next bucket.
    end: i64,
    /// The offset of the span that the walk is in.
    offset: i64,
}

/// Walks through `counts` from the last bucket to the first. Valid spans give the reverse of
/// [`walk`].
pub(super) fn walk_back<'a, C>(spans: &'a [Span], counts: &'a [C]) -> ReverseWalk<'a, C> {
    let mut covered = 0_usize;
    let mut end = 0;
    for span in spans {
        covered = covered.saturating_add(span.length as usize);
        end = moved(end, i64::from(span.offset));
        end = moved(end, i64::from(span.length));
    }
    ReverseWalk {
        spans: spans.iter(),
        counts: counts[..counts.len().min(covered)].iter(),
        left_in_span: 0,
        end,
        offset: 0,
    }
}

impl<C: Copy> Iterator for ReverseWalk<'_, C> {
    type Item = (i32, C);

    fn next(&mut self) -> Option<Self::Item> {
        while self.left_in_span == 0 {
            let span = self.spans.next_back()?;
            self.end = moved(self.end, -self.offset);
            self.offset = i64::from(span.offset);
            self.left_in_span = span.length;
        }
        let count = *self.counts.next_back()?;
        self.left_in_span -= 1;
        self.end = moved(self.end, -1);
        Some((as_index(self.end), count))
    }
}

fn moved(index: i64, by: i64) -> i64 {
    index.saturating_add(by).clamp(-MAX_INDEX, MAX_INDEX)
}

fn as_index(index: i64) -> i32 {
    i32::try_from(index).unwrap_or_default()
}

/// Counts of buckets and where they lie.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells<C> {
    pub(super) spans: Vec<Span>,
    pub(super) counts: Vec<C>,
}

impl<C: Amount> Cells<C> {
    /// The buckets of `items`, which are in the order of indexes, without empty spans. A bucket
    /// that comes again counts into the first one.
    pub(super) fn of(items: impl Iterator<Item = (i32, C)>) -> Self {
        let mut builder = Builder::with_capacity(items.size_hint().1.unwrap_or_default());
        for (index, count) in items {
            builder.push(index, count);
        }
        builder.cells
    }

    pub(super) fn walk(&self) -> Walk<'_, C> {
        walk(&self.spans, &self.counts)
    }

    /// The buckets of both; where both have one, `self`'s count comes first.
    pub(super) fn merged(&self, others: impl Iterator<Item = (i32, C)>) -> Self {
        let mut own = self.walk().peekable();
        let mut others = others.peekable();
        let mut merged =
            Builder::with_capacity(self.counts.len() + others.size_hint().1.unwrap_or_default());
        loop {
            let next = match (own.peek(), others.peek()) {
                (Some((index, _)), Some((other, _))) if index > other => others.next(),
                (Some(_), _) => own.next(),
                (None, _) => others.next(),
            };
            let Some((index, count)) = next else {
                return merged.cells;
            };
            merged.push(index, count);
        }
    }

    /// Without empty buckets at the edges of spans and gaps of more than `max_empty` buckets;
    /// shorter gaps are filled, so that spans are further than `max_empty` apart.
    pub(super) fn compacted(&self, max_empty: usize) -> Self {
        let mut compacted = Builder::with_capacity(self.counts.len());
        for (index, count) in self.walk().filter(|(_, count)| !count.is_zero()) {
            let gap = i64::from(index) - i64::from(compacted.next_index);
            let short = usize::try_from(gap).is_ok_and(|gap| gap <= max_empty);
            if short && !compacted.cells.counts.is_empty() {
                for between in compacted.next_index..index {
                    compacted.push(between, C::ZERO);
                }
            }
            compacted.push(index, count);
        }
        compacted.cells
    }
}

/// Builds [`Cells`] bucket by bucket.
struct Builder<C> {
    cells: Cells<C>,
    next_index: i32,
}

impl<C: Amount> Builder<C> {
    fn with_capacity(buckets: usize) -> Self {
        Self {
            cells: Cells {
                spans: Vec::new(),
                counts: Vec::with_capacity(buckets),
            },
            next_index: 0,
        }
    }

    /// Appends a bucket. One that was appended already, or that lies before the last one, which
    /// only invalid spans lead to, counts into the last one.
    fn push(&mut self, index: i32, count: C) {
        let Cells { spans, counts } = &mut self.cells;
        match (spans.last_mut(), counts.last_mut()) {
            (Some(_), Some(last)) if index < self.next_index => {
                *last = last.plus(count);
                return;
            }
            (Some(span), Some(_)) if index == self.next_index => span.length += 1,
            (Some(_), Some(_)) => spans.push(Span {
                offset: index - self.next_index,
                length: 1,
            }),
            _ => spans.push(Span {
                offset: index,
                length: 1,
            }),
        }
        counts.push(count);
        self.next_index = index + 1;
    }
}

/// Whether no bucket is empty, no span is empty and spans are further than `max_empty` apart.
pub(super) fn is_compact<C: Amount>(spans: &[Span], counts: &[C], max_empty: usize) -> bool {
    let apart = |span: &Span| usize::try_from(span.offset).is_ok_and(|gap| gap > max_empty);
    counts.iter().all(|count| !count.is_zero())
        && spans.iter().all(|span| span.length > 0)
        && spans.iter().skip(1).all(apart)
}

/// The index, in a schema coarser by `by`, of the bucket that holds the bucket `index`.
pub(super) fn coarser_index(index: i32, by: u32) -> i32 {
    (index.saturating_sub(1) >> by.min(31)) + 1
}

/// The buckets of `items` in a schema coarser by `by`.
pub(super) fn coarsened<C: Amount>(items: impl Iterator<Item = (i32, C)>, by: u32) -> Cells<C> {
    Cells::of(items.map(|(index, count)| (coarser_index(index, by), count)))
}

/// Whether both say the same, empty spans apart.
pub(super) fn same_spans(a: &[Span], b: &[Span]) -> bool {
    filled_spans(a).eq(filled_spans(b))
}

/// The spans with buckets. The offset of an empty one belongs to the next one.
fn filled_spans(spans: &[Span]) -> impl Iterator<Item = (i64, u32)> + '_ {
    let mut offset = 0_i64;
    spans.iter().filter_map(move |span| {
        offset = offset.saturating_add(i64::from(span.offset));
        (span.length > 0).then(|| (std::mem::take(&mut offset), span.length))
    })
}

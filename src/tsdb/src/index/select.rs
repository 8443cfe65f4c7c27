//! From matchers to series: cheap and narrow conditions first.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{MatchOp, Matcher, TimeRange};
use roaring::RoaringBitmap;

use super::Index;
use super::cache::Found;
use super::label::LabelIndex;
use super::matching::telling_values;
use super::postings::Postings;

/// Reading a label of a series costs about as much as testing this many values of the index.
const VALUES_PER_SERIES: u64 = 4;

/// The labels of series, read one series at a time.
pub(crate) trait LabelReader {
    /// Leaves in `series` those whose labels pass.
    fn retain(&self, series: &mut RoaringBitmap, matcher: &Matcher);

    /// The values that a label has in `series`.
    fn values(&self, series: &RoaringBitmap, name: &str) -> BTreeSet<String>;
}

/// The series that tell those of a matcher from others: they pass, or, where a series without
/// the label passes as well, they do not.
enum Telling<'a> {
    /// Those of a few values.
    Values(Vec<&'a Postings>),
    /// All that have the label.
    Present(&'a RoaringBitmap),
    /// Those of values that have to be searched for.
    Search(&'a LabelIndex, &'a Matcher),
}

/// Conditions in the order in which they are applied.
#[derive(Default)]
struct Plan<'a> {
    /// A series has to be in each.
    included: Vec<Telling<'a>>,
    /// A series may be in none.
    excluded: Vec<Telling<'a>>,
}

impl Index {
    /// The series that pass all matchers and have chunks in a partition that overlaps `range`.
    pub(crate) fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        labels: &dyn LabelReader,
    ) -> RoaringBitmap {
        let Some(plan) = self.plan(matchers) else {
            return RoaringBitmap::new();
        };
        let mut included = plan.included.into_iter();
        let mut selected = match included.next() {
            Some(first) => {
                let mut selected = self.series_of(&first);
                self.presence.restrict(&mut selected, range);
                selected
            }
            None => self.present_in(range) & &self.all,
        };
        for telling in included {
            self.restrict(&mut selected, &telling, labels);
        }
        for telling in plan.excluded {
            self.exclude(&mut selected, &telling, labels);
        }
        selected
    }

    /// Orders the matchers; `None` if nothing can pass.
    fn plan<'a>(&'a self, matchers: &'a [Matcher]) -> Option<Plan<'a>> {
        let mut plan = Plan::default();
        for matcher in matchers {
            let label = self.label(matcher.name());
            match (label, matcher.matches_empty()) {
                (None, true) => {}
                (None, false) => return None,
                (Some(label), true) => plan.excluded.push(telling(label, matcher)),
                (Some(label), false) => plan.included.push(telling(label, matcher)),
            }
        }
        plan.included.sort_by_cached_key(Telling::cost);
        plan.excluded.sort_by_cached_key(Telling::cost);
        Some(plan)
    }

    fn restrict(
        &self,
        selected: &mut RoaringBitmap,
        telling: &Telling<'_>,
        labels: &dyn LabelReader,
    ) {
        match telling {
            _ if selected.is_empty() => {}
            Telling::Values(values) => match values[..] {
                [only] => only.restrict(selected),
                _ => *selected &= self.series_of(telling),
            },
            Telling::Present(series) => *selected &= *series,
            Telling::Search(label, matcher) => match self.searched(selected, label, matcher) {
                Some(series) => *selected &= &*series,
                None => labels.retain(selected, matcher),
            },
        }
    }

    fn exclude(
        &self,
        selected: &mut RoaringBitmap,
        telling: &Telling<'_>,
        labels: &dyn LabelReader,
    ) {
        match telling {
            _ if selected.is_empty() => {}
            Telling::Values(values) => {
                for postings in values {
                    postings.take_from(selected);
                }
            }
            Telling::Present(series) => *selected -= *series,
            Telling::Search(label, matcher) => match self.searched(selected, label, matcher) {
                Some(series) => *selected -= &*series,
                None => labels.retain(selected, matcher),
            },
        }
    }

    /// The series of a search, unless so few are left that it is cheaper to test their labels.
    fn searched(
        &self,
        selected: &RoaringBitmap,
        label: &LabelIndex,
        matcher: &Matcher,
    ) -> Option<Arc<RoaringBitmap>> {
        let found = self.cache.lock().get(matcher, label.versions());
        let tests = label.value_count() as u64;
        if found.is_none() && selected.len().saturating_mul(VALUES_PER_SERIES) < tests {
            return None;
        }
        Some(self.search(label, matcher, found))
    }

    fn series_of(&self, telling: &Telling<'_>) -> RoaringBitmap {
        match telling {
            Telling::Values(values) => match values[..] {
                [only] => only.to_bitmap(),
                _ => union(values.iter().copied()),
            },
            Telling::Present(series) => (*series).clone(),
            Telling::Search(label, matcher) => {
                let found = self.cache.lock().get(matcher, label.versions());
                RoaringBitmap::clone(&self.search(label, matcher, found))
            }
        }
    }

    /// The series of a search. `known` is what an earlier one found.
    fn search(
        &self,
        label: &LabelIndex,
        matcher: &Matcher,
        known: Option<Found>,
    ) -> Arc<RoaringBitmap> {
        let versions = label.versions();
        let slots = match known {
            Some(known) if known.versions == versions => return known.series,
            Some(known) => known.slots,
            None => telling_values(label, matcher).into(),
        };
        let series = Arc::new(union(slots.iter().map(|slot| label.postings_at(*slot))));
        let found = Found {
            versions,
            slots,
            series: Arc::clone(&series),
        };
        self.cache.lock().put(matcher, found);
        series
    }

    /// Names of the labels of matching series, sorted.
    pub(crate) fn label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        labels: &dyn LabelReader,
    ) -> Vec<String> {
        let among = self.select_among(matchers, range, labels);
        let has_series = |label: &&LabelIndex| match &among {
            Some(series) => !label.present().is_disjoint(series),
            None => true,
        };
        let names = self.labels().filter(has_series);
        let mut names: Vec<String> = names.map(|label| label.name().to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// Values of a label of matching series, sorted.
    pub(crate) fn label_values(
        &self,
        name: &str,
        (matchers, range): (&[Matcher], TimeRange),
        labels: &dyn LabelReader,
    ) -> Vec<String> {
        let Some(label) = self.label(name) else {
            return Vec::new();
        };
        let mut among = self.select_among(matchers, range, labels);
        if let Some(series) = &mut among {
            *series &= label.present();
            if series.len().saturating_mul(VALUES_PER_SERIES) < label.value_count() as u64 {
                return labels.values(series, name).into_iter().collect();
            }
        }
        let sorted = label.sorted();
        let has_series = |slot: &u32| match &among {
            Some(series) => !label.postings_at(*slot).is_disjoint(series),
            None => !label.postings_at(*slot).is_empty(),
        };
        let values = sorted.iter().copied().filter(has_series);
        values.map(|slot| label.text(slot).to_owned()).collect()
    }

    /// As [`Index::select`]; `None` stands for all series.
    fn select_among(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        labels: &dyn LabelReader,
    ) -> Option<RoaringBitmap> {
        if matchers.is_empty() {
            // Nearly always the newest partition has all active series.
            let mut partitions = self.partitions(range).rev();
            if partitions.any(|(_, present)| self.all.is_subset(present)) {
                return None;
            }
            let present = self.present_in(range);
            return (!self.all.is_subset(&present)).then_some(present);
        }
        Some(self.select(matchers, range, labels))
    }
}

impl Telling<'_> {
    /// Searches last; before them what names the fewest series.
    fn cost(&self) -> (bool, u64) {
        match self {
            Self::Values(values) => (false, values.iter().map(|postings| postings.len()).sum()),
            Self::Present(series) => (false, series.len()),
            Self::Search(label, _) => (true, label.value_count() as u64),
        }
    }
}

fn telling<'a>(label: &'a LabelIndex, matcher: &'a Matcher) -> Telling<'a> {
    let values = |values: &[String]| {
        let found = values.iter().filter_map(|value| label.postings(value));
        Telling::Values(found.collect())
    };
    match (matcher.op(), matcher.regex()) {
        (MatchOp::Equal | MatchOp::NotEqual, _) if matcher.value().is_empty() => {
            Telling::Present(label.present())
        }
        (MatchOp::Equal | MatchOp::NotEqual, _) => {
            Telling::Values(label.postings(matcher.value()).into_iter().collect())
        }
        // Everything passes `=~`, and nothing `!~`.
        (_, Some(regex)) if regex.is_match_all() => Telling::Values(Vec::new()),
        (_, Some(regex)) if regex.is_match_non_empty() => Telling::Present(label.present()),
        (_, Some(regex)) => match regex.set_matches() {
            Some(set) if !regex.matches_empty() => values(set),
            _ => Telling::Search(label, matcher),
        },
        (MatchOp::Regex | MatchOp::NotRegex, None) => Telling::Values(Vec::new()),
    }
}

fn union<'a>(postings: impl Iterator<Item = &'a Postings>) -> RoaringBitmap {
    let mut listed = Vec::new();
    let mut series = RoaringBitmap::new();
    for postings in postings {
        match postings {
            Postings::Many(bitmap) => series |= &**bitmap,
            _ => postings.add_to_list(&mut listed),
        }
    }
    listed.sort_unstable();
    series |= listed.into_iter().collect::<RoaringBitmap>();
    series
}

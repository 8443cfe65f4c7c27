//! What a target says of its metric families, from scrape to scrape.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use storage::{FamilyMetadata, MetricKind};

/// A family stays for so many good scrapes after the last one that had it. Source: upstream
/// `scrape/scrape.go`, `scrapeCache.iterDone`.
const KEEP_SCRAPES: u64 = 10;

/// Families that failed scrapes may add to twice as many as the last good one left. Source: as
/// above.
const MAX_ADDED_BY_FAILURES: usize = 1000;

/// Texts are forgotten at the earliest when there are so many.
const MIN_TEXTS: usize = 1024;

/// The families of one target. A scrape notes lines as it meets them, and ends with
/// [`FamilyCache::commit`] or [`FamilyCache::roll_back`].
#[derive(Debug, Default)]
pub(crate) struct FamilyCache {
    families: HashMap<Arc<str>, Family>,
    /// Number of good scrapes.
    scrape: u64,
    /// Families after the last good scrape.
    last_good: usize,
}

#[derive(Debug)]
struct Family {
    kind: MetricKind,
    help: Arc<str>,
    unit: Arc<str>,
    /// Number of good scrapes before the last one that had the family.
    seen_in: u64,
}

/// One line about a family, escapes resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'a> {
    Kind(MetricKind),
    Help(&'a str),
    Unit(&'a str),
}

impl FamilyCache {
    /// Takes a line about a family. What earlier scrapes told otherwise stays.
    pub(crate) fn note(&mut self, name: &str, fact: Fact<'_>, texts: &Texts) {
        let seen_in = self.scrape;
        let new = || Family {
            kind: MetricKind::Unknown,
            help: texts.share(""),
            unit: texts.share(""),
            seen_in,
        };
        let family = match self.families.get_mut(name) {
            Some(family) => family,
            None => self.families.entry(texts.share(name)).or_insert_with(new),
        };
        family.seen_in = seen_in;
        let (known, text) = match fact {
            Fact::Kind(kind) => {
                family.kind = kind;
                return;
            }
            Fact::Help(text) => (&mut family.help, text),
            Fact::Unit(text) => (&mut family.unit, text),
        };
        if **known != *text {
            *known = texts.share(text);
        }
    }

    /// Ends a good scrape.
    pub(crate) fn commit(&mut self) {
        self.forget_missing();
        self.last_good = self.families.len();
    }

    /// Ends a failed scrape. What it told stays, unless such scrapes tell ever more.
    pub(crate) fn roll_back(&mut self) {
        if self.families.len() > self.last_good * 2 + MAX_ADDED_BY_FAILURES {
            self.forget_missing();
        }
    }

    fn forget_missing(&mut self) {
        let scrape = self.scrape;
        self.families
            .retain(|_, family| scrape - family.seen_in <= KEEP_SCRAPES);
        self.scrape += 1;
    }

    /// One family.
    pub(crate) fn get(&self, name: &str) -> Option<FamilyMetadata> {
        let (name, family) = self.families.get_key_value(name)?;
        Some(family.describe(name))
    }

    /// All families, sorted by name.
    pub(crate) fn list(&self) -> Vec<FamilyMetadata> {
        let families = self.families.iter();
        let mut all: Vec<_> = families
            .map(|(name, family)| family.describe(name))
            .collect();
        all.sort_unstable_by(|a, b| a.family.cmp(&b.family));
        all
    }

    /// How many families there are.
    pub(crate) fn len(&self) -> usize {
        self.families.len()
    }

    /// Bytes of kinds, help texts and units. Source: upstream `metaEntry.size`.
    pub(crate) fn text_bytes(&self) -> usize {
        let bytes =
            |family: &Family| family.kind.as_str().len() + family.help.len() + family.unit.len();
        self.families.values().map(bytes).sum()
    }
}

impl Family {
    fn describe(&self, name: &Arc<str>) -> FamilyMetadata {
        FamilyMetadata {
            family: Arc::clone(name),
            kind: self.kind,
            help: Arc::clone(&self.help),
            unit: Arc::clone(&self.unit),
        }
    }
}

/// Texts of all targets, each once: a thousand node exporters say the same.
#[derive(Debug, Default)]
pub(crate) struct Texts(Mutex<TextSet>);

#[derive(Debug, Default)]
struct TextSet {
    texts: HashSet<Arc<str>>,
    /// Number of texts at which those that nobody has any more go.
    purge_at: usize,
}

impl Texts {
    /// The shared copy of a text.
    pub(crate) fn share(&self, text: &str) -> Arc<str> {
        let set = &mut *self.0.lock();
        if let Some(known) = set.texts.get(text) {
            return Arc::clone(known);
        }
        if set.texts.len() >= set.purge_at {
            set.texts.retain(|text| Arc::strong_count(text) > 1);
            set.purge_at = (set.texts.len() * 2).max(MIN_TEXTS);
        }
        let shared: Arc<str> = Arc::from(text);
        set.texts.insert(Arc::clone(&shared));
        shared
    }

    /// How many texts are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().texts.len()
    }
}

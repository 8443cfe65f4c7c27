//! Symbols: every label pair that any series has, once, in the form in which label sets hold it.

use twox_hash::XxHash3_64;

use super::id_table::IdTable;

/// Texts lie side by side in pages of about this size.
const PAGE_BYTES: usize = 64 << 10;
/// Garbage that is not worth moving the other texts.
const GARBAGE_BYTES: usize = 4 << 20;

/// Label pairs by number. Numbers are dense, and those of forgotten pairs are given out again.
#[derive(Debug)]
pub(super) struct Pairs {
    entries: Vec<Entry>,
    /// Numbers of entries without references.
    free: Vec<u32>,
    pages: Vec<String>,
    by_text: IdTable,
    /// Secret, so that nobody outside can make texts collide.
    seed: u64,
    garbage_bytes: usize,
}

/// Where a pair's text lies.
#[derive(Clone, Copy, Debug)]
struct Entry {
    page: u32,
    start: u32,
    length: u32,
    /// Series that have the pair.
    references: u32,
}

impl Pairs {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            pages: Vec::new(),
            by_text: IdTable::new(),
            seed,
            garbage_bytes: 0,
        }
    }

    /// The packed text of a pair, as [`model::Labels::packed_pairs`] gives it.
    #[inline]
    pub(super) fn text(&self, pair: u32) -> &str {
        let Some(entry) = self.entries.get(pair as usize) else {
            return "";
        };
        let start = entry.start as usize;
        self.pages
            .get(entry.page as usize)
            .and_then(|page| page.get(start..start + entry.length as usize))
            .unwrap_or_default()
    }

    /// The number of a pair for one more series.
    pub(super) fn take(&mut self, text: &str) -> u32 {
        let hash = self.hash(text);
        let known = self.by_text.find(hash, |pair| self.text(pair) == text);
        if let Some(pair) = known {
            let references = &mut self.entries[pair as usize].references;
            *references = references.saturating_add(1);
            return pair;
        }
        let entry = self.store(text);
        let pair = match self.free.pop() {
            Some(pair) => {
                self.entries[pair as usize] = entry;
                pair
            }
            None => {
                self.entries.push(entry);
                number(self.entries.len() - 1)
            }
        };
        self.by_text.insert(hash, pair);
        pair
    }

    /// Lets go of pairs, each for one series that had it, and forgets those that none has.
    pub(super) fn release(&mut self, pairs: impl Iterator<Item = u32>) {
        for pair in pairs {
            let Some(entry) = self.entries.get_mut(pair as usize) else {
                continue;
            };
            entry.references = entry.references.saturating_sub(1);
            if entry.references == 0 {
                self.garbage_bytes += entry.length as usize;
                let hash = self.hash(self.text(pair));
                self.by_text.remove(hash, pair);
                self.free.push(pair);
            }
        }
        let total: usize = self.pages.iter().map(String::len).sum();
        if self.garbage_bytes > GARBAGE_BYTES && self.garbage_bytes > total / 2 {
            self.move_texts();
        }
    }

    fn hash(&self, text: &str) -> u64 {
        XxHash3_64::oneshot_with_seed(self.seed, text.as_bytes())
    }

    fn store(&mut self, text: &str) -> Entry {
        let fits = |page: &String| page.len() + text.len() <= page.capacity();
        if !self.pages.last().is_some_and(fits) {
            let capacity = PAGE_BYTES.max(text.len());
            self.pages.push(String::with_capacity(capacity));
        }
        let page = self.pages.len() - 1;
        let start = self.pages[page].len();
        self.pages[page].push_str(text);
        Entry {
            page: number(page),
            start: number(start),
            length: number(text.len()),
            references: 1,
        }
    }

    fn move_texts(&mut self) {
        let pages = std::mem::take(&mut self.pages);
        for at in 0..self.entries.len() {
            let entry = self.entries[at];
            if entry.references == 0 {
                continue;
            }
            let start = entry.start as usize;
            let text = &pages[entry.page as usize][start..start + entry.length as usize];
            self.entries[at] = Entry {
                references: entry.references,
                ..self.store(text)
            };
        }
        self.garbage_bytes = 0;
    }
}

/// There are fewer pairs and pages than series times labels would fill memory with.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shared_and_given_out_again() {
        let mut pairs = Pairs::new(7);
        let texts: Vec<String> = (0..5000).map(|n| format!("{:-<200}{n}", "")).collect();
        for text in texts.iter().chain(&texts[..10]) {
            pairs.take(text);
        }
        assert_eq!(pairs.take(&texts[3]), 3);
        assert_eq!(pairs.text(4999), texts[4999]);
        pairs.release(0..5000);
        assert_eq!(pairs.free.len(), 4990);
        assert_eq!(pairs.text(9), texts[9]);
        let reused = pairs.take("new");
        assert!((10..5000).contains(&reused));
        assert_eq!(pairs.text(reused), "new");
        assert_eq!(pairs.take(&texts[9]), 9);
    }

    #[test]
    fn garbage_goes() {
        let mut pairs = Pairs::new(7);
        let texts: Vec<String> = (0..50_000).map(|n| format!("{:-<200}{n}", "")).collect();
        for text in &texts {
            pairs.take(text);
        }
        pairs.release((0..50_000).filter(|pair| pair % 10 != 0));
        let bytes: usize = pairs.pages.iter().map(String::len).sum();
        assert!(bytes < 2 << 20, "{bytes}");
        for pair in (0..50_000).step_by(10) {
            assert_eq!(pairs.text(pair), texts[pair as usize]);
            assert_eq!(pairs.take(&texts[pair as usize]), pair);
        }
        assert_eq!(pairs.text(u32::MAX), "");
    }
}

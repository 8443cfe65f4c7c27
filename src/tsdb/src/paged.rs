//! A table by series id that grows page by page: nothing moves, nothing doubles.

/// Entries of a page.
const PAGE: usize = 1 << PAGE_BITS;
/// The page of a type of one cache line is a size that allocators give without padding.
const PAGE_BITS: u32 = 7;

/// One entry for each id from 0 on. Pages appear when they are written to.
#[derive(Debug)]
pub(crate) struct Paged<T> {
    pages: Vec<Option<Box<[T]>>>,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T: Default> Paged<T> {
    /// The entry at `index`, where its page exists.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.pages
            .get(index >> PAGE_BITS)?
            .as_ref()?
            .get(index & (PAGE - 1))
    }

    /// The entry at `index`, with its page made if need be.
    #[inline]
    pub(crate) fn entry(&mut self, index: usize) -> &mut T {
        let page = index >> PAGE_BITS;
        if self.pages.get(page).is_none_or(Option::is_none) {
            self.make_page(page);
        }
        let page = self.pages[page].as_mut();
        &mut page.expect("the page was made if it was not there")[index & (PAGE - 1)]
    }

    /// All entries of pages that exist.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten().flat_map(|page| page.iter())
    }

    /// As [`Paged::iter`], with their positions.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        let pages = (0..).step_by(PAGE).zip(&mut self.pages);
        pages.flat_map(|(first, page)| {
            let entries = page.iter_mut().flat_map(|page| page.iter_mut());
            (first..).zip(entries)
        })
    }

    /// Drops the pages of some entries, where all entries are as if they had never been written.
    pub(crate) fn drop_pages(
        &mut self,
        of: impl Iterator<Item = usize>,
        is_vacant: impl Fn(&T) -> bool,
    ) {
        let mut last = None;
        for number in of.map(|index| index >> PAGE_BITS) {
            if last.replace(number) == Some(number) {
                continue;
            }
            if let Some(page) = self.pages.get_mut(number)
                && page
                    .as_ref()
                    .is_some_and(|page| page.iter().all(&is_vacant))
            {
                *page = None;
            }
        }
    }

    #[cold]
    fn make_page(&mut self, page: usize) {
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        self.pages[page] = Some((0..PAGE).map(|_| T::default()).collect());
    }
}

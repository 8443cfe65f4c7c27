//! What is known of a series, packed into a word.

/// How much is known of a series' newest sample after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Newest {
    /// Nothing yet: it has to be looked up before a sample is accepted.
    #[default]
    Unknown,
    /// The series has no sample.
    None,
    /// Its time, not its value.
    Time,
    /// Both, and it is a float.
    Float,
    /// Both, and it is a histogram.
    Histogram,
}

/// Whether the series' row is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Persisted {
    #[default]
    No,
    /// A commit that is not written yet carries it.
    Queued,
    Yes,
}

/// From the lowest bit: three each for the newest accepted and the newest published sample, two for
/// the row in the store, one for removal, the rest a count of samples under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State(u32);

const NEWEST_MASK: u32 = 7;
const PUBLISHED_SHIFT: u32 = 3;
const PERSISTED_SHIFT: u32 = 6;
const PERSISTED_MASK: u32 = 3;
const REMOVED: u32 = 1 << 8;
const PENDING_ONE: u32 = 1 << 9;
const PENDING_MASK: u32 = !(PENDING_ONE - 1);

impl State {
    pub(super) const fn is_default(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn newest(self) -> Newest {
        Newest::from_bits(self.0)
    }

    pub(super) const fn set_newest(&mut self, newest: Newest) {
        self.0 = self.0 & !NEWEST_MASK | newest as u32;
    }

    pub(super) const fn published(self) -> Newest {
        Newest::from_bits(self.0 >> PUBLISHED_SHIFT)
    }

    pub(super) const fn set_published(&mut self, published: Newest) {
        let cleared = self.0 & !(NEWEST_MASK << PUBLISHED_SHIFT);
        self.0 = cleared | (published as u32) << PUBLISHED_SHIFT;
    }

    pub(super) const fn persisted(self) -> Persisted {
        match self.0 >> PERSISTED_SHIFT & PERSISTED_MASK {
            0 => Persisted::No,
            1 => Persisted::Queued,
            _ => Persisted::Yes,
        }
    }

    pub(super) const fn set_persisted(&mut self, persisted: Persisted) {
        let cleared = self.0 & !(PERSISTED_MASK << PERSISTED_SHIFT);
        self.0 = cleared | (persisted as u32) << PERSISTED_SHIFT;
    }

    pub(super) const fn is_removed(self) -> bool {
        self.0 & REMOVED != 0
    }

    pub(super) const fn set_removed(&mut self, removed: bool) {
        self.0 = self.0 & !REMOVED | if removed { REMOVED } else { 0 };
    }

    pub(super) const fn is_pending(self) -> bool {
        self.0 & PENDING_MASK != 0
    }

    /// One more sample is under way. A count that would not fit stays for ever: the series then
    /// counts as busy, which is safe.
    pub(super) const fn add_pending(&mut self) {
        if self.0 & PENDING_MASK != PENDING_MASK {
            self.0 += PENDING_ONE;
        }
    }

    pub(super) const fn remove_pending(&mut self) {
        let pending = self.0 & PENDING_MASK;
        if pending != PENDING_MASK && pending != 0 {
            self.0 -= PENDING_ONE;
        }
    }

    pub(super) const fn clear_pending(&mut self) {
        if self.0 & PENDING_MASK != PENDING_MASK {
            self.0 &= !PENDING_MASK;
        }
    }
}

impl Newest {
    const fn from_bits(bits: u32) -> Self {
        match bits & NEWEST_MASK {
            0 => Self::Unknown,
            1 => Self::None,
            2 => Self::Time,
            3 => Self::Float,
            _ => Self::Histogram,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_touch_each_other() {
        let kinds = [
            Newest::Unknown,
            Newest::None,
            Newest::Time,
            Newest::Float,
            Newest::Histogram,
        ];
        for (at, newest) in kinds.into_iter().enumerate() {
            for published in kinds {
                let mut state = State::default();
                let persisted = [Persisted::No, Persisted::Queued, Persisted::Yes][at % 3];
                state.set_newest(Newest::Histogram);
                state.set_published(published);
                state.set_persisted(persisted);
                state.set_removed(true);
                state.add_pending();
                state.add_pending();
                state.set_newest(newest);
                assert_eq!((state.newest(), state.published()), (newest, published));
                assert_eq!(state.persisted(), persisted);
                state.remove_pending();
                assert!(state.is_removed() && state.is_pending());
                state.remove_pending();
                state.remove_pending();
                state.set_removed(false);
                assert!(!state.is_removed() && !state.is_pending());
                assert_eq!((state.newest(), state.published()), (newest, published));
            }
        }
    }

    #[test]
    fn a_full_count_stays() {
        let mut state = State(PENDING_MASK - PENDING_ONE);
        state.add_pending();
        state.add_pending();
        state.remove_pending();
        state.clear_pending();
        assert_eq!(state.0, PENDING_MASK);
    }
}

//! A budget of bytes that pieces of work share. Counts promises only: it allocates nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Shares grow by at least this much, so that growing is rare.
const BLOCK_BYTES: u64 = 1 << 20;

/// Bytes that all shares together may hold. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    total: AtomicU64,
    used: AtomicU64,
    given_back: Notify,
}

impl MemoryBudget {
    /// A budget of `total_bytes`.
    #[must_use]
    pub fn new(total_bytes: u64) -> Self {
        Self(Arc::new(Budget {
            total: AtomicU64::new(total_bytes),
            used: AtomicU64::new(0),
            given_back: Notify::new(),
        }))
    }

    /// The whole of it, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.total()
    }

    /// Makes the whole of it larger or smaller. What shares hold beyond it stays theirs; there is
    /// nothing for others until they have given it back.
    pub fn set_total(&self, total_bytes: u64) {
        let before = self.0.total.swap(total_bytes, Ordering::Relaxed);
        if before < total_bytes {
            self.0.given_back.notify_one();
        }
    }

    /// What shares hold, in bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// A share of `bytes`, at most of the whole budget; `None` when they are not free.
    #[must_use]
    pub fn try_share(&self, bytes: u64) -> Option<MemoryShare> {
        let bytes = bytes.min(self.0.total());
        self.0.try_add(bytes).then(|| MemoryShare {
            budget: Arc::clone(&self.0),
            bytes: AtomicU64::new(bytes),
        })
    }

    /// As [`MemoryBudget::try_share`], but waits until the bytes are free. Who came first is woken
    /// first.
    pub async fn share(&self, bytes: u64) -> MemoryShare {
        loop {
            // Made before the look, so that nothing given back in between is missed.
            let mut given_back = std::pin::pin!(self.0.given_back.notified());
            given_back.as_mut().enable();
            if let Some(share) = self.try_share(bytes) {
                // There may be room for the next one too.
                self.0.given_back.notify_one();
                return share;
            }
            given_back.await;
        }
    }
}

impl Budget {
    fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    fn try_add(&self, bytes: u64) -> bool {
        let total = self.total();
        let added = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= total);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, added)
            .is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if bytes > 0 {
            self.given_back.notify_one();
        }
    }
}

/// Bytes of a budget; they go back when it is dropped. Several threads may grow it.
#[derive(Debug)]
pub struct MemoryShare {
    budget: Arc<Budget>,
    bytes: AtomicU64,
}

impl MemoryShare {
    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Makes it hold at least `bytes`; `false` when the budget has not got them.
    #[must_use]
    pub fn grow_to(&self, bytes: u64) -> bool {
        loop {
            let held = self.bytes();
            if bytes <= held {
                return true;
            }
            let exact = bytes - held;
            let block = exact.max(BLOCK_BYTES);
            let Some(more) = [block, exact]
                .into_iter()
                .find(|more| self.budget.try_add(*more))
            else {
                return false;
            };
            let grown = held.saturating_add(more);
            let swapped =
                self.bytes
                    .compare_exchange(held, grown, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return true,
                Err(_) => self.budget.give_back(more),
            }
        }
    }

    /// Gives back what it holds beyond `bytes`.
    pub fn shrink_to(&self, bytes: u64) {
        let held = self.bytes.fetch_min(bytes, Ordering::Relaxed);
        self.budget.give_back(held.saturating_sub(bytes));
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.budget.give_back(*self.bytes.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn shares_never_exceed_the_budget() {
        let budget = MemoryBudget::new(10 << 20);
        let first = budget.try_share(4 << 20).unwrap();
        assert!(first.grow_to(1) && first.grow_to(4 << 20));
        assert_eq!(budget.used(), 4 << 20);
        assert!(first.grow_to((4 << 20) + 1));
        assert_eq!(first.bytes(), 5 << 20);
        assert!(budget.try_share(6 << 20).is_none());
        let second = budget.try_share((4 << 20) + 7).unwrap();
        // Less than a block is left.
        assert!(second.grow_to((4 << 20) + 9));
        assert!(!second.grow_to(6 << 20));
        assert_eq!(second.bytes(), (4 << 20) + 9);
        first.shrink_to(3);
        assert_eq!(budget.used(), (4 << 20) + 12);
        drop((first, second));
        assert_eq!(budget.used(), 0);
        assert_eq!(budget.try_share(u64::MAX).unwrap().bytes(), 10 << 20);
    }

    #[test]
    fn a_budget_can_change() {
        let budget = MemoryBudget::new(10);
        let first = budget.try_share(8).unwrap();
        budget.set_total(4);
        assert!(budget.try_share(1).is_none() && !first.grow_to(9));
        assert_eq!((budget.used(), budget.total()), (8, 4));
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = std::pin::pin!(budget.share(4));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        budget.set_total(12);
        assert!(waiting.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn who_waits_gets_what_is_given_back() {
        let budget = MemoryBudget::new(10);
        let first = budget.try_share(8).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = [
            std::pin::pin!(budget.share(5)),
            std::pin::pin!(budget.share(5)),
        ];
        for share in &mut waiting {
            assert!(share.as_mut().poll(&mut context).is_pending());
        }
        drop(first);
        let shares = waiting.map(|mut share| match share.as_mut().poll(&mut context) {
            Poll::Ready(share) => share.bytes(),
            Poll::Pending => 0,
        });
        assert_eq!(shares, [5, 5]);
    }
}

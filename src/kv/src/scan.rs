//! Walks keys in order.

use rocksdb::{DBRawIterator, ReadOptions};

use crate::error::KvError;
use crate::store::{Family, Kv, MARKER};

/// A key and its value, borrowed from a cursor.
pub type Entry<'a> = (&'a [u8], &'a [u8]);

/// A cursor over the keys of a family, in byte order, below an upper bound. It sees the store as it
/// was when the cursor was made.
pub struct Scan<'a> {
    inner: DBRawIterator<'a>,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(
        kv: &'a Kv,
        family: Family,
        below: Option<&[u8]>,
        mut options: ReadOptions,
    ) -> Self {
        if let Some(below) = below {
            options.set_iterate_upper_bound(below.to_vec());
        }
        Self {
            inner: kv
                .database()
                .raw_iterator_cf_opt(kv.handle(family), options),
        }
    }

    /// Moves to the first key at or after `key`.
    pub fn seek(&mut self, key: &[u8]) {
        self.inner.seek(key);
        if self.inner.key() == Some(MARKER) {
            self.inner.next();
        }
    }

    /// Moves to the last key at or before `key`.
    pub fn seek_for_prev(&mut self, key: &[u8]) {
        self.inner.seek_for_prev(key);
    }

    /// Moves to the next key.
    pub fn advance(&mut self) {
        if self.inner.valid() {
            self.inner.next();
        }
    }

    /// Key and value at the cursor; `None` past the end.
    ///
    /// # Errors
    /// The last move failed to read.
    pub fn current(&self) -> Result<Option<Entry<'_>>, KvError> {
        match self.inner.item() {
            // It is before all keys: nothing was found at or before some key.
            Some((MARKER, _)) => Ok(None),
            Some(item) => Ok(Some(item)),
            None => {
                self.inner.status().map_err(KvError::operation("scan"))?;
                Ok(None)
            }
        }
    }
}

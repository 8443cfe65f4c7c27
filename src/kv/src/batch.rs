//! Writes that happen together or not at all.

use rocksdb::WriteBatch;

use crate::store::{Family, Kv};

/// Collects writes for [`Kv::write`].
pub struct Batch<'a> {
    kv: &'a Kv,
    pub(crate) inner: WriteBatch,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(kv: &'a Kv) -> Self {
        Self {
            kv,
            inner: WriteBatch::default(),
        }
    }

    /// Sets a key.
    pub fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.inner.put_cf(self.kv.handle(family), key, value);
    }

    /// Removes a key.
    pub fn delete(&mut self, family: Family, key: &[u8]) {
        self.inner.delete_cf(self.kv.handle(family), key);
    }

    /// Removes the keys from `from` on, below `to`.
    pub fn delete_range(&mut self, family: Family, from: &[u8], to: &[u8]) {
        self.inner.delete_range_cf(self.kv.handle(family), from, to);
    }

    /// Size of the collected writes, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.inner.size_in_bytes()
    }

    /// Whether nothing was collected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }
}

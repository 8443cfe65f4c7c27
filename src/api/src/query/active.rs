//! `queries.active`: the queries that run right now, in a file, so that after a crash it is known
//! which ones they were. Layout and texts as upstream `promql/query_logger.go`: `[`, then a field of
//! fixed size for each query that may run, zeros where there is none.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use model::Timestamp;
use parking_lot::Mutex;

use crate::json::{Escape, Object};

/// Bytes of a query's field; the last one is a comma.
const FIELD_BYTES: usize = 1000;

/// The name of the file.
const FILE_NAME: &str = "queries.active";

/// Most bytes of an old file that are read: fields of a thousand queries.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The file, once it was opened. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ActiveQueries(Arc<OnceLock<Arc<Shared>>>);

#[derive(Debug)]
struct Shared {
    file: File,
    /// Numbers of the fields that are free.
    free: Mutex<Vec<u32>>,
}

/// A query in the file, as long as it lives.
pub(crate) struct ActiveQuery {
    shared: Arc<Shared>,
    field: u32,
}

impl ActiveQueries {
    /// No file yet: nothing is written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Logs the queries that an old file in `folder` holds, and begins a new one for `most`
    /// queries at one time. Blocking.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(&self, folder: &Path, most: usize) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE_NAME);
        match unfinished(&path) {
            Ok(None) => {}
            Ok(Some(queries)) => {
                tracing::info!(
                    queries,
                    "These queries didn't finish in prometheus' last run:"
                );
            }
            Err(error) => tracing::error!(%error, "Failed to read query log file"),
        }
        let most = u32::try_from(most).unwrap_or(u32::MAX).min(10_000);
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        file.set_len(offset(most))?;
        file.write_all_at(b"[", 0)?;
        // A second file would be a second server in this object, which does not happen.
        let _first = self.0.get_or_init(|| {
            let free = Mutex::new((0..most).rev().collect());
            Arc::new(Shared { file, free })
        });
        Ok(())
    }

    /// Puts a query into the file until the answer is dropped. Blocking. A file that cannot be
    /// written does not keep the query from running.
    pub(crate) fn insert(&self, query: &str, now: Timestamp) -> Option<ActiveQuery> {
        let shared = Arc::clone(self.0.get()?);
        let field = shared.free.lock().pop()?;
        let active = ActiveQuery { shared, field };
        active.write(&entry(query, now));
        Some(active)
    }
}

impl ActiveQuery {
    fn write(&self, field: &[u8; FIELD_BYTES]) {
        let written = self.shared.file.write_all_at(field, offset(self.field));
        if let Err(error) = written {
            tracing::warn!(%error, "active queries not written");
        }
    }
}

impl Drop for ActiveQuery {
    fn drop(&mut self) {
        self.write(&[0; FIELD_BYTES]);
        self.shared.free.lock().push(self.field);
    }
}

/// Where a field begins.
fn offset(field: u32) -> u64 {
    1 + u64::from(field) * FIELD_BYTES as u64
}

/// The list of queries in an old file.
fn unfinished(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    bytes.retain(|byte| *byte != 0);
    // What is left is `[` and entries, each with a comma.
    if bytes.len() <= 1 {
        return Ok(None);
    }
    bytes.pop();
    bytes.push(b']');
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The field of a query, which is cut until it fits.
fn entry(query: &str, now: Timestamp) -> [u8; FIELD_BYTES] {
    let mut field = [0; FIELD_BYTES];
    let mut cut = query.len().min(FIELD_BYTES);
    let text = loop {
        cut = query.floor_char_boundary(cut);
        let text = object(&query[..cut], now);
        // An escape takes up to six bytes for one; it ends with an empty query at the latest.
        if text.len() < FIELD_BYTES || cut == 0 {
            break text;
        }
        cut -= (text.len() - FIELD_BYTES + 1).div_ceil(6).min(cut);
    };
    let length = text.len().min(FIELD_BYTES - 1);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
    field[FIELD_BYTES - 1] = b',';
    field
}

fn object(query: &str, now: Timestamp) -> String {
    let mut text = String::new();
    let mut object = Object::begin(&mut text);
    crate::json::push_string(query, Escape::Html, object.key("query"));
    object.integer("timestamp_sec", now.as_millis().div_euclid(1000));
    object.end();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_443_600_999);

    #[test]
    fn running_queries_are_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let active = ActiveQueries::new();
        assert!(active.insert("before", NOW).is_none());
        active.open(folder.path(), 2).unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len(), 2001);
        assert_eq!(unfinished(&path).unwrap(), None);
        let first = active.insert("up<1", NOW);
        let second = active.insert("b", NOW);
        assert!(active.insert("too many", NOW).is_none());
        let entry = |query: &str| format!(r#"{{"query":"{query}","timestamp_sec":1795443600}}"#);
        let both = format!("[{},{}]", entry("up\\u003c1"), entry("b"));
        assert_eq!(unfinished(&path).unwrap(), Some(both));
        drop(first);
        assert_eq!(
            unfinished(&path).unwrap(),
            Some(format!("[{}]", entry("b")))
        );
        drop(second);
        assert_eq!(unfinished(&path).unwrap(), None);
        // A new start empties the file.
        std::mem::forget(active.insert("lost", NOW));
        ActiveQueries::new().open(folder.path(), 1).unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len(), 1001);
        assert_eq!(unfinished(&path).unwrap(), None);
    }

    #[test]
    fn long_queries_are_cut() {
        for query in [
            "x".repeat(5000),
            "ä".repeat(2000),
            "<".repeat(999),
            "\u{1}\"".repeat(600),
        ] {
            let field = entry(&query, NOW);
            let end = field
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(FIELD_BYTES - 1);
            assert!(end > FIELD_BYTES - 10);
            let text = std::str::from_utf8(&field[..end]).unwrap();
            let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
            assert!(query.starts_with(parsed["query"].as_str().unwrap()));
        }
    }
}

//! What a server was doing when it was killed: its log at level debug says when work on storage
//! begins and ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Work that has begun and not ended, as far as the log was read.
pub(super) struct WorkLog {
    path: PathBuf,
    offset: u64,
    rest: String,
    open: BTreeMap<String, i32>,
}

impl WorkLog {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            offset: 0,
            rest: String::new(),
            open: BTreeMap::new(),
        }
    }

    /// Reads what has come since the last call.
    pub(super) fn read(&mut self) {
        let mut file = File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.offset)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        self.offset += bytes.len() as u64;
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        while let Some((line, rest)) = self.rest.split_once('\n') {
            let step = match line {
                line if line.contains("msg=\"storage work begins\"") => 1,
                line if line.contains("msg=\"storage work ends\"") => -1,
                _ => 0,
            };
            if step != 0
                && let Some((_, work)) = line.split_once(" work=")
            {
                let work = work.split(' ').next().unwrap_or_default();
                *self.open.entry(work.to_owned()).or_default() += step;
            }
            self.rest = rest.to_owned();
        }
    }

    pub(super) fn is_under_way(&self, work: &str) -> bool {
        self.open.get(work).is_some_and(|count| *count > 0)
    }

    pub(super) fn under_way(&self) -> impl Iterator<Item = &str> {
        let open = self.open.iter().filter(|(_, count)| **count > 0);
        open.map(|(work, _)| work.as_str())
    }
}

/// How many kills fell into which kind of work; one may fall into several.
#[derive(Default)]
pub(super) struct Tally {
    kills: u32,
    during: BTreeMap<String, u32>,
}

impl Tally {
    pub(super) fn count<'a>(&mut self, under_way: impl Iterator<Item = &'a str>) {
        self.kills += 1;
        let mut any = false;
        for work in under_way {
            any = true;
            *self.during.entry(work.to_owned()).or_default() += 1;
        }
        if !any {
            *self.during.entry("writes alone".to_owned()).or_default() += 1;
        }
    }

    pub(super) fn during(&self, work: &str) -> u32 {
        self.during.get(work).copied().unwrap_or(0)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} kills", self.kills)?;
        for (work, count) in &self.during {
            write!(out, ", {count} during {work}")?;
        }
        Ok(())
    }
}

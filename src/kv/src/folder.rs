//! The files of a store before RocksDB opens them: what is damaged among them is found and logged
//! here, and what cannot be opened is repaired. See `docs/adr/0005-recovery.md`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rocksdb::DB;

use crate::error::KvError;
use crate::log_check::{self, Damage};
use crate::options::{KvOptions, database_options};

const CURRENT: &str = "CURRENT";
const MANIFEST_PREFIX: &str = "MANIFEST-";

/// What was found in a folder.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Open, so that they can be read while RocksDB takes them over and removes them.
    logs: Vec<(String, File)>,
    tables: BTreeSet<String>,
    manifests: Vec<(u64, String)>,
    /// Why RocksDB could not open the folder as it is.
    pub(crate) needs_repair: Option<String>,
}

impl Folder {
    /// Looks at the files. What is wrong with the list of files is logged.
    ///
    /// # Errors
    /// The operating system refuses to list or read them.
    pub(crate) fn inspect(path: &Path) -> io::Result<Self> {
        let mut folder = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        for entry in std::fs::read_dir(path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if is_numbered(&name, ".log") {
                let file = File::open(path.join(&name))?;
                folder.logs.push((name, file));
            } else if is_numbered(&name, ".sst") {
                folder.tables.insert(name);
            } else if let Some(number) = manifest_number(&name) {
                folder.manifests.push((number, name));
            }
        }
        folder.logs.sort_by(|(a, _), (b, _)| a.cmp(b));
        folder.manifests.sort();
        if folder.is_new() {
            return Ok(folder);
        }
        match folder.current_manifest()? {
            Some(name) => folder.check_manifest(&name)?,
            None => folder.needs_repair = Some("no list of its files is left".to_owned()),
        }
        Ok(folder)
    }

    fn is_new(&self) -> bool {
        self.logs.is_empty() && self.tables.is_empty() && self.manifests.is_empty()
    }

    /// The list of files that counts. A damaged pointer to it is written anew.
    fn current_manifest(&self) -> io::Result<Option<String>> {
        let named = match std::fs::read(self.path.join(CURRENT)) {
            Ok(named) => String::from_utf8(named).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let is_there = |name: &str| self.manifests.iter().any(|(_, known)| known == name);
        if let Some(name) = named.strip_suffix('\n')
            && is_there(name)
        {
            return Ok(Some(name.to_owned()));
        }
        let file = self.path.join(CURRENT);
        let Some((_, newest)) = self.manifests.last() else {
            tracing::error!(file = %file.display(), "the pointer to the list of files is damaged");
            return Ok(None);
        };
        tracing::error!(
            file = %file.display(),
            takes = newest,
            "the pointer to the list of files is damaged and written anew"
        );
        let written = self.path.join("CURRENT.new");
        std::fs::write(&written, format!("{newest}\n"))?;
        File::open(&written)?.sync_all()?;
        std::fs::rename(written, file)?;
        Ok(Some(newest.clone()))
    }

    fn check_manifest(&mut self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        let damage = log_check::check(File::open(&path)?)?;
        let is_empty = path.metadata()?.len() == 0;
        for Damage { offset, bytes, .. } in &damage {
            let file = path.display();
            tracing::error!(%file, offset, bytes, "the list of files is damaged");
        }
        if is_empty || !damage.is_empty() {
            self.needs_repair = Some(format!("its list of files {name} is damaged"));
        }
        Ok(())
    }

    /// Reads the logs and logs what RocksDB drops of them.
    pub(crate) fn check_logs(&mut self) {
        let last = self.logs.len().saturating_sub(1);
        for (position, (name, file)) in self.logs.drain(..).enumerate() {
            let file_path = self.path.join(&name);
            let file_path = file_path.display();
            let damage = match log_check::check(file) {
                Ok(damage) => damage,
                Err(error) => {
                    tracing::error!(file = %file_path, %error, "the log cannot be checked");
                    continue;
                }
            };
            for Damage {
                offset,
                bytes,
                is_torn_end,
            } in damage
            {
                if is_torn_end && position == last {
                    tracing::warn!(file = %file_path, offset, bytes, "a torn record is cut off the end of the log");
                } else if is_torn_end {
                    // Writes went on in the next file: that of a refused write, or of a later cut.
                    tracing::error!(file = %file_path, offset, bytes, "the log ends in a torn record, and others follow it");
                } else {
                    tracing::error!(file = %file_path, offset, bytes, "a damaged part of the log is lost");
                }
            }
        }
    }

    /// Lets RocksDB collect what can be read into a new list of files.
    ///
    /// # Errors
    /// Nothing can be read.
    pub(crate) fn repair(&mut self, reason: &str, options: &KvOptions) -> Result<(), KvError> {
        let path = self.path.display();
        tracing::error!(%path, reason, "storage is repaired: files that cannot be read are put aside");
        let source = DB::repair(&database_options(options), &self.path);
        source.map_err(|source| KvError::open(&self.path, source))?;
        self.tables.clear();
        Ok(())
    }

    /// Logs which files were there and are not used, given those that are. Returns whether any are.
    pub(crate) fn report_unused(&self, used: &BTreeSet<String>) -> bool {
        let mut any = false;
        for name in self.tables.difference(used) {
            let file = self.path.join(name);
            if file.exists() {
                continue;
            }
            tracing::warn!(
                file = %file.display(),
                "a file that no list names was dropped: an interrupted write left it behind"
            );
            any = true;
        }
        any
    }
}

fn is_numbered(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix)
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn manifest_number(name: &str) -> Option<u64> {
    name.strip_prefix(MANIFEST_PREFIX)?.parse().ok()
}

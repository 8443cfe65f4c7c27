//! What a server's folder holds: everything that has to stay, and the part that finds series.

use std::path::Path;

use testkit::process::folder_bytes;

use super::server::Kind;

/// Bytes of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    pub(super) all: u64,
    pub(super) index: u64,
}

/// Measures the data of a server; that of Firewatch has to be stopped.
pub(super) fn footprint(kind: Kind, data: &Path) -> anyhow::Result<Footprint> {
    match kind {
        Kind::Firewatch => firewatch(data),
        Kind::Prometheus => Ok(Footprint {
            all: folder_bytes(data),
            index: files_named("index", data)?,
        }),
        Kind::VictoriaMetrics => {
            // Caches beside these two can be lost.
            let index = folder_bytes(&data.join("indexdb"));
            let all = folder_bytes(&data.join("data")) + index;
            Ok(Footprint { all, index })
        }
    }
}

/// What finds series are the families beside those of samples and of unsealed commits.
fn firewatch(data: &Path) -> anyhow::Result<Footprint> {
    let kv = kv::Kv::open(&data.join("firewatch"), &kv::KvOptions::default())?;
    let index = kv::Family::ALL
        .into_iter()
        .filter(|family| {
            use kv::Family::{Index, Series, Stopped};
            matches!(family, Series | Index | Stopped)
        })
        .map(|family| kv.family_bytes(family))
        .sum();
    drop(kv);
    Ok(Footprint {
        all: folder_bytes(data),
        index,
    })
}

fn files_named(name: &str, folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            bytes += files_named(name, &entry.path())?;
        } else if entry.file_name() == name {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

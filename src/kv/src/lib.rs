//! RocksDB: open, options, column families, batches, scans and the state store. The only crate
//! that sees it; its callers see families, keys and bytes. Never holds a single sample as a value.

mod batch;
mod error;
mod folder;
mod health;
mod log_check;
mod lost;
mod options;
mod scan;
mod space;
mod state;
mod store;
mod table;

pub use batch::Batch;
pub use error::KvError;
pub use options::{KvOptions, WalSync};
pub use scan::{Entry, Scan};
pub use space::remove_notes;
pub use store::{Family, Kv};
pub use table::TableWriter;

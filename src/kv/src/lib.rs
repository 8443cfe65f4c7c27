//! RocksDB: open, options, column families, numbered commits and the state store. The only crate that sees it.

//! The time series engine on kv: log, head, chunks, index, retention.

//! Contracts between storage engines and everything that reads or writes samples, and an
//! in-memory engine for tests and tools. Names no engine and touches no disk.

pub mod append;
pub mod changes;
pub mod contract;
pub mod error;
pub mod exemplars;
pub mod maintenance;
pub mod memory;
pub mod metadata;
pub mod points;
pub mod read;
pub mod state;
pub mod status;

pub use append::{
    AppendOutcome, AppendPolicy, AppendRequest, AppendSeries, Appender, Durability,
    HistogramSample, OutOfOrder, PendingAppend, Rejected, Sample, SeriesKey, SeriesRef,
};
pub use changes::ChangeLog;
pub use error::{AppendError, StorageError};
pub use exemplars::{CircularExemplars, ExemplarError, ExemplarStore, SeriesExemplars};
pub use maintenance::{Maintenance, SnapshotHead};
pub use memory::{MemoryChunks, MemoryStorage};
pub use metadata::{FamilyMetadata, MetadataEntry, MetadataStore, MetricKind};
pub use points::{Point, PointValue, Points};
pub use read::{
    ChunkCursor, ChunkSummary, Columns, Querier, Queryable, SelectHints, SeriesSet, WriteGeneration,
};
pub use state::{StateChange, StateEntry, StateError, StateStore};
pub use status::{Cardinality, HeadStatus, LargestCounts, StatusSource};

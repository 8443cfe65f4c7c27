//! Extensions of std shared by everything with I/O: clock, named tasks, CPU pool, error kinds,
//! metrics registry. Knows nothing of monitoring.

pub mod clock;
pub mod error;
pub mod memory;
pub mod metrics;
pub mod pool;
pub mod task;

pub use clock::{
    Clock, ManualClock, ManualStopwatch, SharedClock, SharedStopwatch, Stopwatch, SystemClock,
    SystemStopwatch,
};
pub use error::{ErrorKind, report};
pub use memory::{MemoryBudget, MemoryShare};
pub use pool::{CpuPool, PoolError};
pub use task::{Shutdown, TaskGroup};

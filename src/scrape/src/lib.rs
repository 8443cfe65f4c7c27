//! Scraping: targets, their schedule, their labels, staleness, synthetic series. What a target does
//! wrong ends in its own status and never stops a loop.

mod cache;
pub mod error;
mod families;
mod fetch;
mod ingest;
mod labels;
mod looping;
pub mod manager;
mod metrics;
mod pool;
mod report;
mod schedule;
pub mod target;
mod url;

pub use error::{ScrapeError, TargetError};
pub use manager::{
    ActiveTarget, DroppedTarget, ExternalAddress, Manager, ManagerOptions, Parts, TargetsSnapshot,
};
pub use target::TargetHealth;

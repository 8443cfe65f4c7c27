//! prometheus.yml: structures, defaults, validation. Three layers: the file's own structure
//! (`raw`), the rules between its parts (`validate`), and the settings that the rest of the program
//! takes ([`Config`] and what it holds). No live objects: no clients, no tasks, no clock.

pub mod error;
mod expand;
pub mod options;
mod raw;
mod size;
mod validate;
mod yaml;

pub use error::{ConfigError, InvalidConfig};
pub use size::parse_size;

pub use options::{
    Config, EscapingScheme, Global, NameValidation, ScrapeConfig, ScrapeLimits, ScrapeProtocol,
    StaticConfig, StorageConfig,
};

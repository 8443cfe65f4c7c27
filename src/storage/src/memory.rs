//! In-memory engine for tests and tools.

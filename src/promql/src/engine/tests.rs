//! Whole queries against a small engine in memory.

//! The firewatch binary: flags, wiring, start, reload, stop.

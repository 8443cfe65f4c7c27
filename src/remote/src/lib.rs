//! Remote write, receiving side: zero-copy decoder and its rules.

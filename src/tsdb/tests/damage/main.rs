//! Damaged folders: a byte flipped or a file cut, anywhere. The engine opens, never panics, never
//! serves a value that was not written, and logs when it lacks one that was.
//!
//! `DAMAGE_CASES=500 DAMAGE_SEED=1 cargo test -p tsdb --test damage` runs more cases, or others; `DAMAGE_FIRST`
//! begins at a later one, `DAMAGE_SHOW` tells what each one has found.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod log_lines;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod truth;

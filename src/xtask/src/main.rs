//! Development commands: tidy, promqltest, benches.
fn main() {}

//! Entry point of the `firewatch` binary.
fn main() {}

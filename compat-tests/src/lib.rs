//! Black-box tests: helpers to start programs and to talk HTTP to them.

//! Black-box tests live in `tests/it`, their data beside them; this library is empty on purpose.

//! Extensions of std shared by everything with I/O: clock, named tasks, CPU pool, error kinds, metrics registry.

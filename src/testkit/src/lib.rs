//! Test helpers: the promqltest script runner, a fake clock, mock targets.

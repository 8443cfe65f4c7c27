//! Test support: checks that every engine behind the contracts of this crate must pass. The tests
//! of each engine run them against a fresh instance per check; product code has no use for them.

mod append;
mod entry;
mod fixture;
mod histogram;
mod metadata;
mod order;
mod read;
mod state;

pub use fixture::{Fixture, Violation};

use crate::metadata::MetadataStore;
use crate::state::StateStore;

/// One check of a sample engine. The engine is empty when it starts.
pub type Check = fn(&Fixture<'_>) -> Result<(), Violation>;

/// One check of a state store. The store is empty when it starts.
pub type StateCheck = fn(&dyn StateStore) -> Result<(), Violation>;

/// One check of a metadata store. The store is empty when it starts.
pub type MetadataCheck = fn(&dyn MetadataStore) -> Result<(), Violation>;

/// All checks of sample engines, by name.
pub const CHECKS: &[(&str, Check)] = &[
    (
        "values are kept bit for bit",
        append::values_are_kept_bit_for_bit,
    ),
    (
        "deferred samples are visible at once",
        append::deferred_samples_are_visible_at_once,
    ),
    (
        "older samples are out of order",
        append::older_samples_are_out_of_order,
    ),
    (
        "another value at the same time is a duplicate",
        append::another_value_is_a_duplicate,
    ),
    (
        "an exact repetition is accepted",
        append::an_exact_repetition_is_accepted,
    ),
    (
        "a rolled back request leaves nothing",
        append::a_rolled_back_request_leaves_nothing,
    ),
    (
        "a skipping request keeps the rest",
        append::a_skipping_request_keeps_the_rest,
    ),
    (
        "order is checked inside a request",
        append::order_is_checked_inside_a_request,
    ),
    (
        "order is checked per series",
        append::order_is_checked_per_series,
    ),
    ("references name series", append::references_name_series),
    ("raw spans name series", append::raw_spans_name_series),
    (
        "invalid labels lose only their series",
        append::invalid_labels_lose_only_their_series,
    ),
    ("matchers select", read::matchers_select),
    ("label names are listed", read::label_names_are_listed),
    ("label values are listed", read::label_values_are_listed),
    (
        "both ends of a range are inside",
        read::both_ends_of_a_range_are_inside,
    ),
    (
        "chunks cover a series without overlap",
        read::chunks_cover_a_series,
    ),
    ("chunk summaries are true", read::chunk_summaries_are_true),
    ("chunks can be skipped", read::chunks_can_be_skipped),
    (
        "the newest sample of a chunk can be read alone",
        read::newest_samples_are_those_of_chunks,
    ),
    (
        "selections repeat in the same order",
        read::selections_repeat_in_order,
    ),
    (
        "series are read in any order",
        read::series_are_read_in_any_order,
    ),
    ("changes are told with their times", read::changes_are_told),
];

/// Checks of native histograms and start timestamps, by name.
pub const HISTOGRAM_CHECKS: &[(&str, Check)] = &[
    (
        "histograms are kept bit for bit",
        histogram::histograms_are_kept_bit_for_bit,
    ),
    (
        "stale histograms are stale markers",
        histogram::stale_histograms_are_stale_markers,
    ),
    (
        "floats and histograms share a series",
        histogram::floats_and_histograms_share_a_series,
    ),
    (
        "chunks with histograms tell no values",
        histogram::chunks_with_histograms_tell_no_values,
    ),
    (
        "histograms keep the order",
        histogram::histograms_keep_the_order,
    ),
    (
        "another histogram is a duplicate",
        histogram::another_histogram_is_a_duplicate,
    ),
    (
        "a repeated histogram is accepted",
        histogram::a_repeated_histogram_is_accepted,
    ),
    (
        "refused histograms leave nothing",
        histogram::refused_histograms_leave_nothing,
    ),
    (
        "histograms of any size are refused or kept",
        histogram::histograms_of_any_size_are_refused_or_kept,
    ),
    (
        "start timestamps are kept",
        histogram::start_timestamps_are_kept,
    ),
];

/// Checks of engines that take samples out of order, by name: the window of the engine is an hour.
pub const OUT_OF_ORDER_CHECKS: &[(&str, Check)] = &[
    (
        "late samples take their place",
        order::late_samples_take_their_place,
    ),
    (
        "the window reaches back from the newest sample",
        order::the_window_reaches_back_from_the_newest_sample,
    ),
    (
        "the first of two late samples stays",
        order::the_first_of_two_late_samples_stays,
    ),
    (
        "requests may refuse late samples",
        order::requests_may_refuse_late_samples,
    ),
    (
        "late samples may be of any kind",
        order::late_samples_may_be_of_any_kind,
    ),
    (
        "late samples are in chunks without overlap",
        order::late_samples_are_in_chunks_without_overlap,
    ),
    (
        "late samples change the generation",
        order::late_samples_change_the_generation,
    ),
];

/// All checks of state stores, by name.
pub const STATE_CHECKS: &[(&str, StateCheck)] = &[
    (
        "entries are stored and removed",
        state::entries_are_stored_and_removed,
    ),
    (
        "scans are sorted and bounded by the prefix",
        state::scans_are_sorted_and_bounded,
    ),
    ("namespaces are separate", state::namespaces_are_separate),
    (
        "namespaces without a name are refused",
        state::invalid_namespaces_are_refused,
    ),
];

/// All checks of metadata stores, by name.
pub const METADATA_CHECKS: &[(&str, MetadataCheck)] = &[
    ("the last entry counts", metadata::the_last_entry_counts),
    ("entries are bounded", metadata::entries_are_bounded),
];

//! Keys that are equal where series agree in certain labels, built without allocating.

use model::{Labels, METRIC_NAME};

/// Writes the labels that count into `key`, so that keys are equal exactly when those labels are.
/// `counts` says which labels count.
pub(crate) fn write_key(labels: &Labels, key: &mut String, counts: impl FnMut(&str) -> bool) {
    key.clear();
    labels.pack_filtered(key, counts);
}

/// Whether a label counts for `by (names)`; `names` are sorted.
pub(crate) fn is_in(names: &[String], label: &str) -> bool {
    names
        .binary_search_by(|name| name.as_str().cmp(label))
        .is_ok()
}

/// Whether a label counts for `without (names)`; `names` are sorted.
pub(crate) fn is_kept_without(names: &[String], label: &str) -> bool {
    label != METRIC_NAME && !is_in(names, label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_borders_between_texts() {
        let labels = |pairs: &[(&str, &str)]| {
            Labels::from_pairs(pairs.iter().copied()).expect("valid labels")
        };
        let long = "x".repeat(5_000);
        let sets = [
            labels(&[("a", "bc")]),
            labels(&[("ab", "c")]),
            labels(&[("a", "b"), ("c", "d")]),
            labels(&[("a", "bcd")]),
            labels(&[("a", &long)]),
            labels(&[("a", &long[1..])]),
        ];
        let mut keys: Vec<String> = sets
            .iter()
            .map(|set| {
                let mut key = String::new();
                write_key(set, &mut key, |_| true);
                key
            })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), sets.len());
    }

    #[test]
    fn names_do_not_count_without() {
        let names = ["a".to_owned(), "c".to_owned()];
        assert!(is_in(&names, "c") && !is_in(&names, "b"));
        assert!(is_kept_without(&names, "b") && !is_kept_without(&names, METRIC_NAME));
    }
}

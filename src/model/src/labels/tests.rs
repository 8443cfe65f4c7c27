//! Tests of label sets.

use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

#[test]
fn sorts_and_drops_empty_values() {
    let set = labels(&[
        ("job", "api"),
        ("__name__", "up"),
        ("empty", ""),
        ("Z", "1"),
    ]);
    let pairs: Vec<_> = set.iter().collect();
    assert_eq!(pairs, [("Z", "1"), ("__name__", "up"), ("job", "api")]);
    assert_eq!(set.to_string(), r#"{Z="1", __name__="up", job="api"}"#);
    assert_eq!(set.metric_name(), Some("up"));
    assert_eq!(set.get("empty"), None);
}

#[test]
fn refuses_duplicates_and_empty_names() {
    let twice = Labels::from_pairs([("a", "1"), ("a", "2")]).unwrap_err();
    assert_eq!(twice.to_string(), r#"duplicate label name "a""#);
    assert_eq!(
        Labels::from_pairs([("", "1")]).unwrap_err(),
        LabelError::EmptyName
    );
}

#[test]
fn holds_long_texts() {
    for length in [127, 128, 0xd7ff, 0xd800, 0xdfff, MAX_LABEL_BYTES] {
        let value = "v".repeat(length);
        let set = labels(&[("a", &value), ("b", "x")]);
        assert_eq!(set.get("a").map(str::len), Some(length));
        assert_eq!(set.get("b"), Some("x"));
        assert_eq!(Labels::from_packed(set.as_packed()), Some(set));
    }
    let long = "v".repeat(MAX_LABEL_BYTES + 1);
    assert!(Labels::from_pairs([("a", long.as_str())]).is_err());
}

#[test]
fn builder_replaces_and_removes() {
    let mut builder = LabelsBuilder::new(labels(&[("a", "1"), ("b", "2")]));
    builder.set("c", "3").set("a", "9").remove("b");
    assert_eq!(builder.get("b"), None);
    assert_eq!(builder.build().unwrap(), labels(&[("a", "9"), ("c", "3")]));
}

#[test]
fn orders_pair_by_pair() {
    assert!(labels(&[("a", "1")]) < labels(&[("a", "1"), ("b", "1")]));
    assert!(labels(&[("a", "10")]) < labels(&[("a", "9")]));
    assert!(labels(&[("a", "z")]) < labels(&[("b", "a")]));
}

proptest! {
    #[test]
    fn packs_and_unpacks(pairs in prop::collection::btree_map(".{1,8}", ".{1,200}", 0..6)) {
        let set = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap();
        prop_assert_eq!(Labels::from_packed(set.as_packed()), Some(set.clone()));
        let back: Vec<_> = set.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        prop_assert_eq!(back, pairs.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".*") {
        if let Some(set) = Labels::from_packed(&text) {
            prop_assert_eq!(set.as_packed(), text.as_str());
        }
    }

    #[test]
    fn order_is_that_of_the_pairs(
        a in prop::collection::btree_map("[a-c]{1,2}", "[x-z]{1,2}", 0..3),
        b in prop::collection::btree_map("[a-c]{1,2}", "[x-z]{1,2}", 0..3),
    ) {
        let set = |map: &std::collections::BTreeMap<String, String>| {
            Labels::from_pairs(map.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap()
        };
        prop_assert_eq!(set(&a).cmp(&set(&b)), a.iter().cmp(b.iter()));
    }
}

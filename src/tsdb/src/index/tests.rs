//! The index beside a plain map of labels.

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, MatchOp, Matcher, TimeRange, Timestamp};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::{Index, LabelReader};
use crate::partition::{PARTITION_MS, Partition};

/// All series with their labels and the days on which they have chunks.
#[derive(Default)]
struct Plain(BTreeMap<u32, (Labels, BTreeSet<i64>)>);

impl LabelReader for Plain {
    fn retain(&self, series: &mut RoaringBitmap, matcher: &Matcher) {
        let passes = |id: &u32| matcher.matches(self.0[id].0.value_or_empty(matcher.name()));
        *series = series.iter().filter(passes).collect();
    }

    fn values(&self, series: &RoaringBitmap, name: &str) -> BTreeSet<String> {
        let values = series.iter().filter_map(|id| self.0[&id].0.get(name));
        values.map(str::to_owned).collect()
    }
}

impl Plain {
    fn select(&self, matchers: &[Matcher], days: &BTreeSet<i64>) -> BTreeSet<u32> {
        let passes = |labels: &Labels, matcher: &Matcher| {
            matcher.matches(labels.value_or_empty(matcher.name()))
        };
        let found = self.0.iter().filter(|(_, (labels, present))| {
            !present.is_disjoint(days) && matchers.iter().all(|matcher| passes(labels, matcher))
        });
        found.map(|(id, _)| *id).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add {
        id: u32,
        values: [u16; 3],
        day: i64,
    },
    Remove {
        id: u32,
    },
    DropDay {
        day: i64,
    },
    Ask {
        matchers: Vec<Matcher>,
        days: (i64, i64),
    },
}

fn day(day: i64) -> Partition {
    Partition::nearest(Timestamp::from_millis(day * PARTITION_MS))
}

/// Label names: `few` has few values, `many` has many, and both may be absent.
fn labels(values: [u16; 3]) -> Labels {
    let few = format!("v{}", values[0] % 4);
    let many = format!("node-{}.example:{}", values[1] % 300, 9100 + values[1] % 3);
    let rare = "x".repeat(usize::from(values[2] % 3));
    let mut pairs = vec![(
        "__name__",
        if values[2].is_multiple_of(2) {
            "up"
        } else {
            "down"
        },
    )];
    if !values[0].is_multiple_of(5) {
        pairs.push(("few", &few));
    }
    if !values[1].is_multiple_of(7) {
        pairs.push(("many", &many));
    }
    if !rare.is_empty() {
        pairs.push(("rare", &rare));
    }
    Labels::from_pairs(pairs).unwrap()
}

const PATTERNS: [&str; 18] = [
    "",
    ".*",
    ".+",
    "v1|v2",
    "v1|",
    "v.",
    "node-1.*",
    ".*9101",
    "node-[0-9]+.example:9100",
    "node-1[0-9]?[.].*:91(00|02)",
    "(?i)NODE-2[0-9].*",
    "[a-z]*",
    "x|xx",
    "x+",
    "[^x]*",
    "up",
    "u[op]",
    "(node|v)[^3]+",
];

fn matcher() -> impl Strategy<Value = Matcher> {
    let name = prop::sample::select(vec!["__name__", "few", "many", "rare", "absent"]);
    let op = prop::sample::select(vec![
        MatchOp::Equal,
        MatchOp::NotEqual,
        MatchOp::Regex,
        MatchOp::NotRegex,
    ]);
    let literal = prop::sample::select(vec![
        "",
        "up",
        "v1",
        "x",
        "node-17.example:9102",
        "node-1.example:9101",
    ]);
    let pattern = prop::sample::select(PATTERNS.to_vec());
    (name, op, literal, pattern).prop_map(|(name, op, literal, pattern)| {
        let is_regex = matches!(op, MatchOp::Regex | MatchOp::NotRegex);
        Matcher::new(op, name, if is_regex { pattern } else { literal }).unwrap()
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..2000_u32, any::<[u16; 3]>(), 0..4_i64)
            .prop_map(|(id, values, day)| Step::Add { id, values, day }),
        3 => (0..2000_u32).prop_map(|id| Step::Remove { id }),
        1 => (0..4_i64).prop_map(|day| Step::DropDay { day }),
        8 => (prop::collection::vec(matcher(), 0..4), (0..4_i64, 0..4_i64))
            .prop_map(|(matchers, days)| Step::Ask { matchers, days }),
    ]
}

fn apply(index: &mut Index, plain: &mut Plain, step: Step) {
    match step {
        Step::Add {
            id,
            values,
            day: on,
        } => {
            let entry = plain.0.entry(id);
            let (labels, days) = entry.or_insert_with(|| (labels(values), BTreeSet::new()));
            index.add(id, labels);
            index.mark_present(&[(day(on), id)]);
            days.insert(on);
        }
        Step::Remove { id } => {
            if let Some((labels, days)) = plain.0.remove(&id) {
                for on in days {
                    let mut left = index.presence(day(on)).cloned().unwrap_or_default();
                    left.remove(id);
                    index.set_presence(day(on), left);
                }
                index.remove(id, &labels);
            }
        }
        Step::DropDay { day: on } => {
            index.drop_partition(day(on));
            for (_, days) in plain.0.values_mut() {
                days.remove(&on);
            }
        }
        Step::Ask { matchers, days } => check(index, plain, &matchers, days),
    }
}

fn check(index: &Index, plain: &Plain, matchers: &[Matcher], (from, to): (i64, i64)) {
    let days: BTreeSet<i64> = (from.min(to)..=from.max(to)).collect();
    let at = |day: i64| Timestamp::from_millis(day * PARTITION_MS + 1000);
    let range = TimeRange::new(at(from.min(to)), at(from.max(to)));
    let want = plain.select(matchers, &days);
    let got = index.select(matchers, range, plain);
    assert_eq!(got.iter().collect::<BTreeSet<u32>>(), want, "{matchers:?}");
    let of_series = || want.iter().map(|id| &plain.0[id].0);
    let names: BTreeSet<&str> = of_series()
        .flat_map(|labels| labels.iter().map(|(name, _)| name))
        .collect();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    assert_eq!(
        index.label_names(matchers, range, plain),
        names,
        "{matchers:?}"
    );
    for name in ["few", "many", "absent"] {
        let values: BTreeSet<&str> = of_series().filter_map(|labels| labels.get(name)).collect();
        let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
        assert_eq!(
            index.label_values(name, (matchers, range), plain),
            values,
            "{matchers:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_a_plain_map_finds(steps in prop::collection::vec(step(), 1..600)) {
        let (mut index, mut plain) = (Index::default(), Plain::default());
        for step in steps {
            apply(&mut index, &mut plain, step);
        }
    }

    #[test]
    fn searches_agree_with_tests_of_each_value(matchers in prop::collection::vec(matcher(), 1..12)) {
        let (mut index, mut plain) = (Index::default(), Plain::default());
        for id in 0..1500_u16 {
            let values = [id, id.wrapping_mul(31), id / 7];
            apply(&mut index, &mut plain, Step::Add { id: id.into(), values, day: 1 });
        }
        for matcher in &matchers {
            check(&index, &plain, std::slice::from_ref(matcher), (0, 3));
        }
        // All but a few values go, and come back under other ids.
        for id in 0..1400_u32 {
            apply(&mut index, &mut plain, Step::Remove { id });
        }
        for id in 2000..2300_u16 {
            apply(&mut index, &mut plain, Step::Add { id: id.into(), values: [id, id, id], day: 2 });
        }
        for matcher in &matchers {
            check(&index, &plain, std::slice::from_ref(matcher), (0, 3));
        }
    }
}

#[test]
fn counts_follow_series_that_come_and_go() {
    let mut index = Index::default();
    let series = |id: u32| {
        let instance = format!("i{}", id % 100);
        let pairs = [
            ("__name__", if id < 100 { "a" } else { "b" }),
            ("instance", &instance),
        ];
        Labels::from_pairs(pairs).unwrap()
    };
    for id in 0..200 {
        index.add(id, &series(id));
        index.add(id, &series(id));
    }
    for id in (0..200).filter(|id| id % 100 >= 7) {
        index.remove(id, &series(id));
        index.remove(id, &series(id));
    }
    let cardinality = index.cardinality(2);
    let counts = |counts: &[storage::status::Count]| -> Vec<(String, u64)> {
        counts
            .iter()
            .map(|count| (count.name.clone(), count.count))
            .collect()
    };
    let want = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    };
    assert_eq!((cardinality.series, cardinality.label_pairs), (14, 9));
    assert_eq!(
        counts(&cardinality.series_by_metric),
        want(&[("a", 7), ("b", 7)])
    );
    assert_eq!(
        counts(&cardinality.values_by_label),
        want(&[("instance", 7), ("__name__", 2)])
    );
    assert_eq!(
        counts(&cardinality.bytes_by_label),
        want(&[("instance", 14 * 12), ("__name__", 14 * 11)])
    );
    assert_eq!(
        counts(&cardinality.series_by_pair),
        want(&[("__name__=a", 7), ("__name__=b", 7)])
    );
    for id in 0..200 {
        index.remove(id, &series(id));
    }
    assert_eq!(index.cardinality(10), storage::Cardinality::default());
}

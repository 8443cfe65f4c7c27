//! A random walk: appends, upkeep, time, stops and kills, beside a map that forgets nothing.

use std::collections::BTreeMap;

use model::{Labels, PromDuration};
use proptest::prelude::*;

use super::Bench;

#[derive(Clone, Debug)]
enum Step {
    /// Appends to a series, this many milliseconds after its newest sample.
    Append {
        series: u8,
        gap_ms: i64,
        count: u8,
        value_bits: u64,
    },
    Maintain,
    Advance {
        minutes: i64,
    },
    Reopen {
        clean: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        any::<u64>(),
        (0..1000_i32).prop_map(|whole| f64::from(whole).to_bits()),
        Just(model::STALE_NAN_BITS),
    ];
    let append = (0..4_u8, 1..40_000_000_i64, 1..200_u8, value).prop_map(
        |(series, gap_ms, count, value_bits)| Step::Append {
            series,
            gap_ms,
            count,
            value_bits,
        },
    );
    prop_oneof![
        6 => append,
        2 => Just(Step::Maintain),
        2 => (1..120_i64).prop_map(|minutes| Step::Advance { minutes }),
        1 => any::<bool>().prop_map(|clean| Step::Reopen { clean }),
    ]
}

fn labels(series: u8) -> Labels {
    let series = series.to_string();
    Labels::from_pairs([(model::METRIC_NAME, "m"), ("series", series.as_str())]).unwrap()
}

/// All that the engine must give back; retention is longer than any walk.
type Model = BTreeMap<Labels, Vec<(i64, u64)>>;

fn apply(bench: Bench, step: &Step, model: &mut Model) -> Bench {
    match step {
        Step::Append {
            series,
            gap_ms,
            count,
            value_bits,
        } => {
            let labels = labels(*series);
            let known = model.entry(labels.clone()).or_default();
            let now = bench.now_ms();
            let newest = known.last().map_or(now - 86_400_000, |(at, _)| *at);
            let first = newest + gap_ms % 3_600_000 + 1;
            let points: Vec<(i64, f64)> = (0..i64::from(*count))
                .map(|k| {
                    (
                        first + k * 500,
                        f64::from_bits(value_bits.wrapping_add(k.cast_unsigned() / 3)),
                    )
                })
                .filter(|(at, _)| *at <= now)
                .collect();
            bench.append(&labels, &points).unwrap();
            known.extend(super::bits(&points));
            bench
        }
        Step::Maintain => {
            bench.tsdb.maintain().unwrap();
            bench
        }
        Step::Advance { minutes } => {
            bench.clock.advance(PromDuration::from_secs(minutes * 60));
            bench
        }
        Step::Reopen { clean } => bench.reopen(*clean),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_gives_back_what_the_model_has(steps in prop::collection::vec(step(), 1..40)) {
        let mut bench = Bench::new();
        let mut model = Model::new();
        for step in &steps {
            bench = apply(bench, step, &mut model);
        }
        bench = bench.reopen(false);
        model.retain(|_, points| !points.is_empty());
        let read: Model = bench.read("m").into_iter().filter(|(_, p)| !p.is_empty()).collect();
        prop_assert_eq!(read, model);
    }
}

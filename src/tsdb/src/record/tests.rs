//! Records come back as they were, and damage is an error.

use std::sync::Arc;

use model::{FloatHistogram, Histogram, IntegerHistogram, Span};
use proptest::prelude::*;

use super::*;
use crate::rows::Extra;

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i32>().prop_map(f64::from),
        Just(-0.0),
        Just(MAX_WHOLE),
        Just(-MAX_WHOLE + 1.0),
    ]
}

fn any_histogram() -> impl Strategy<Value = Histogram> {
    let buckets = prop::collection::vec(any::<i64>(), 0..9);
    (any::<bool>(), any::<u64>(), any_value(), buckets).prop_map(|(float, count, sum, deltas)| {
        let histogram = Histogram::Integer(Arc::new(IntegerHistogram {
            count,
            sum,
            schema: 3,
            positive_spans: vec![Span {
                offset: -7,
                length: 9,
            }],
            positive_deltas: deltas,
            ..IntegerHistogram::default()
        }));
        if float {
            Histogram::Float(histogram.to_float())
        } else {
            histogram
        }
    })
}

/// A row, its start timestamp (0 mostly) and perhaps a histogram.
fn any_row() -> impl Strategy<Value = (u32, i64, f64, Extra)> {
    let start = prop_oneof![3 => Just(0_i64), 1 => any::<i64>()];
    let histogram = prop_oneof![3 => Just(None), 1 => any_histogram().prop_map(Some)];
    let late = prop::bool::weighted(0.1);
    (
        any::<u32>(),
        any::<i64>(),
        any_value(),
        (start, late),
        histogram,
    )
        .prop_map(|(series, timestamp_ms, value, (start, late), histogram)| {
            let value = if histogram.is_some() { 0.0 } else { value };
            let extra = Extra {
                start_timestamp_ms: start,
                histogram,
                out_of_order: late,
            };
            (series, timestamp_ms, value, extra)
        })
}

fn blocks(rows: &[(u32, i64, f64, Extra)]) -> Vec<Rows> {
    rows.chunks(7)
        .map(|chunk| {
            let mut rows = Rows::default();
            for (series, timestamp_ms, value, extra) in chunk {
                rows.push_float(*series, *timestamp_ms, *value);
                if *extra != Extra::default() {
                    rows.set_last_extra(extra.clone());
                }
            }
            rows
        })
        .collect()
}

type Plain = (u32, i64, u64, Extra);

fn plain(rows: &Rows) -> Vec<Plain> {
    rows.iter()
        .map(|row| {
            let extra = rows.extra(row).cloned().unwrap_or_default();
            (row.series, row.timestamp_ms, row.value.to_bits(), extra)
        })
        .collect()
}

proptest! {
    #[test]
    fn commits_round_trip(rows in prop::collection::vec(any_row(), 0..50)) {
        let blocks = blocks(&rows);
        let record = encode_commit(blocks.iter());
        let back = decode_commit(&record).unwrap();
        let want: Vec<Plain> = blocks.iter().flat_map(plain).collect();
        prop_assert_eq!(plain(&back), want);
        let in_order = rows.iter().filter(|row| !row.3.out_of_order);
        let in_order = in_order.map(|row| Row::float(row.0, row.1, 0.0));
        prop_assert_eq!(decode_order(&record).unwrap(), in_order.collect::<Vec<Row>>());
        let version = rows.iter().map(|row| match &row.3 {
            extra if extra.out_of_order => 3,
            extra if *extra != Extra::default() => 2,
            _ => 1,
        });
        prop_assert_eq!(record[0], version.max().unwrap_or(1));
    }

    #[test]
    fn seals_round_trip(sealed in prop::collection::vec((any::<u32>(), any::<i64>()), 0..50)) {
        prop_assert_eq!(decode_seal(&encode_seal(&sealed)).unwrap(), Seal::Through(sealed));
    }

    #[test]
    fn late_seals_round_trip(
        sealed in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<i64>(), 0..9)), 0..9),
    ) {
        let samples = sealed.iter().flat_map(|(id, times)| times.iter().map(|at| (*id, *at)));
        let want = Seal::Late(samples.collect());
        prop_assert_eq!(decode_seal(&encode_late_seal(&sealed)).unwrap(), want);
    }

    #[test]
    fn damage_is_an_error(
        rows in prop::collection::vec(any_row(), 1..20),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
    ) {
        let blocks = blocks(&rows);
        let mut record = encode_commit(blocks.iter());
        let at = at.index(record.len());
        record[at] ^= flip;
        prop_assert!(decode_commit(&record).is_err());
        prop_assert!(decode_commit(&record[..at]).is_err());
        prop_assert!(decode_order(&record).is_err());
    }

    #[test]
    fn columns_of_any_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        rows in 0_usize..9,
    ) {
        let _ = decode_rows(&mut bytes.as_slice());
        let _ = extras::decode(&mut bytes.as_slice(), vec![Row::float(1, 2, 3.0); rows]);
        let _ = decode_sealed(&mut bytes.as_slice());
        let _ = decode_late(&mut bytes.as_slice());
        for version in [VERSION, VERSION_WITH_EXTRAS, VERSION_WITH_LATE] {
            let _ = decode_commit(&seal_payload(version, &bytes));
        }
        prop_assert!(decode_commit(&bytes).is_err() || bytes.len() > HEADER_BYTES);
    }
}

#[test]
fn unknown_versions_are_refused() {
    let mut record = encode_commit(std::iter::empty());
    for version in [0, 4, 255] {
        record[0] = version;
        assert!(decode_commit(&record).is_err());
    }
    let mut record = encode_seal(&[]);
    record[0] = VERSION_LATE_SEAL + 1;
    assert!(decode_seal(&record).is_err());
}

#[test]
fn extras_that_do_not_fit_are_refused() {
    let rows = || vec![Row::float(1, 2, 3.0); 2];
    let cases: [(&[u8], &str); 5] = [
        (&[], "extras end early"),
        (&[3], "it has more extras than rows"),
        (&[1, 2], "an extra is of no row"),
        (&[1, 0, 0, 4], "an extra is of an unknown kind"),
        (&[1, 0, 0, 1, 0x80], "histogram: "),
    ];
    for (bytes, want) in cases {
        let error = extras::decode(&mut &*bytes, rows())
            .unwrap_err()
            .to_string();
        assert!(error.contains(want), "{bytes:?}: {error}");
    }
    let gauge = FloatHistogram {
        counter_reset_hint: model::CounterResetHint::Gauge,
        ..FloatHistogram::default()
    };
    let mut block = Rows::default();
    block.push_float(1, 2, 0.0);
    block.set_last_extra(Extra {
        start_timestamp_ms: 0,
        histogram: Some(Histogram::Float(Arc::new(gauge))),
        out_of_order: true,
    });
    let back = decode_commit(&encode_commit(std::iter::once(&block))).unwrap();
    assert_eq!(plain(&back), plain(&block));
}

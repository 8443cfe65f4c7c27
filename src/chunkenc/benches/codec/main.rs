//! Bytes and nanoseconds per sample of the codecs, by kind of series.
//!
//! Prints a table of sizes and quick timings to standard error, then runs criterion on a few
//! kinds. The series come from a fixed seed.

#![expect(clippy::unwrap_used, reason = "a bench may stop at its own mistakes")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the generators are in range"
)]

mod series;

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use chunkenc::OpenChunk;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use series::{Kind, SERIES_PER_KIND, series, timestamps};

/// Time spent on one cell of the table.
const CELL: Duration = Duration::from_millis(40);

/// Nanoseconds per sample of `work` over all series.
fn measure(samples: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut best = f64::INFINITY;
    let start = Instant::now();
    while start.elapsed() < CELL {
        let round = Instant::now();
        work();
        best = best.min(round.elapsed().as_secs_f64());
    }
    best * 1e9 / samples as f64
}

type EncodeValues = fn(&[f64], &mut Vec<u8>) -> Result<(), chunkenc::EncodeError>;

struct Row {
    bytes: f64,
    encode_ns: f64,
    decode_ns: f64,
}

fn values_row(columns: &[Vec<f64>], encode: EncodeValues) -> Row {
    let samples: usize = columns.iter().map(Vec::len).sum();
    let encoded: Vec<Vec<u8>> = columns
        .iter()
        .map(|values| {
            let mut out = Vec::new();
            encode(values, &mut out).unwrap();
            out
        })
        .collect();
    let bytes: usize = encoded.iter().map(Vec::len).sum();
    let mut out = Vec::new();
    let encode_ns = measure(samples, || {
        for values in columns {
            out.clear();
            encode(black_box(values), &mut out).unwrap();
        }
    });
    let mut decoded = Vec::new();
    let decode_ns = measure(samples, || {
        for (bytes, values) in encoded.iter().zip(columns) {
            decoded.clear();
            chunkenc::decode_values(black_box(bytes), values.len(), &mut decoded).unwrap();
        }
    });
    Row {
        bytes: bytes as f64 / samples as f64,
        encode_ns,
        decode_ns,
    }
}

fn open_row(columns: &[Vec<f64>], times: &[i64]) -> Row {
    let samples: usize = columns.iter().map(Vec::len).sum();
    let fill = |values: &[f64]| {
        let mut chunk = OpenChunk::new();
        for (&timestamp, &value) in times.iter().zip(values) {
            chunk.append(timestamp, value).unwrap();
        }
        chunk
    };
    let chunks: Vec<OpenChunk> = columns.iter().map(|values| fill(values)).collect();
    let bytes: usize = chunks.iter().map(OpenChunk::size_bytes).sum();
    // Series take turns, as samples of a scrape do: every append meets cold branches.
    let encode_ns = measure(samples, || {
        let mut chunks = vec![OpenChunk::new(); columns.len()];
        for (at, &timestamp) in times.iter().enumerate() {
            for (chunk, values) in chunks.iter_mut().zip(columns) {
                chunk.append(black_box(timestamp), values[at]).unwrap();
            }
        }
        black_box(&chunks);
    });
    let (mut decoded_times, mut decoded_values) = (Vec::new(), Vec::new());
    let decode_ns = measure(samples, || {
        for chunk in &chunks {
            decoded_times.clear();
            decoded_values.clear();
            chunk.decode_into(&mut decoded_times, &mut decoded_values);
        }
    });
    Row {
        bytes: bytes as f64 / samples as f64,
        encode_ns,
        decode_ns,
    }
}

fn table(text: &mut Vec<u8>) -> std::io::Result<()> {
    writeln!(
        text,
        "| values | n | B | enc ns | dec ns | XOR B | enc ns | dec ns |"
    )?;
    for kind in Kind::ALL {
        for count in [120, 2000] {
            let columns = series(kind, count);
            let packed = values_row(&columns, chunkenc::encode_values);
            let xor = values_row(&columns, chunkenc::encode_values_as_xor);
            let Row {
                bytes,
                encode_ns,
                decode_ns,
            } = packed;
            write!(text, "| {} | {count} ", kind.name())?;
            write!(text, "| {bytes:.3} | {encode_ns:.1} | {decode_ns:.2} ")?;
            let Row {
                bytes,
                encode_ns,
                decode_ns,
            } = xor;
            writeln!(text, "| {bytes:.3} | {encode_ns:.1} | {decode_ns:.2} |")?;
        }
    }
    writeln!(
        text,
        "| open chunk | n | B with struct | append ns | dec ns |"
    )?;
    for kind in Kind::ALL {
        let row = open_row(&series(kind, 120), &timestamps(120, 0.0));
        let Row {
            bytes,
            encode_ns,
            decode_ns,
        } = row;
        writeln!(
            text,
            "| {} | 120 | {bytes:.2} | {encode_ns:.1} | {decode_ns:.2} |",
            kind.name()
        )?;
    }
    writeln!(text, "| timestamps, jitter ms | n | B | enc ns | dec ns |")?;
    for jitter in [0.0, 2.0, 20.0] {
        for count in [120, 2000] {
            let times = timestamps(count, jitter);
            let mut bytes = Vec::new();
            chunkenc::encode_timestamps(&times, &mut bytes).unwrap();
            let mut out = Vec::new();
            let encode_ns = measure(count, || {
                out.clear();
                chunkenc::encode_timestamps(black_box(&times), &mut out).unwrap();
            });
            let mut decoded = Vec::new();
            let decode_ns = measure(count, || {
                decoded.clear();
                chunkenc::decode_timestamps(black_box(&bytes), count, &mut decoded).unwrap();
            });
            let size = bytes.len() as f64 / count as f64;
            writeln!(
                text,
                "| {jitter} | {count} | {size:.3} | {encode_ns:.1} | {decode_ns:.2} |"
            )?;
        }
    }
    Ok(())
}

fn codec(criterion: &mut Criterion) {
    let mut text = Vec::new();
    table(&mut text).unwrap();
    std::io::stderr().write_all(&text).unwrap();
    let times = timestamps(120, 2.0);
    for kind in [Kind::Poisson, Kind::CpuSeconds, Kind::TrueDoubles] {
        let columns = series(kind, 120);
        let mut group = criterion.benchmark_group(kind.name());
        group.throughput(Throughput::Elements((120 * SERIES_PER_KIND) as u64));
        group.warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(1));
        let mut chunks = vec![Vec::new(); columns.len()];
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                for (chunk, values) in chunks.iter_mut().zip(&columns) {
                    chunk.clear();
                    chunkenc::encode(&times, values, chunk).unwrap();
                }
            });
        });
        let (mut decoded_times, mut decoded_values) = (Vec::new(), Vec::new());
        group.bench_function("decode", |bencher| {
            bencher.iter(|| {
                for chunk in &chunks {
                    decoded_times.clear();
                    decoded_values.clear();
                    chunkenc::decode(chunk, &mut decoded_times, &mut decoded_values).unwrap();
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);

//! Time to decode one request as a Prometheus server sends it: 2000 series of ten labels, one
//! sample each.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use remote::WriteDecoder;
use remote::wire::push_varint;

const SERIES: u64 = 2000;

fn field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    push_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn label(name: &str, value: &str, out: &mut Vec<u8>) {
    let mut label = Vec::new();
    field(0x0a, name.as_bytes(), &mut label);
    field(0x12, value.as_bytes(), &mut label);
    field(0x0a, &label, out);
}

fn request() -> Vec<u8> {
    let mut message = Vec::new();
    for number in 0..SERIES {
        let mut series = Vec::new();
        label(
            "__name__",
            "http_request_duration_seconds_bucket",
            &mut series,
        );
        label("cluster", "production-eu-1", &mut series);
        label(
            "code",
            ["200", "404", "500"][(number % 3) as usize],
            &mut series,
        );
        label("handler", "/api/v1/query_range", &mut series);
        label(
            "instance",
            &format!("10.0.{}.{}:9090", number / 250, number % 250),
            &mut series,
        );
        label("job", "prometheus", &mut series);
        label("le", "0.25", &mut series);
        label("method", "GET", &mut series);
        label("namespace", "monitoring", &mut series);
        label("pod", &format!("prometheus-k8s-{number}"), &mut series);
        let mut sample = vec![0x09];
        sample.extend_from_slice(&(1000.5 + number as f64).to_le_bytes());
        sample.push(0x10);
        push_varint(1_700_000_000_000 + number, &mut sample);
        field(0x12, &sample, &mut series);
        field(0x0a, &series, &mut message);
    }
    snap::raw::Encoder::new()
        .compress_vec(&message)
        .expect("a small message compresses")
}

fn decode(c: &mut Criterion) {
    let body = request();
    let mut decoder = WriteDecoder::new();
    let mut group = c.benchmark_group("remote write 1.0");
    group.throughput(Throughput::Elements(SERIES));
    group.bench_function("decode", |b| {
        b.iter(|| decoder.decode(&body).map(|request| request.samples.len()));
    });
    group.bench_function("decompress only", |b| {
        b.iter(|| {
            snap::raw::Decoder::new()
                .decompress_vec(&body)
                .map(|message| message.len())
        });
    });
    group.bench_function("decode and read labels", |b| {
        b.iter_batched(
            WriteDecoder::new,
            |mut decoder| {
                let request = decoder.decode(&body).expect("the request is right");
                let spans = request.series.iter().filter_map(|series| match series.key {
                    storage::SeriesKey::Raw { span, parse } => parse(span).ok(),
                    _ => None,
                });
                spans.map(|labels| labels.len()).sum::<usize>()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);

//! Answers to queries, written piece by piece: a result of any size takes the memory of one piece
//! on its way out.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use base::MemoryShare;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use model::{Labels, Timestamp};
use promql::{QueryResult, QueryStats, SampleValue, Series, StepStats, Value, VectorSample};

use crate::envelope::{MAX_ANNOTATIONS, json_response};
use crate::json::{
    Escape, Object, push_array, push_histogram_point, push_labels, push_number, push_point,
    push_string, push_strings,
};

/// Size at which a piece is handed on.
const PIECE_BYTES: usize = 64 << 10;
/// About what everything around the points takes, and a point.
const HEAD_BYTES: usize = 512;
const POINT_BYTES: usize = 40;

/// A query's result on its way to JSON.
pub(crate) struct Reply {
    value: Value,
    /// The query's time: strings carry it.
    at: Timestamp,
    /// Value of `stats`, if asked for.
    stats: Option<String>,
    warnings: Vec<String>,
    infos: Vec<String>,
    next: Next,
    /// Memory that counts as in use until all was written.
    _memory: Option<Arc<MemoryShare>>,
}

/// What is written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Head,
    /// A point of a series; of a vector only the series counts.
    Item {
        series: usize,
        point: usize,
    },
    Tail,
    Nothing,
}

impl Reply {
    pub(crate) fn new(result: QueryResult, at: Timestamp, stats: Option<String>) -> Self {
        let annotations = result.annotations.limited(MAX_ANNOTATIONS);
        let (warnings, infos) = (annotations.warnings, annotations.infos);
        Self {
            value: result.value,
            at,
            stats,
            warnings,
            infos,
            next: Next::Head,
            _memory: None,
        }
    }

    /// Keeps memory in use until all was written or nobody reads on.
    pub(crate) fn holding(self, memory: Arc<MemoryShare>) -> Self {
        Self {
            _memory: Some(memory),
            ..self
        }
    }

    /// Keeps the first `limit` series. Source: upstream `truncateResults`.
    pub(crate) fn truncate(&mut self, limit: usize) {
        let is_longer = match &mut self.value {
            Value::Vector(samples) => cut(samples, limit),
            Value::Matrix(series) => cut(series, limit),
            Value::Scalar { .. } | Value::String(_) => false,
        };
        if is_longer {
            self.warnings.push(crate::envelope::TRUNCATED.to_owned());
        }
    }

    /// Makes the response. The first piece is written here, so call it off the async runtime.
    pub(crate) fn into_response(mut self) -> Response {
        let first = self.piece();
        let body = if self.next == Next::Nothing {
            Body::from(first)
        } else {
            let first = futures_util::stream::iter([Ok::<_, Infallible>(first)]);
            Body::from_stream(first.chain(futures_util::stream::unfold(self, next_piece)))
        };
        json_response(StatusCode::OK, body)
    }

    fn piece(&mut self) -> Bytes {
        let mut out = String::with_capacity(self.piece_bytes());
        while self.next != Next::Nothing && out.len() < PIECE_BYTES {
            self.next = match self.next {
                Next::Head => self.push_head(&mut out),
                Next::Item { series, point } => self.push_item(series, point, &mut out),
                Next::Tail => self.push_tail(&mut out),
                Next::Nothing => Next::Nothing,
            };
        }
        Bytes::from(out)
    }

    /// About what the next piece takes, so that its buffer need not grow.
    fn piece_bytes(&self) -> usize {
        let numbers = match &self.value {
            _ if self.next != Next::Head => usize::MAX,
            Value::Scalar { .. } | Value::String(_) => 0,
            Value::Vector(samples) => samples.len(),
            Value::Matrix(series) => series.iter().map(point_count).sum(),
        };
        let all = HEAD_BYTES.saturating_add(numbers.saturating_mul(POINT_BYTES));
        all.min(PIECE_BYTES + POINT_BYTES)
    }

    fn push_head(&self, out: &mut String) -> Next {
        let kind = match &self.value {
            Value::Scalar { .. } => "scalar",
            Value::String(_) => "string",
            Value::Vector(_) => "vector",
            Value::Matrix(_) => "matrix",
        };
        out.push_str("{\"status\":\"success\",\"data\":{\"resultType\":\"");
        out.push_str(kind);
        out.push_str("\",\"result\":[");
        match &self.value {
            // Scalars and strings have no encoder of their own upstream: their times are plain
            // floats, and the number never has an exponent.
            Value::Scalar { timestamp, value } => {
                push_number(timestamp.as_seconds(), out);
                out.push_str(",\"");
                out.push_str(&model::number::format_plain(*value));
                out.push('"');
                Next::Tail
            }
            Value::String(text) => {
                push_number(self.at.as_seconds(), out);
                out.push(',');
                push_string(text, Escape::Html, out);
                Next::Tail
            }
            Value::Vector(_) | Value::Matrix(_) => Next::Item {
                series: 0,
                point: 0,
            },
        }
    }

    fn push_item(&self, series: usize, point: usize, out: &mut String) -> Next {
        if series > 0 && point == 0 {
            out.push(',');
        }
        match &self.value {
            Value::Vector(samples) => match samples.get(series) {
                Some(sample) => push_sample(sample, out),
                None => return close(series, out),
            },
            Value::Matrix(all) => match all.get(series) {
                Some(one) => {
                    let point = push_points(one, point, out);
                    if point < point_count(one) {
                        return Next::Item { series, point };
                    }
                }
                None => return close(series, out),
            },
            Value::Scalar { .. } | Value::String(_) => return Next::Tail,
        }
        Next::Item {
            series: series + 1,
            point: 0,
        }
    }

    fn push_tail(&self, out: &mut String) -> Next {
        out.push(']');
        if let Some(stats) = &self.stats {
            out.push_str(",\"stats\":");
            out.push_str(stats);
        }
        out.push('}');
        for (key, texts) in [("warnings", &self.warnings), ("infos", &self.infos)] {
            if !texts.is_empty() {
                out.push(',');
                push_string(key, Escape::Html, out);
                out.push(':');
                push_strings(texts, out);
            }
        }
        out.push('}');
        Next::Nothing
    }
}

impl Iterator for Reply {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        (self.next != Next::Nothing).then(|| self.piece())
    }
}

/// Lets others run, and what is written go out, before the next piece is made.
async fn next_piece(mut reply: Reply) -> Option<(Result<Bytes, Infallible>, Reply)> {
    tokio::task::yield_now().await;
    let piece = reply.next()?;
    Some((Ok(piece), reply))
}

/// Takes back the comma before an item that does not exist.
fn close(series: usize, out: &mut String) -> Next {
    if series > 0 {
        out.pop();
    }
    Next::Tail
}

fn push_sample(sample: &VectorSample, out: &mut String) {
    push_metric(&sample.labels, out);
    match &sample.value {
        SampleValue::Float(value) => {
            out.push_str("\"value\":");
            push_point(sample.timestamp, *value, out);
        }
        SampleValue::Histogram(histogram) => {
            out.push_str("\"histogram\":");
            push_histogram_point(sample.timestamp, histogram, out);
        }
    }
    out.push('}');
}

/// Writes points from `from` on, floats before histograms, until the piece is full, and gives the
/// first one left.
fn push_points(series: &Series, from: usize, out: &mut String) -> usize {
    let (floats, all) = (series.points.len(), point_count(series));
    if from == 0 {
        push_metric(&series.labels, out);
    }
    for next in from..all {
        if next == floats {
            out.push_str(if next == 0 { "" } else { "]," });
            out.push_str("\"histograms\":[");
        } else {
            out.push_str(if next == 0 { "\"values\":[" } else { "," });
        }
        match series.points.get(next) {
            Some((at_ms, value)) => push_point(Timestamp::from_millis(*at_ms), *value, out),
            None => {
                let (at_ms, histogram) = &series.histograms[next - floats];
                push_histogram_point(Timestamp::from_millis(*at_ms), histogram, out);
            }
        }
        if out.len() >= PIECE_BYTES && next + 1 < all {
            return next + 1;
        }
    }
    out.push_str("]}");
    all
}

fn point_count(series: &Series) -> usize {
    series.points.len() + series.histograms.len()
}

fn push_metric(labels: &Labels, out: &mut String) {
    out.push_str("{\"metric\":");
    push_labels(labels, out);
    out.push(',');
}

fn cut<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let is_longer = items.len() > limit;
    items.truncate(limit);
    is_longer
}

/// What a query cost, as `stats` shows it. Times in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Timings {
    pub(crate) queue_seconds: f64,
    pub(crate) preparation_seconds: f64,
    pub(crate) evaluation_seconds: f64,
}

/// The value of `stats`.
pub(crate) fn push_stats(
    timings: Timings,
    stats: &QueryStats,
    steps: Option<&StepStats>,
    out: &mut String,
) {
    let mut object = Object::begin(out);
    let total_seconds = timings.preparation_seconds + timings.evaluation_seconds;
    let mut times = Object::begin(object.key("timings"));
    times
        .number("evalTotalTime", total_seconds)
        // Results are put in order while they are evaluated.
        .number("resultSortTime", 0.0)
        .number("queryPreparationTime", timings.preparation_seconds)
        .number("innerEvalTime", timings.evaluation_seconds)
        .number("execQueueTime", timings.queue_seconds)
        .number("execTotalTime", timings.queue_seconds + total_seconds);
    times.end();
    let mut samples = Object::begin(object.key("samples"));
    if let Some(steps) = steps {
        let out = samples.key("totalQueryableSamplesPerStep");
        push_steps(steps, &steps.queryable_samples, out);
    }
    samples.integer("totalQueryableSamples", stats.queryable_samples);
    if let Some(steps) = steps {
        push_steps(
            steps,
            &steps.samples_read,
            samples.key("samplesReadPerStep"),
        );
    }
    samples
        .integer("samplesRead", stats.samples_read)
        .integer("peakSamples", stats.peak_samples);
    samples.end();
    object.end();
}

/// Appends `[[timestamp,count],…]`.
fn push_steps(steps: &StepStats, counts: &[u64], out: &mut String) {
    push_array(
        steps.times_ms.iter().zip(counts),
        out,
        |(at_ms, count), out| {
            out.push('[');
            push_number(Timestamp::from_millis(*at_ms).as_seconds(), out);
            out.push(',');
            out.push_str(&count.to_string());
            out.push(']');
        },
    );
}

#[cfg(test)]
mod tests;

//! A real Prometheus as the other evaluator: started on loopback, fed by remote write, asked by HTTP.

use std::path::Path;
use std::time::Duration;

use model::Labels;
use model::number::parse_float;
use promql::SampleValue;
use serde_json::Value;

use super::case::Case;
use crate::http::{Client, HttpError};
use crate::process::{ProcessError, Server};
use crate::reference::{Dataset, ReferenceValue};
use crate::remote_write::{Sample, TimeSeries, body, labels};

/// How long the server may take to become ready: so many pauses of this length.
const READY_TRIES: usize = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// A running Prometheus. It is stopped when this is dropped.
pub struct Prometheus {
    _server: Server,
    client: Client,
}

/// Why Prometheus cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrometheusError {
    /// Its folder cannot be written.
    #[error("cannot write the server's folder")]
    Folder(#[from] std::io::Error),
    /// It does not start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It does not answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It does not become ready.
    #[error("the server does not become ready: {0}")]
    NotReady(String),
    /// It refuses samples.
    #[error("samples were refused with status {status}: {body}")]
    Refused {
        /// Status code.
        status: u16,
        /// What it said.
        body: String,
    },
    /// A request is too large.
    #[error("a remote-write body is too large")]
    Body(#[from] snap::Error),
    /// It answers in another form than is known.
    #[error("unknown form of answer: {0}")]
    Form(String),
}

impl Prometheus {
    /// Starts `program` with its data in `folder`, on a free port of loopback.
    ///
    /// # Errors
    /// It does not start or does not become ready.
    pub fn start(program: &str, folder: &Path) -> Result<Self, PrometheusError> {
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, "global: {scrape_interval: 1h}\n")?;
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            "--storage.tsdb.retention.time=100y".to_owned(),
            "--web.listen-address=127.0.0.1:0".to_owned(),
            "--web.enable-remote-write-receiver".to_owned(),
        ];
        let server = Server::start(program, &arguments, &folder.join("log"))?;
        let client = Client::new(server.address());
        // Nobody sends: the channel only paces the questions.
        let (_sender, pace) = std::sync::mpsc::channel::<()>();
        for _ in 0..READY_TRIES {
            if client
                .get("/-/ready")
                .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(Self {
                    _server: server,
                    client,
                });
            }
            let _timeout = pace.recv_timeout(PAUSE);
        }
        Err(PrometheusError::NotReady(server.log()))
    }

    /// Writes all samples that are numbers.
    ///
    /// # Errors
    /// The server does not take them.
    pub fn send(&self, data: &Dataset) -> Result<(), PrometheusError> {
        let series = data.series.iter().map(|series| {
            let pairs: Vec<(&str, &str)> = series.labels.iter().collect();
            let samples = series.points.iter().filter_map(|point| {
                Some(Sample {
                    value: point.value.as_float()?,
                    timestamp: point.at_ms,
                })
            });
            TimeSeries {
                labels: labels(&pairs),
                samples: samples.collect(),
                ..TimeSeries::default()
            }
        });
        let answer = self.client.remote_write(&body(series.collect())?)?;
        if answer.status / 100 == 2 {
            return Ok(());
        }
        Err(PrometheusError::Refused {
            status: answer.status,
            body: answer.body,
        })
    }

    /// The answer to a case; the inner error is the server's.
    ///
    /// # Errors
    /// The server does not answer, or in another form than is known.
    pub fn ask(&self, case: &Case) -> Result<Result<ReferenceValue, String>, PrometheusError> {
        let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
        let start = seconds(case.times.start.as_millis());
        let end = seconds(case.times.end.as_millis());
        let step = seconds(case.times.step_ms);
        let query = ("query", case.query.as_str());
        let answer = if case.times.step_ms == 0 {
            self.client
                .post_form("/api/v1/query", &[query, ("time", &start)])?
        } else {
            let form = [query, ("start", &start), ("end", &end), ("step", &step)];
            self.client.post_form("/api/v1/query_range", &form)?
        };
        if answer["status"] == "success" {
            let value = value_of(&answer["data"]);
            return value
                .map(Ok)
                .ok_or_else(|| PrometheusError::Form(answer.to_string()));
        }
        Ok(Err(answer["error"].as_str().unwrap_or_default().to_owned()))
    }
}

fn value_of(data: &Value) -> Option<ReferenceValue> {
    let result = &data["result"];
    Some(match data["resultType"].as_str()? {
        "string" => ReferenceValue::String(result.get(1)?.as_str()?.to_owned()),
        "scalar" => ReferenceValue::Vector(vec![(Labels::empty(), point(result)?.1)]),
        "vector" => {
            let samples = result.as_array()?.iter();
            let sample =
                |series: &Value| Some((labels_of(series)?, point(series.get("value")?)?.1));
            ReferenceValue::Vector(samples.map(sample).collect::<Option<_>>()?)
        }
        _ => {
            let series = result.as_array()?.iter().map(|series| {
                let points = series.get("values")?.as_array()?.iter().map(point);
                Some((labels_of(series)?, points.collect::<Option<Vec<_>>>()?))
            });
            let mut series = series.collect::<Option<Vec<_>>>()?;
            series.sort_by(|a, b| a.0.cmp(&b.0));
            ReferenceValue::Series(series)
        }
    })
}

fn labels_of(series: &Value) -> Option<Labels> {
    let pairs = series.get("metric")?.as_object()?.iter();
    let pairs = pairs.map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    Labels::from_pairs(pairs.collect::<Option<Vec<_>>>()?).ok()
}

/// Seconds and a number as text.
fn point(pair: &Value) -> Option<(i64, SampleValue)> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds of this century fit"
    )]
    let at_ms = (pair.get(0)?.as_f64()? * 1000.0).round() as i64;
    let value = parse_float(pair.get(1)?.as_str()?)?;
    Some((at_ms, SampleValue::Float(value)))
}

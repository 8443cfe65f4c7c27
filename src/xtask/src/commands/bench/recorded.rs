//! A recorded node exporter: scrapes of a real one in a file, replayed as many targets.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base::Clock as _;
use exposition::{Entry, MetricKind, TextParser, parse_series};
use testkit::http::Client;

use super::load::{INSTANCE, Model, Template};
use super::server::{free_address, pause};

/// Begins a scrape in the file, followed by its time in milliseconds.
const SCRAPE_LINE: &str = "# scrape ";
/// How long the exporter may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What was recorded: series that every scrape has, with their values.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    pub(super) templates: Vec<Template>,
    pub(super) scrapes: u32,
}

/// Runs an exporter on loopback, scrapes it and writes what it says to `file`.
pub(super) fn record(
    exporter: &str,
    file: &Path,
    scrapes: u32,
    every: Duration,
) -> anyhow::Result<()> {
    let address = free_address()?;
    let child = Command::new(exporter)
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {exporter}"))?;
    let mut exporter = Exporter(child);
    let recorded = write_scrapes(&Client::new(&address), file, scrapes, every);
    exporter.end();
    recorded
}

/// Ended with the value.
struct Exporter(Child);

impl Exporter {
    fn end(&mut self) {
        // Either fails when it has ended already.
        let _ended = (self.0.kill(), self.0.wait());
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.end();
    }
}

fn write_scrapes(
    client: &Client,
    file: &Path,
    scrapes: u32,
    every: Duration,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    while client.get("/metrics").is_err() {
        anyhow::ensure!(
            begin.elapsed() < START_TIMEOUT,
            "the exporter does not answer"
        );
        pause(Duration::from_millis(50));
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // A recording that breaks off must not replace a whole one.
    let part = file.with_extension("part");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&part)?);
    for _ in 0..scrapes {
        let timer = Instant::now();
        let now_ms = base::SystemClock.now().as_millis();
        let answer = client.get("/metrics")?;
        anyhow::ensure!(
            answer.status == 200,
            "the exporter answered {}",
            answer.status
        );
        write!(out, "{SCRAPE_LINE}{now_ms}\n{}", answer.body)?;
        pause(every.saturating_sub(timer.elapsed()));
    }
    out.flush()?;
    std::fs::rename(&part, file)?;
    Ok(())
}

impl Recording {
    /// Reads a file that [`record`] has written.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("reading {}; make it with bench record", file.display()))?;
        Self::of(&text)
    }

    fn of(text: &str) -> anyhow::Result<Self> {
        let mut series: HashMap<Vec<u8>, Vec<f64>> = HashMap::new();
        let mut order: Vec<(Vec<u8>, MetricKind)> = Vec::new();
        let mut scrapes = 0_u32;
        let bodies = text.split(SCRAPE_LINE).skip(1);
        for body in bodies.filter_map(|scrape| scrape.split_once('\n')) {
            for entry in TextParser::new(body.1.as_bytes()) {
                let Entry::Series(line) = entry? else {
                    continue;
                };
                if scrapes == 0 {
                    order.push((line.raw.to_vec(), line.kind));
                    series.insert(line.raw.to_vec(), vec![line.value]);
                } else if let Some(values) = series.get_mut(line.raw) {
                    values.push(line.value);
                }
            }
            scrapes += 1;
        }
        anyhow::ensure!(scrapes > 0, "the recording holds no scrape");
        let mut templates = Vec::new();
        for (raw, kind) in order {
            let Some(values) = series.remove(&raw) else {
                continue;
            };
            if values.len() == scrapes as usize {
                let labels = labels_of(&raw, kind)?;
                let model = Model::Recorded(values);
                templates.push(Template { labels, model });
            }
        }
        Ok(Self { templates, scrapes })
    }
}

/// The labels of a series line, with those that a scraper adds.
fn labels_of(raw: &[u8], kind: MetricKind) -> anyhow::Result<Vec<(String, String)>> {
    let parsed = parse_series(raw, kind)?;
    let mut labels: Vec<(String, String)> = parsed
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in [("instance", INSTANCE), ("job", "node_exporter")] {
        labels.push((name.to_owned(), value.to_owned()));
    }
    labels.sort_unstable();
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_every_scrape_are_replayed() {
        let text = "# scrape 1000\na{x=\"1\"} 1\nb 2\n# scrape 2000\nb 3\na{x=\"1\"} 1.5\nc 4\n# scrape 3000\na{x=\"1\"} 2\n";
        let recording = Recording::of(text).unwrap();
        assert_eq!(recording.scrapes, 3);
        let [a] = recording.templates.as_slice() else {
            panic!("{recording:?}");
        };
        let labels = [
            ("__name__", "a"),
            ("instance", INSTANCE),
            ("job", "node_exporter"),
            ("x", "1"),
        ];
        assert!(
            a.labels
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .eq(labels)
        );
        assert!(matches!(&a.model, Model::Recorded(values) if values == &[1.0, 1.5, 2.0]));
        assert!(Recording::of("").is_err());
    }
}

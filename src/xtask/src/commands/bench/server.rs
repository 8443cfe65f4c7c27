//! The servers under test, each in a folder of its own.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use testkit::http::Client;
use testkit::process::{Server, Usage, folder_bytes};

use super::encode::Encoder;
use super::load::{Load, Request};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Firewatch,
    Prometheus,
    VictoriaMetrics,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Firewatch, Self::Prometheus, Self::VictoriaMetrics];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Firewatch => "firewatch",
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }
}

/// How servers are started, and how far a workload may go.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Programs, in the order in which they are measured.
    pub(super) programs: Vec<(Kind, String)>,
    /// More flags of Firewatch.
    pub(super) flags: Vec<String>,
    /// Connections that write at once.
    pub(super) senders: usize,
    /// Late samples are taken within this time.
    pub(super) out_of_order: Option<&'static str>,
    /// A workload on one server ends after this time.
    pub(super) most_time: Duration,
    /// And when its data takes this much.
    pub(super) most_disk_bytes: u64,
}

/// Long enough for 30 simulated days.
const RETENTION: &str = "40d";
/// 60 % of 4 GiB: what Firewatch and VictoriaMetrics would take as their limit on a machine of that
/// size. Prometheus has none.
const MEMORY_MIB: u32 = 2458;
/// A request that takes longer is tried again.
const READY_PAUSE: Duration = Duration::from_millis(5);

/// A running server, its client and its data.
pub(super) struct Candidate {
    pub(super) kind: Kind,
    pub(super) server: Server,
    pub(super) client: Client,
    program: String,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
    started: Instant,
    setup: Setup,
}

impl Setup {
    /// The address-independent part of a server's command line.
    pub(super) fn flags(&self, kind: Kind) -> Vec<String> {
        let fixed: &[&str] = match kind {
            Kind::Firewatch => &["--web.enable-remote-write-receiver"],
            Kind::Prometheus => &[
                "--web.enable-remote-write-receiver",
                "--web.enable-admin-api",
                "--storage.tsdb.wal-compression",
            ],
            Kind::VictoriaMetrics => &[
                "-search.latencyOffset=0s",
                "-search.maxUniqueTimeseries=10000000",
                "-search.maxQueryDuration=10m",
            ],
        };
        let mut flags: Vec<String> = fixed.iter().map(|flag| (*flag).to_owned()).collect();
        match kind {
            Kind::Firewatch | Kind::Prometheus => {
                flags.push(format!("--storage.tsdb.retention.time={RETENTION}"));
            }
            Kind::VictoriaMetrics => {
                flags.push(format!("-retentionPeriod={RETENTION}"));
                flags.push(format!("-memory.allowedBytes={MEMORY_MIB}MiB"));
            }
        }
        if kind == Kind::Firewatch {
            flags.push(format!("--memory.limit={MEMORY_MIB}MB"));
            flags.extend(self.flags.iter().cloned());
        }
        flags
    }

    /// Starts a server on an empty folder.
    pub(super) fn start(&self, kind: Kind) -> anyhow::Result<Candidate> {
        let program = self
            .programs
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, program)| program.clone())
            .with_context(|| format!("{} is left out", kind.name()))?;
        let folder = tempfile::tempdir()?;
        let mut arguments = self.flags(kind);
        let data = folder.path().join("data");
        match kind {
            Kind::Firewatch | Kind::Prometheus => {
                let config = folder.path().join("prometheus.yml");
                std::fs::write(&config, self.config())?;
                arguments.push(format!("--config.file={}", config.display()));
                arguments.push(format!("--storage.tsdb.path={}", data.display()));
                arguments.push("--web.listen-address=127.0.0.1:0".to_owned());
            }
            Kind::VictoriaMetrics => {
                arguments.push(format!("-storageDataPath={}", data.display()));
            }
        }
        let server = spawn(kind, &program, &arguments, folder.path())?;
        let client = Client::new(server.address());
        let candidate = Candidate {
            kind,
            server,
            client,
            program,
            arguments,
            folder,
            started: Instant::now(),
            setup: self.clone(),
        };
        candidate.wait_ready()?;
        Ok(candidate)
    }

    /// The configuration file: nothing is scraped.
    fn config(&self) -> String {
        self.out_of_order.map_or_else(String::new, |window| {
            format!("storage:\n  tsdb:\n    out_of_order_time_window: {window}\n")
        })
    }
}

fn spawn(kind: Kind, program: &str, arguments: &[String], folder: &Path) -> anyhow::Result<Server> {
    let log = folder.join("log");
    let server = match kind {
        Kind::Firewatch | Kind::Prometheus => Server::start(program, arguments, &log),
        Kind::VictoriaMetrics => {
            // It does not log which port it got.
            let address = free_address()?;
            let mut arguments = arguments.to_vec();
            arguments.push(format!("-httpListenAddr={address}"));
            Server::start_at(program, &arguments, &log, &address)
        }
    };
    server.with_context(|| format!("starting {}", kind.name()))
}

/// A free port of loopback.
pub(super) fn free_address() -> anyhow::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

/// Waits; for polling other processes.
pub(super) fn pause(time: Duration) {
    // Nobody sends: the channel only lets time pass.
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    let _timeout = receiver.recv_timeout(time);
}

impl Candidate {
    pub(super) fn name(&self) -> &'static str {
        self.kind.name()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    fn wait_ready(&self) -> anyhow::Result<()> {
        let path = match self.kind {
            Kind::Firewatch | Kind::Prometheus => "/-/ready",
            Kind::VictoriaMetrics => "/health",
        };
        let timer = Instant::now();
        while timer.elapsed() < self.setup.most_time {
            match self.client.get(path) {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(_) | Err(_) => pause(READY_PAUSE),
            }
        }
        anyhow::bail!(
            "{} does not get ready; its log:\n{}",
            self.name(),
            self.server.log()
        )
    }

    /// Ends the server as a power cut would and starts it again on the same folder. Returns when it
    /// was started; it need not be ready.
    pub(super) fn kill_and_start(&mut self) -> anyhow::Result<Instant> {
        self.server.kill();
        self.start_again()
    }

    /// Stops the server the clean way and starts it again, ready.
    pub(super) fn restart_after(
        &mut self,
        between: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.server.terminate()?;
        between(&self.data())?;
        self.start_again()?;
        self.wait_ready()
    }

    fn start_again(&mut self) -> anyhow::Result<Instant> {
        let started = Instant::now();
        self.server = spawn(
            self.kind,
            &self.program,
            &self.arguments,
            self.folder.path(),
        )?;
        self.client = Client::new(self.server.address());
        Ok(started)
    }

    /// Writes the whole load, each sender its share of every stretch.
    pub(super) fn write_load(&self, load: &Load) -> anyhow::Result<()> {
        for steps in load.stretches() {
            self.write_steps(load, &steps)?;
        }
        Ok(())
    }

    /// Writes some steps. The client encodes while it sends; only the server's time counts.
    pub(super) fn write_steps(&self, load: &Load, steps: &Range<u32>) -> anyhow::Result<()> {
        self.ensure_within_bounds()?;
        let shares = load.requests(steps, self.setup.senders);
        self.in_parallel(&shares, |requests| {
            let mut encoder = Encoder::default();
            requests
                .iter()
                .try_for_each(|request| self.write(&load.body(&mut encoder, request)?))
        })
    }

    /// Writes bodies that were made before, each sender its share.
    pub(super) fn write_bodies(&self, shares: &[Vec<Vec<u8>>]) -> anyhow::Result<()> {
        self.ensure_within_bounds()?;
        self.in_parallel(shares, |bodies| {
            bodies.iter().try_for_each(|body| self.write(body))
        })
    }

    fn in_parallel<T: Sync>(
        &self,
        shares: &[Vec<T>],
        work: impl Fn(&[T]) -> anyhow::Result<()> + Sync,
    ) -> anyhow::Result<()> {
        let work = &work;
        std::thread::scope(|scope| {
            let senders: Vec<_> = shares
                .iter()
                .map(|share| scope.spawn(move || work(share)))
                .collect();
            senders
                .into_iter()
                .try_for_each(|sender| match sender.join() {
                    Ok(written) => written,
                    Err(_) => anyhow::bail!("a sender panicked"),
                })
        })
    }

    fn write(&self, body: &[u8]) -> anyhow::Result<()> {
        let answer = self.client.remote_write(body)?;
        anyhow::ensure!(
            matches!(answer.status, 200 | 204),
            "{} answered {}: {}",
            self.name(),
            answer.status,
            answer.body
        );
        Ok(())
    }

    fn ensure_within_bounds(&self) -> anyhow::Result<()> {
        let taken = self.started.elapsed();
        anyhow::ensure!(
            taken < self.setup.most_time,
            "{} needs more than --max-minutes",
            self.name()
        );
        let bytes = folder_bytes(&self.data());
        anyhow::ensure!(
            bytes < self.setup.most_disk_bytes,
            "{} takes more than --max-disk-gib",
            self.name()
        );
        Ok(())
    }

    /// Waits until the server does no more than a twentieth of a core over `quiet`, or `most` has
    /// passed: what it has put off belongs to its work.
    pub(super) fn settle(&self, quiet: Duration, most: Duration) -> anyhow::Result<Usage> {
        let timer = Instant::now();
        let mut before = self.server.usage()?;
        loop {
            pause(quiet);
            let now = self.server.usage()?;
            let is_quiet = now.cpu_seconds - before.cpu_seconds < quiet.as_secs_f64() / 20.0;
            if is_quiet || timer.elapsed() >= most {
                return Ok(now);
            }
            before = now;
        }
    }

    /// The only value of an instant query, as text; `None` where there is no result yet.
    pub(super) fn value(&self, query: &str, at_ms: i64) -> anyhow::Result<Option<String>> {
        let result = self.result(query, at_ms)?;
        Ok(result[0]["value"][1].as_str().map(str::to_owned))
    }

    /// The result of an instant query.
    pub(super) fn result(&self, query: &str, at_ms: i64) -> anyhow::Result<Value> {
        let seconds = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
        // Without nocache VictoriaMetrics moves times.
        let form = [
            ("query", query),
            ("time", seconds.as_str()),
            ("nocache", "1"),
        ];
        let mut answer = self.client.post_form("/api/v1/query", &form)?;
        anyhow::ensure!(
            answer["status"] == "success",
            "{} answers {query} with {answer}",
            self.name()
        );
        Ok(answer["data"]["result"].take())
    }

    /// Stops the server the clean way and removes its data.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        self.server.terminate()?;
        Ok(())
    }
}

/// Makes the bodies of a load, each sender's share of each stretch.
pub(super) fn encode_all(load: &Load, senders: usize) -> anyhow::Result<Vec<Vec<Vec<Vec<u8>>>>> {
    let mut encoder = Encoder::default();
    load.stretches()
        .map(|steps| {
            let encode = |request: &Request| load.body(&mut encoder, request);
            let mut encode = encode;
            load.requests(&steps, senders)
                .iter()
                .map(|share| share.iter().map(&mut encode).collect())
                .collect()
        })
        .collect()
}

//! The servers under test, each in a folder of its own.

use std::path::Path;

use anyhow::Context as _;
use testkit::http::Client;
use testkit::process::{Server, folder_bytes};

use super::load::Shape;

/// A running server, its client and its data.
pub(super) struct Candidate {
    pub(super) name: &'static str,
    pub(super) server: Server,
    pub(super) client: Client,
    folder: tempfile::TempDir,
}

impl Candidate {
    /// Starts Firewatch as it comes, without scraping.
    pub(super) fn firewatch(shape: &Shape) -> anyhow::Result<Self> {
        Self::start("firewatch", &shape.firewatch, &[])
    }

    /// Starts Firewatch with more flags.
    pub(super) fn firewatch_with(shape: &Shape, flags: &[String]) -> anyhow::Result<Self> {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Self::start("firewatch", &shape.firewatch, &flags)
    }

    /// Starts Prometheus, if it is wanted.
    pub(super) fn prometheus(shape: &Shape) -> anyhow::Result<Option<Self>> {
        let Some(program) = &shape.prometheus else {
            return Ok(None);
        };
        Self::start("prometheus", program, &["--storage.tsdb.wal-compression"]).map(Some)
    }

    fn start(name: &'static str, program: &str, more: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("empty.yml");
        std::fs::write(&config, "")?;
        let mut arguments = vec![
            format!("--config.file={}", config.display()),
            format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ),
            "--web.listen-address=127.0.0.1:0".to_owned(),
            "--web.enable-remote-write-receiver".to_owned(),
        ];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let server = Server::start(program, &arguments, &folder.path().join("log"))
            .with_context(|| format!("starting {name}"))?;
        let client = Client::new(server.address());
        let candidate = Self {
            name,
            server,
            client,
            folder,
        };
        candidate.wait_ready()?;
        Ok(candidate)
    }

    fn wait_ready(&self) -> anyhow::Result<()> {
        for _ in 0..10_000 {
            match self.client.get("/-/ready") {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(_) | Err(_) => std::thread::yield_now(),
            }
        }
        anyhow::bail!(
            "{} does not get ready; its log:\n{}",
            self.name,
            self.server.log()
        )
    }

    /// Writes the whole load, each sender its share of every step.
    pub(super) fn write_load(&self, shape: &Shape) -> anyhow::Result<()> {
        self.write_bodies(shape, 0..shape.samples, |step| shape.bodies(step))
    }

    /// Writes the bodies of one step after the other, each sender its share of every step.
    pub(super) fn write_bodies(
        &self,
        shape: &Shape,
        steps: impl Iterator<Item = u32>,
        bodies_of: impl Fn(u32) -> anyhow::Result<Vec<Vec<u8>>>,
    ) -> anyhow::Result<()> {
        for step in steps {
            let bodies = bodies_of(step)?;
            let share = bodies.len().div_ceil(shape.senders).max(1);
            std::thread::scope(|scope| {
                let senders: Vec<_> = bodies
                    .chunks(share)
                    .map(|bodies| scope.spawn(move || self.write(bodies)))
                    .collect();
                senders
                    .into_iter()
                    .try_for_each(|sender| match sender.join() {
                        Ok(written) => written,
                        Err(_) => anyhow::bail!("a sender panicked"),
                    })
            })?;
        }
        Ok(())
    }

    fn write(&self, bodies: &[Vec<u8>]) -> anyhow::Result<()> {
        for body in bodies {
            let answer = self.client.remote_write(body)?;
            anyhow::ensure!(
                matches!(answer.status, 200 | 204),
                "{} answered {}: {}",
                self.name,
                answer.status,
                answer.body
            );
        }
        Ok(())
    }

    /// Stops the server the clean way and returns the size of what it leaves on disk.
    pub(super) fn stop(mut self) -> anyhow::Result<u64> {
        self.server.terminate()?;
        Ok(folder_bytes(&self.data()))
    }

    fn data(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join("data")
    }
}

//! Child processes: start a server, learn its address from its log, measure it, end it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A server that was started; ended with the value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
    log: PathBuf,
    /// Copies to the log what it says.
    follower: Option<JoinHandle<()>>,
}

/// Why a server cannot be started or measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program cannot be run.
    #[error("starting {program}")]
    Start {
        /// Its name or path.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended or stayed silent instead of naming its address.
    #[error("{program} did not say where it listens; its log:\n{log}")]
    NoAddress {
        /// Its name or path.
        program: String,
        /// What it said.
        log: String,
    },
    /// The operating system tells nothing about it.
    #[error("reading facts about the process")]
    Facts(#[source] std::io::Error),
}

/// What a server can be told by the operating system. Sent without the program `kill`, which bare
/// machines lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Read the configuration again.
    Hangup,
    /// Stop the clean way.
    Terminate,
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds on processors, user and system.
    pub cpu_seconds: f64,
    /// Resident anonymous memory, in bytes.
    pub anonymous_bytes: u64,
    /// Resident memory that maps files, in bytes.
    pub file_bytes: u64,
}

/// How long a server may take to name its address: debug builds on busy machines are slow.
const START_TIMEOUT: Duration = Duration::from_secs(120);

impl Server {
    /// Starts `program` with its log going to `log`, and waits until the log names the address it
    /// listens on: `address=127.0.0.1:PORT` in a line with the word "listening" in any case.
    ///
    /// # Errors
    /// It cannot be run, or does not name an address.
    pub fn start(program: &str, arguments: &[String], log: &Path) -> Result<Self, ProcessError> {
        let Spawned {
            mut child,
            addresses,
            follower,
        } = spawn(program, arguments, log)?;
        match addresses.recv_timeout(START_TIMEOUT) {
            Ok(address) => Ok(Self {
                child,
                address,
                log: log.to_owned(),
                follower,
            }),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                // Either fails when it has ended already.
                let _ended = (child.kill(), child.wait());
                let log = std::fs::read_to_string(log).unwrap_or_default();
                Err(ProcessError::NoAddress {
                    program: program.to_owned(),
                    log,
                })
            }
        }
    }

    /// Starts `program`, whose arguments make it listen on `address`; it may not do so yet.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn start_at(
        program: &str,
        arguments: &[String],
        log: &Path,
        address: &str,
    ) -> Result<Self, ProcessError> {
        let Spawned {
            child, follower, ..
        } = spawn(program, arguments, log)?;
        Ok(Self {
            child,
            address: address.to_owned(),
            log: log.to_owned(),
            follower,
        })
    }

    /// Where it listens: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The file that its log is written to.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Ends it without warning, as a power cut would. Its log is whole then.
    pub fn kill(&mut self) {
        // Either fails when it has ended already.
        let _ended = (self.child.kill(), self.child.wait());
        if let Some(follower) = self.follower.take() {
            let _ended = follower.join();
        }
    }

    /// Asks it to stop and waits for its end; returns its exit code.
    ///
    /// # Errors
    /// The operating system tells nothing about it.
    pub fn terminate(&mut self) -> Result<Option<i32>, ProcessError> {
        self.signal(Signal::Terminate)?;
        Ok(self.child.wait().map_err(ProcessError::Facts)?.code())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        let signal = match signal {
            Signal::Hangup => rustix::process::Signal::HUP,
            Signal::Terminate => rustix::process::Signal::TERM,
        };
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .map_err(|error| ProcessError::Facts(error.into()))
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// It has ended.
    pub fn usage(&self) -> Result<Usage, ProcessError> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let stat = std::fs::read_to_string(process.join("stat")).map_err(ProcessError::Facts)?;
        let status =
            std::fs::read_to_string(process.join("status")).map_err(ProcessError::Facts)?;
        Ok(Usage {
            cpu_seconds: cpu_seconds(&stat),
            anonymous_bytes: status_bytes(&status, "RssAnon:"),
            file_bytes: status_bytes(&status, "RssFile:"),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that was started.
struct Spawned {
    child: Child,
    /// Addresses that it says it listens on.
    addresses: Receiver<String>,
    follower: Option<JoinHandle<()>>,
}

fn spawn(program: &str, arguments: &[String], log: &Path) -> Result<Spawned, ProcessError> {
    let start = |source| ProcessError::Start {
        program: program.to_owned(),
        source,
    };
    let file = File::create(log).map_err(start)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(start)?)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let (addresses, follower) = match child.stderr.take() {
        Some(stderr) => {
            let (addresses, follower) = follow(stderr, file);
            (addresses, Some(follower))
        }
        None => (channel().1, None),
    };
    Ok(Spawned {
        child,
        addresses,
        follower,
    })
}

/// Copies standard error to the log for as long as it lasts, and reports addresses in it.
fn follow(stderr: std::process::ChildStderr, mut log: File) -> (Receiver<String>, JoinHandle<()>) {
    let (report, addresses) = channel();
    let follower = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            use std::io::Write as _;
            // A log that cannot be written must not end the server.
            let _unwritten = writeln!(log, "{line}");
            if let Some(address) = listening_address(&line) {
                // Only the first one is waited for.
                let _unwanted = report.send(address);
            }
        }
    });
    (addresses, follower)
}

fn listening_address(line: &str) -> Option<String> {
    if !line.to_ascii_lowercase().contains("listening") {
        return None;
    }
    let (_, rest) = line.split_once("address=")?;
    let address = rest.trim_start_matches('"');
    let end = address.find([' ', '"', ',']).unwrap_or(address.len());
    let address = &address[..end];
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let host = if matches!(host, "[::]" | "0.0.0.0" | "") {
        "127.0.0.1"
    } else {
        host
    };
    Some(format!("{host}:{port}"))
}

/// Fields 14 and 15 of `/proc/PID/stat`, counted behind the command's closing parenthesis.
fn cpu_seconds(stat: &str) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let after_command = stat.rsplit(')').next().unwrap_or_default();
    let mut fields = after_command.split_whitespace().skip(11);
    let mut ticks = || {
        fields
            .next()
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks() + ticks()) / TICKS_PER_SECOND
}

/// A size in `/proc/PID/status`, which gives KiB.
fn status_bytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// Bytes of all files below a folder.
#[must_use]
pub fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_in_log_lines() {
        let prometheus =
            r#"ts=2023-01-01T00:00:00Z level=info msg="Listening on" address=127.0.0.1:38123"#;
        assert_eq!(
            listening_address(prometheus).as_deref(),
            Some("127.0.0.1:38123")
        );
        let any = r#"time=x level=INFO msg="listening" address="[::]:9090" component=web"#;
        assert_eq!(listening_address(any).as_deref(), Some("127.0.0.1:9090"));
        assert_eq!(listening_address("listening address=127.0.0.1:0"), None);
        assert_eq!(listening_address("msg=starting address=127.0.0.1:1"), None);
    }

    #[test]
    fn reads_process_facts() {
        let stat = "12 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert!((cpu_seconds(stat) - 3.0).abs() < 1e-9);
        assert_eq!(
            status_bytes("VmRSS:\t9 kB\nRssAnon:\t    12 kB\n", "RssAnon:"),
            12 * 1024
        );
    }
}

//! The table of flags. Names, meaning and defaults of those that upstream has are upstream's.

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// Nothing; `--no-…` turns it off.
    Switch,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A value; the text says of what kind.
    Value(&'static str),
    /// Values, one each time the flag is given.
    Repeated(&'static str),
}

/// All about one flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagSpec {
    /// Name without dashes.
    pub name: &'static str,
    /// What it takes.
    pub kind: FlagKind,
    /// Value when it is not given; empty for none.
    pub default: &'static str,
    /// Heading in `--help`.
    pub section: &'static str,
    /// What it does.
    pub help: &'static str,
}

const CONFIGURATION: &str = "Configuration";
const STORAGE: &str = "Storage";
const WEB: &str = "Web";
const QUERIES: &str = "Queries";
const LOGS: &str = "Logs";

pub(super) const ABOUT: &str = "\
Firewatch takes in metrics, keeps them and answers PromQL queries. It speaks Prometheus' interfaces: \
its configuration file, its HTTP API, its flags. Without a configuration file it scrapes itself and \
takes what is sent to it.";

pub(super) const EXAMPLES: &str = "\
Examples:
  firewatch
          Try it: serve on port 9090, keep data in ./data, scrape itself.
  firewatch --config.file=prometheus.yml --storage.tsdb.path=/var/lib/firewatch
          Take the place of a Prometheus server.
  firewatch --web.listen-address=127.0.0.1:0 --storage.tsdb.path=/tmp/try
          Serve on any free port of this machine alone; the log says which.
  firewatch promql explain --url=http://localhost:9090 --analyze 'sum(rate(up[5m]))'
          Show how a query is run and what each part of it costs; see firewatch promql --help.
  firewatch tsdb compact --storage.tsdb.path=/var/lib/firewatch
          Make the data of a server that is not running as small as it can be.

Signals:
  SIGHUP            Load the configuration file again.
  SIGTERM, SIGINT   Stop: finish requests, write everything down, end.

Switches are turned off by --no-<flag>. Durations are written as 15d, 1h30m, 500ms.";

/// Every flag except `--help` and `--version`, in the order of `--help`.
pub const FLAGS: &[FlagSpec] = &[
    FlagSpec {
        name: "config.file",
        kind: FlagKind::Value("FILE"),
        default: "",
        section: CONFIGURATION,
        help: "Configuration in the format of prometheus.yml. Without one the server scrapes itself \
               every 15 s. It is read again on SIGHUP and, if enabled, on POST /-/reload.",
    },
    FlagSpec {
        name: "enable-feature",
        kind: FlagKind::Repeated("NAMES"),
        default: "",
        section: CONFIGURATION,
        help: "Features to turn on, separated by commas; may be given several times: \
               promql-experimental-functions, promql-delayed-name-removal, \
               promql-extended-range-selectors, promql-binop-fill-modifiers, \
               promql-per-step-stats, type-and-unit-labels, use-start-timestamps, \
               exemplar-storage. Those that upstream has made permanent are accepted; unknown \
               ones are logged.",
    },
    FlagSpec {
        name: "storage.tsdb.path",
        kind: FlagKind::Value("DIRECTORY"),
        default: "data/",
        section: STORAGE,
        help: "Where data lies. The engine uses the folder firewatch inside it.",
    },
    FlagSpec {
        name: "storage.tsdb.retention.time",
        kind: FlagKind::Value("DURATION"),
        default: "",
        section: STORAGE,
        help: "How long samples are kept. storage.tsdb.retention.time of the configuration file \
               takes precedence. If neither a time nor a size is set, 15d.",
    },
    FlagSpec {
        name: "storage.tsdb.retention.size",
        kind: FlagKind::Value("SIZE"),
        default: "0",
        section: STORAGE,
        help: "Most space on disk, such as 512MB, the write-ahead log included; the oldest days go \
               first, the newest one stays. storage.tsdb.retention.size and .percentage of the \
               configuration file take precedence. 0 means no limit.",
    },
    FlagSpec {
        name: "storage.max-chunk-age",
        kind: FlagKind::Value("DURATION"),
        default: "30m",
        section: STORAGE,
        help: "How long samples stay in the log before they are sealed into chunks, full or not. The \
               log of so much time is replayed after a kill. Shorter means a faster start and more, \
               smaller chunks until their day is rewritten.",
    },
    FlagSpec {
        name: "storage.wal-sync",
        kind: FlagKind::Choice(&["interval", "always", "os"]),
        default: "interval",
        section: STORAGE,
        help: "When the log is synced to the device: every second, before every answer, or when the \
               operating system likes. A killed process loses nothing either way. When power fails, \
               interval loses the last second of what was acknowledged, os what the kernel had not \
               written yet (about 30 s), always nothing.",
    },
    FlagSpec {
        name: "memory.limit",
        kind: FlagKind::Value("SIZE"),
        default: "0",
        section: STORAGE,
        help: "Memory that caches, unflushed writes, series and queries share, such as 8GB. 0 means \
               60 % of the machine's, or of what its control group allows.",
    },
    FlagSpec {
        name: "web.listen-address",
        kind: FlagKind::Repeated("ADDRESS"),
        default: "0.0.0.0:9090",
        section: WEB,
        help: "Where to serve: host:port or :port. May be given several times. Port 0 takes a free \
               port; the log says which.",
    },
    FlagSpec {
        name: "web.enable-remote-write-receiver",
        kind: FlagKind::Switch,
        default: "",
        section: WEB,
        help: "Take remote write on POST /api/v1/write. On by default when there is no \
               configuration file.",
    },
    FlagSpec {
        name: "web.enable-lifecycle",
        kind: FlagKind::Switch,
        default: "",
        section: WEB,
        help: "Allow to reload and stop the server by POST /-/reload and POST /-/quit.",
    },
    FlagSpec {
        name: "web.enable-admin-api",
        kind: FlagKind::Switch,
        default: "",
        section: WEB,
        help: "Enable API endpoints for admin control actions: deleting series, snapshots.",
    },
    FlagSpec {
        name: "web.read-timeout",
        kind: FlagKind::Value("DURATION"),
        default: "5m",
        section: WEB,
        help: "Longest wait for a request to arrive, or for a client to read on; idle connections \
               are closed after it.",
    },
    FlagSpec {
        name: "web.max-connections",
        kind: FlagKind::Value("NUMBER"),
        default: "512",
        section: WEB,
        help: "Most connections at one time. Further ones wait.",
    },
    FlagSpec {
        name: "web.cors.origin",
        kind: FlagKind::Value("PATTERN"),
        default: ".*",
        section: WEB,
        help: "Origins whose pages may call the API: a regular expression that has to match in \
               full, such as 'https?://(domain1|domain2)\\.com'.",
    },
    FlagSpec {
        name: "query.timeout",
        kind: FlagKind::Value("DURATION"),
        default: "2m",
        section: QUERIES,
        help: "Longest time that a query may take before it is aborted.",
    },
    FlagSpec {
        name: "query.max-concurrency",
        kind: FlagKind::Value("NUMBER"),
        default: "20",
        section: QUERIES,
        help: "Most queries that run at one time. Further ones wait.",
    },
    FlagSpec {
        name: "query.max-samples",
        kind: FlagKind::Value("NUMBER"),
        default: "50000000",
        section: QUERIES,
        help: "Most samples that one query may hold in memory. Queries that need more fail. Samples \
               of chunks whose summary says enough are not held.",
    },
    FlagSpec {
        name: "query.max-memory-per-query",
        kind: FlagKind::Value("SIZE"),
        default: "0",
        section: QUERIES,
        help: "Most memory that one query may hold, such as 512MB. Queries that need more fail. 0 \
               means half of what all queries may hold.",
    },
    FlagSpec {
        name: "query.max-total-memory",
        kind: FlagKind::Value("SIZE"),
        default: "0",
        section: QUERIES,
        help: "Most memory that all running queries may hold together. Queries that find none left \
               wait before they begin. 0 means what --memory.limit leaves them.",
    },
    FlagSpec {
        name: "query.result-cache-bytes",
        kind: FlagKind::Value("SIZE"),
        default: "64MB",
        section: QUERIES,
        help: "Most memory for results of range queries, kept so that a dashboard that moves on \
               computes its new steps only, out of what all queries may hold together. Answers are \
               those of a full evaluation. 0 turns it off; a request with nocache=1 passes it by.",
    },
    FlagSpec {
        name: "query.lookback-delta",
        kind: FlagKind::Value("DURATION"),
        default: "5m",
        section: QUERIES,
        help: "How old the newest sample of a series may be for a query to see it.",
    },
    FlagSpec {
        name: "log.level",
        kind: FlagKind::Choice(&["debug", "info", "warn", "error"]),
        default: "info",
        section: LOGS,
        help: "Least important lines that are logged.",
    },
    FlagSpec {
        name: "log.format",
        kind: FlagKind::Choice(&["logfmt", "json"]),
        default: "logfmt",
        section: LOGS,
        help: "How lines are written.",
    },
];

//! A server for tests: storage in memory with a few series and metadata of two families, one target
//! up and one down, a clock that stands at 3661 s.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use api::{
    ActiveQueries, ActiveTarget, AdminApi, BuildInfo, Control, DroppedTarget, Flag, Lifecycle,
    Parts, Phase, QueryLog, Readiness, ReloadError, RuntimeInfo, Settings, Storage, StorageSlot,
    TargetHealth, TargetSource, TargetsView, WriteReceiver,
};
use axum::Router;
use base::metrics::Registry;
use base::{CpuPool, ManualClock, ManualStopwatch, MemoryBudget};
use model::{Labels, Matcher, PromDuration, Timestamp};
use promql::{Engine, EngineOptions};
use storage::memory::MemoryStorage;
use storage::{
    AppendPolicy, AppendRequest, Appender as _, Durability, FamilyMetadata, MetadataEntry,
    MetadataStore as _, MetricKind, Queryable, Sample, SeriesKey,
};

pub(crate) struct Fixture {
    pub(crate) router: Router,
    pub(crate) parts: Parts,
    pub(crate) stopwatch: Arc<ManualStopwatch>,
}

impl Fixture {
    pub(crate) fn ready() -> Self {
        Self::new(Phase::Ready, |_| ())
    }

    pub(crate) fn starting() -> Self {
        let fixture = Self::new(Phase::Starting, |_| ());
        fixture.parts.storage.clear();
        fixture
    }

    pub(crate) fn stopping() -> Self {
        Self::new(Phase::Stopping, |_| ())
    }

    pub(crate) fn with_lifecycle() -> Self {
        Self::new(Phase::Ready, |settings| {
            settings.lifecycle = Lifecycle::Enabled
        })
    }

    pub(crate) fn with_admin() -> Self {
        Self::new(Phase::Ready, |settings| {
            settings.admin_api = AdminApi::Enabled
        })
    }

    pub(crate) fn without_receiver() -> Self {
        Self::new(Phase::Ready, |settings| {
            settings.write_receiver = WriteReceiver::Disabled
        })
    }

    pub(crate) fn with_origin(pattern: &str) -> Self {
        Self::new(Phase::Ready, |settings| {
            pattern.clone_into(&mut settings.cors_origin)
        })
    }

    fn new(phase: Phase, change: impl FnOnce(&mut Settings)) -> Self {
        let storage = Self::data();
        let (queryable, appender) = (Arc::clone(&storage), Arc::clone(&storage));
        Self::on(
            Storage {
                queryable,
                appender,
                status: Arc::<MemoryStorage>::clone(&storage),
                exemplars: Arc::<MemoryStorage>::clone(&storage),
                metadata: Arc::<MemoryStorage>::clone(&storage),
                maintenance: storage,
            },
            phase,
            change,
        )
    }

    /// A server whose engine is not the default one.
    pub(crate) fn with_engine(options: EngineOptions) -> Self {
        let mut fixture = Self::ready();
        fixture.parts.engine = Arc::new(Engine::new(options));
        fixture.parts.registry = Registry::new();
        fixture.router = api::router(fixture.parts.clone()).expect("the pattern is right");
        fixture
    }

    /// The default data.
    pub(crate) fn data() -> Arc<MemoryStorage> {
        let storage = Arc::new(MemoryStorage::new());
        load(&storage);
        storage.set_max_exemplars(10);
        let written = family("written", MetricKind::Summary, "by a sender");
        let entries = [family("b<", MetricKind::Gauge, "B"), written];
        let left_out = storage.put_metadata(&mut entries.into_iter());
        assert_eq!(left_out.expect("memory"), 0);
        storage
    }

    /// A server on other storage that runs one query at a time.
    pub(crate) fn with_queryable(queryable: Arc<dyn Queryable>) -> Self {
        let storage = Storage {
            queryable,
            appender: Arc::new(MemoryStorage::new()),
            status: Arc::new(MemoryStorage::new()),
            exemplars: Arc::new(MemoryStorage::new()),
            metadata: Arc::new(MemoryStorage::new()),
            maintenance: Arc::new(MemoryStorage::new()),
        };
        Self::on(storage, Phase::Ready, |settings| {
            settings.query_max_concurrency = 1
        })
    }

    fn on(storage: Storage, phase: Phase, change: impl FnOnce(&mut Settings)) -> Self {
        let slot = StorageSlot::new();
        slot.set(storage);
        let readiness = Readiness::new();
        readiness.set(phase);
        let mut settings = settings();
        change(&mut settings);
        let registry = Registry::new();
        let stopwatch = Arc::new(ManualStopwatch::ticking(0));
        let parts = Parts {
            engine: Arc::new(Engine::default()),
            storage: slot,
            readiness,
            targets: Arc::new(Targets),
            control: Arc::new(FixedControl),
            query_pool: CpuPool::start("query", 1, 64).expect("threads"),
            ingest_pool: CpuPool::start("ingest", 1, 64).expect("threads"),
            query_memory: MemoryBudget::new(1 << 30),
            active_queries: ActiveQueries::new(),
            query_log: QueryLog::new(&registry),
            clock: Arc::new(ManualClock::new(Timestamp::from_millis(3_661_500))),
            stopwatch: Arc::<ManualStopwatch>::clone(&stopwatch),
            registry,
            settings,
        };
        let router = api::router(parts.clone()).expect("the pattern is right");
        Self {
            router,
            parts,
            stopwatch,
        }
    }
}

fn settings() -> Settings {
    let flag = |name: &str, value: &str| Flag {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    Settings {
        query_timeout: PromDuration::from_secs(120),
        query_max_concurrency: 20,
        write_receiver: WriteReceiver::Enabled,
        lifecycle: Lifecycle::Disabled,
        admin_api: AdminApi::Disabled,
        cors_origin: ".*".to_owned(),
        build: BuildInfo {
            version: "3.14.0+firewatch.9.8.7".to_owned(),
            own_version: "9.8.7".to_owned(),
            revision: "abc".to_owned(),
            branch: "main".to_owned(),
            build_user: "me".to_owned(),
            build_date: "today".to_owned(),
            compiler: "rust".to_owned(),
        },
        flags: vec![flag("config.file", ""), flag("web.cors.origin", ".*<")],
    }
}

/// Labels and samples.
type Series<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

fn load(storage: &MemoryStorage) {
    let series: [Series<'_>; 4] = [
        (
            &[("__name__", "up"), ("job", "a")],
            &[(0, 1.0), (3_600_000, 1.0), (3_660_000, 0.5)],
        ),
        (
            &[("__name__", "up"), ("job", "b<")],
            &[(3_600_000, 1.0), (3_660_000, 1e21)],
        ),
        (
            &[("__name__", "old"), ("job", "a"), ("Zone", "z")],
            &[(1_000, 7.0)],
        ),
        (
            &[("__name__", "odd"), ("a.b", "ä")],
            &[(3_660_050, f64::NAN)],
        ),
    ];
    for (pairs, samples) in series {
        let labels = Labels::from_pairs(pairs.iter().copied()).expect("labels");
        let samples = samples.iter().map(|(at, value)| Sample {
            timestamp: Timestamp::from_millis(*at),
            value: *value,
        });
        let mut request = AppendRequest::default();
        request.push(SeriesKey::Labels(&labels), samples);
        storage
            .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
            .and_then(storage::PendingAppend::wait_blocking)
            .expect("stored");
    }
}

const fn family<'a>(family: &'a str, kind: MetricKind, help: &'a str) -> MetadataEntry<'a> {
    let unit = "";
    MetadataEntry {
        family,
        kind,
        help,
        unit,
    }
}

struct Targets;

impl TargetSource for Targets {
    fn targets(&self) -> TargetsView {
        let labels = |job: &str| Labels::from_pairs([("job", job)]).expect("labels");
        let up = ActiveTarget {
            discovered_labels: Labels::from_pairs([("__address__", "x:1"), ("job", "a")])
                .expect("labels"),
            labels: labels("a"),
            scrape_pool: "a".to_owned(),
            scrape_url: "http://x:1/metrics".to_owned(),
            global_url: "http://host:1/metrics".to_owned(),
            last_error: String::new(),
            last_scrape: Some(Timestamp::from_millis(3_660_250)),
            last_scrape_seconds: 0.0125,
            health: TargetHealth::Up,
            scrape_interval: PromDuration::from_secs(15),
            scrape_timeout: PromDuration::from_secs(10),
        };
        let down = ActiveTarget {
            labels: labels("b"),
            scrape_pool: "b".to_owned(),
            last_error: "<refused>".to_owned(),
            last_scrape: None,
            last_scrape_seconds: 0.0,
            health: TargetHealth::Unknown,
            ..up.clone()
        };
        TargetsView {
            active: vec![up, down],
            dropped: vec![DroppedTarget {
                discovered_labels: labels("c"),
                scrape_pool: "c".to_owned(),
            }],
            dropped_counts: vec![("c".to_owned(), 1)],
        }
    }

    fn visit_metadata(
        &self,
        matchers: &[Matcher],
        name: Option<&str>,
        visit: &mut dyn FnMut(&Labels, Vec<FamilyMetadata>) -> ControlFlow<()>,
    ) {
        let with_unit = MetadataEntry {
            unit: "seconds",
            ..family("c_seconds", MetricKind::Counter, "C \"c\"\n&")
        };
        let of_targets = [
            vec![family("b<", MetricKind::Gauge, "B"), with_unit],
            vec![family("b<", MetricKind::Gauge, "A")],
        ];
        for (target, families) in self.targets().active.iter().zip(of_targets) {
            let value = |matcher: &Matcher| target.labels.value_or_empty(matcher.name());
            if !matchers.iter().all(|it| it.matches(value(it))) {
                continue;
            }
            let wanted = families
                .into_iter()
                .filter(|it| name.is_none_or(|name| it.family == name));
            let wanted = wanted.map(MetadataEntry::to_metadata).collect();
            if visit(&target.labels, wanted).is_break() {
                return;
            }
        }
    }
}

struct FixedControl;

impl Control for FixedControl {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), ReloadError>> + Send + '_>> {
        Box::pin(std::future::ready(Err(ReloadError(
            "no such file".to_owned(),
        ))))
    }

    fn quit(&self) {}

    fn nonce(&self) -> u64 {
        7
    }

    fn config_yaml(&self) -> String {
        "global:\n  scrape_interval: 15s\n".to_owned()
    }

    fn runtime(&self) -> RuntimeInfo {
        RuntimeInfo {
            start_time: Timestamp::EPOCH,
            working_directory: "/srv".to_owned(),
            hostname: "host".to_owned(),
            reload_succeeded: true,
            config_loaded_at: Timestamp::from_millis(1_999),
            corruptions: 0,
            threads: 4,
            processors: 2,
            retention: "15d".to_owned(),
            storage_path: "./data".to_owned(),
        }
    }
}

//! Tests of ingestion against the in-memory engine: scrapes as texts, stored series as texts.

mod families;
mod refused;

use base::ManualClock;
use base::metrics::Registry;
use bytes::Bytes;
use config::Config;
use model::TimeRange;
use proptest::prelude::*;
use storage::memory::MemoryStorage;
use storage::{Columns, Queryable as _, SelectHints};

use super::*;

/// A target, its storage, and a clock that moves one second per scrape.
struct Bench {
    storage: Arc<MemoryStorage>,
    clock: Arc<ManualClock>,
    registry: Registry,
    context: Ingestion,
    state: TargetState,
}

impl Bench {
    fn new(settings: &str) -> Self {
        let text = format!(
            "scrape_configs: [{{job_name: j, static_configs: [{{targets: ['h:1']}}]{settings}}}]"
        );
        let config = Config::parse(&text).expect("the settings are valid");
        let config = Arc::clone(&config.scrape_configs[0]);
        let group = &config.static_configs[0];
        let target = Target::new("h:1", group, &config).expect("the target is valid");
        let target = Arc::new(target);
        let storage = Arc::new(MemoryStorage::new());
        let clock = Arc::new(ManualClock::default());
        let registry = Registry::new();
        let state = TargetState::new(&target, &config);
        let context = Ingestion {
            target,
            config,
            appender: Arc::<MemoryStorage>::clone(&storage),
            exemplars: Arc::<MemoryStorage>::clone(&storage),
            texts: Arc::default(),
            metrics: ScrapeMetrics::register(&registry),
            clock: Arc::<ManualClock>::clone(&clock),
        };
        Self {
            storage,
            clock,
            registry,
            context,
            state,
        }
    }

    /// Scrapes one second after the last scrape. `!` stands for a target that does not answer.
    fn scrape(&mut self, exposition: &str) -> (Report, String) {
        let fetched = match exposition {
            "!" => Err(ScrapeError::Status("503 Service Unavailable".to_owned())),
            text => Ok(Fetched {
                body: Bytes::from(text.replace(';', "\n")).into(),
                content_type: match text.ends_with("# EOF") {
                    true => "application/openmetrics-text; version=1.0.0".to_owned(),
                    false => "text/plain".to_owned(),
                },
            }),
        };
        self.clock.advance(PromDuration::from_secs(1));
        let now = base::Clock::now(&*self.clock);
        let (report, error) = self
            .state
            .scrape(&self.context, fetched, (Instant::now(), now));
        (
            report,
            error.map(|error| error.to_string()).unwrap_or_default(),
        )
    }

    /// All series whose name passes `keep`, with their samples as `value@second`.
    fn stored(&self, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let querier = self
            .storage
            .querier(TimeRange::ALL)
            .expect("memory is ready");
        let set = querier
            .select(&[], SelectHints::default())
            .expect("memory is ready");
        let mut lines = Vec::new();
        let mut columns = Columns::default();
        for index in 0..set.len() {
            let labels = set.labels(index);
            if !keep(labels.value_or_empty("__name__")) {
                continue;
            }
            let mut line = labels
                .to_string()
                .replace(r#", instance="h:1", job="j""#, "");
            set.read(index, &mut columns).expect("memory is ready");
            for (at, value) in columns.timestamps.iter().zip(&columns.values) {
                let value = match model::is_stale_nan(*value) {
                    true => "stale".to_owned(),
                    false => value.to_string(),
                };
                line.push_str(&format!(" {value}@{}", Timestamp::from_millis(*at)));
            }
            lines.push(line);
        }
        lines
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let samples = families.iter().filter(|family| family.name == name);
        samples
            .flat_map(|family| &family.samples)
            .map(|sample| sample.value)
            .sum()
    }
}

#[test]
fn exemplars_are_kept_with_the_labels_of_the_target() {
    let mut bench = Bench::new("");
    let scrape = "a_total 5 # {trace_id=\"x\"} 0.5;b 2 7 # {} 3 4;# EOF";
    let exemplars = |bench: &Bench| {
        let found = bench.storage.select(TimeRange::ALL, &[Vec::new()]);
        let lines = found.iter().flat_map(|found| {
            let of = found.exemplars.iter();
            of.map(move |it| {
                format!(
                    "{} {} {}@{}",
                    found.series, it.labels, it.value, it.timestamp
                )
            })
        });
        lines.collect::<Vec<String>>()
    };
    bench.scrape(scrape);
    assert_eq!(exemplars(&bench), [""; 0], "nobody keeps them");
    bench.storage.set_max_exemplars(10);
    bench.scrape(scrape);
    let want = [
        r#"{__name__="a_total", instance="h:1", job="j"} {trace_id="x"} 0.5@2"#,
        r#"{__name__="b", instance="h:1", job="j"} {} 3@4"#,
    ];
    assert_eq!(exemplars(&bench), want);
    bench.scrape("b 2 # {} 2 3;# EOF");
    assert_eq!(exemplars(&bench), want);
    let name = "prometheus_target_scrapes_exemplar_out_of_order_total";
    assert!((bench.metric(name) - 1.0).abs() < f64::EPSILON);
}

fn is_scraped(name: &str) -> bool {
    name != "up" && !name.starts_with("scrape_")
}

#[track_caller]
fn check(settings: &str, scrapes: &[&str], want: &[&str]) {
    let mut bench = Bench::new(settings);
    for exposition in scrapes {
        bench.scrape(exposition);
    }
    assert_eq!(bench.stored(is_scraped), want, "{settings} {scrapes:?}");
}

#[test]
fn samples_take_the_time_of_the_scrape_and_the_labels_of_the_target() {
    check(
        "",
        &["a{x=\"1\"} 5;b 2", "a{x=\"1\"} 6;b 2"],
        &[
            r#"{__name__="a", x="1"} 5@1 6@2"#,
            r#"{__name__="b"} 2@1 2@2"#,
        ],
    );
    check(
        "",
        &["a{job=\"x\",exported_job=\"y\"} 1"],
        &[r#"{__name__="a", exported_exported_job="x", exported_job="y"} 1@1"#],
    );
    check(
        ", honor_labels: true",
        &["a{job=\"x\"} 1"],
        &[r#"{__name__="a", instance="h:1", job="x"} 1@1"#],
    );
    check(
        "",
        &["# TYPE h histogram;h_bucket{le=\"1\"} 3"],
        &[r#"{__name__="h_bucket", le="1.0"} 3@1"#],
    );
}

#[test]
fn series_that_are_missing_become_stale() {
    check(
        "",
        &["a 1;b 2", "b 3", "b 4", "a 5;b 6"],
        &[
            r#"{__name__="a"} 1@1 stale@2 5@4"#,
            r#"{__name__="b"} 2@1 3@2 4@3 6@4"#,
        ],
    );
    check(
        "",
        &["a 1;b 2", "!", "!", "a 3"],
        &[
            r#"{__name__="a"} 1@1 stale@2 3@4"#,
            r#"{__name__="b"} 2@1 stale@2"#,
        ],
    );
    check(
        "",
        &["a 1", "a 2;b{ 3", "a 4"],
        &[r#"{__name__="a"} 1@1 stale@2 4@3"#],
    );
    check(
        "",
        &["a 1", "", "a 4"],
        &[r#"{__name__="a"} 1@1 stale@2 4@3"#],
    );
    check(
        "",
        &["a NaN", "b 1"],
        &[r#"{__name__="a"} NaN@1 stale@2"#, r#"{__name__="b"} 1@2"#],
    );
}

#[test]
fn explicit_timestamps_are_taken_or_not() {
    let scrapes = &["a 1 500;b 1", "b 2"];
    check(
        "",
        scrapes,
        &[r#"{__name__="a"} 1@0.500"#, r#"{__name__="b"} 1@1 2@2"#],
    );
    check(
        ", track_timestamps_staleness: true",
        scrapes,
        &[
            r#"{__name__="a"} 1@0.500 stale@2"#,
            r#"{__name__="b"} 1@1 2@2"#,
        ],
    );
    check(
        ", honor_timestamps: false",
        scrapes,
        &[r#"{__name__="a"} 1@1 stale@2"#, r#"{__name__="b"} 1@1 2@2"#],
    );
    check(
        "",
        &["a 1 500;a 2 600;c 1 100;c 2 200"],
        &[
            r#"{__name__="a"} 1@0.500 2@0.600"#,
            r#"{__name__="c"} 1@0.100 2@0.200"#,
        ],
    );
}

#[test]
fn samples_too_far_ahead_are_left_out() {
    let mut bench = Bench::new("");
    let (report, error) = bench.scrape("a 1 601000;b 2 601001;b 3 601002;c 4 999999;d 5");
    assert_eq!(
        (report.scraped, report.post_relabeling, report.series_added),
        (5, 5, 2)
    );
    assert_eq!(error, "");
    assert_eq!(
        bench.stored(is_scraped),
        [r#"{__name__="a"} 1@601"#, r#"{__name__="d"} 5@1"#]
    );
    assert_eq!(
        bench.metric("prometheus_target_scrapes_sample_out_of_bounds_total"),
        3.0
    );
}

#[test]
fn repeated_series_are_dropped_and_counted() {
    let mut bench = Bench::new("");
    let (report, error) = bench.scrape("a 1;a 2;b 3;b 3;a{} 4");
    assert_eq!(
        (report.up, report.scraped, report.post_relabeling),
        (true, 5, 5)
    );
    assert_eq!(error, "");
    assert_eq!(
        bench.stored(is_scraped),
        [r#"{__name__="a"} 1@1"#, r#"{__name__="b"} 3@1"#]
    );
    assert_eq!(
        bench.metric("prometheus_target_scrapes_sample_duplicate_timestamp_total"),
        3.0
    );
}

#[test]
fn old_samples_are_counted_and_the_scrape_succeeds() {
    let mut bench = Bench::new("");
    bench.scrape("a 1 500");
    let (report, error) = bench.scrape("a 2 400");
    assert_eq!((report.up, error.as_str()), (true, ""));
    assert_eq!(bench.stored(is_scraped), [r#"{__name__="a"} 1@0.500"#]);
    assert_eq!(
        bench.metric("prometheus_target_scrapes_sample_out_of_order_total"),
        1.0
    );
}

#[test]
fn the_report_tells_how_the_scrape_went() {
    let mut bench = Bench::new("");
    for (exposition, want) in [
        ("a 1;b 2", (true, 2, 2, 2)),
        ("a 1;b 2", (true, 2, 2, 0)),
        ("a 1;c 2", (true, 2, 2, 1)),
        ("!", (false, 0, 0, 0)),
        ("a 1;c 2", (true, 2, 2, 0)),
        ("a 1;c", (false, 1, 1, 0)),
        ("", (true, 0, 0, 0)),
    ] {
        let (report, _) = bench.scrape(exposition);
        let got = (
            report.up,
            report.scraped,
            report.post_relabeling,
            report.series_added,
        );
        assert_eq!(got, want, "{exposition}");
    }
    let durations = bench
        .stored(|name| name == "scrape_duration_seconds")
        .concat();
    assert_eq!(
        durations
            .split(' ')
            .filter(|word| word.contains('@'))
            .count(),
        7
    );
    assert_eq!(
        bench.stored(|name| name == "up" || name.starts_with("scrape_s")),
        [
            r#"{__name__="scrape_samples_post_metric_relabeling"} 2@1 2@2 2@3 0@4 2@5 1@6 0@7"#,
            r#"{__name__="scrape_samples_scraped"} 2@1 2@2 2@3 0@4 2@5 1@6 0@7"#,
            r#"{__name__="scrape_series_added"} 2@1 0@2 1@3 0@4 0@5 0@6 0@7"#,
            r#"{__name__="up"} 1@1 1@2 1@3 0@4 1@5 0@6 1@7"#,
        ]
    );
}

#[test]
fn reports_give_way_to_what_the_target_exposes() {
    let mut bench = Bench::new("");
    bench.scrape("up 7");
    assert_eq!(
        bench.stored(|name| name == "up"),
        [r#"{__name__="up"} 7@1"#]
    );
    assert_eq!(
        bench.metric("prometheus_target_scrapes_sample_duplicate_timestamp_total"),
        0.0
    );
}

#[test]
fn everything_becomes_stale_when_the_target_goes() {
    let mut bench = Bench::new("");
    bench.scrape("a 1;b 2");
    bench
        .state
        .end(&bench.context, Timestamp::from_millis(3000));
    assert_eq!(
        bench.stored(|name| is_scraped(name) || name == "up"),
        [
            r#"{__name__="a"} 1@1 stale@3"#,
            r#"{__name__="b"} 2@1 stale@3"#,
            r#"{__name__="up"} 1@1 stale@3"#,
        ]
    );
}

#[test]
fn markers_of_a_target_that_came_back_are_left_out() {
    let mut bench = Bench::new("");
    bench.scrape("a 1");
    let successor = TargetState::new(&bench.context.target, &bench.context.config);
    let mut departed = std::mem::replace(&mut bench.state, successor);
    bench.scrape("a 2");
    bench.scrape("a 3");
    departed.end(&bench.context, Timestamp::from_millis(2500));
    assert_eq!(bench.stored(is_scraped), [r#"{__name__="a"} 1@1 2@2 3@3"#]);
}

#[test]
fn storage_that_forgot_its_series_gets_them_anew() {
    let mut bench = Bench::new("");
    bench.scrape("a 1;b 1");
    bench.storage.clear();
    let (report, error) = bench.scrape("a 2;b 2");
    assert_eq!((report.up, error.as_str()), (true, ""));
    assert_eq!(
        bench.stored(|name| is_scraped(name) || name == "up"),
        [
            r#"{__name__="a"} 2@2"#,
            r#"{__name__="b"} 2@2"#,
            r#"{__name__="up"} 1@2"#,
        ]
    );
    bench.storage.clear();
    let (report, _) = bench.scrape("!");
    assert!(!report.up);
    assert_eq!(
        bench.stored(|name| name == "up"),
        [r#"{__name__="up"} 0@3"#]
    );
}

proptest! {
    /// Whatever a target serves over time, each series holds what it served, and ends in a stale
    /// marker wherever it was missing.
    #[test]
    fn stored_series_follow_the_target(
        scrapes in proptest::collection::vec(
            prop_oneof![
                4 => proptest::collection::vec(0_u8..6, 0..8).prop_map(Some),
                1 => Just(None),
            ],
            1..12,
        ),
    ) {
        let mut bench = Bench::new("");
        let mut want: Vec<Vec<String>> = vec![Vec::new(); 6];
        for (index, scrape) in scrapes.iter().enumerate() {
            let second = index + 1;
            let names = scrape.clone().unwrap_or_default();
            let lines: Vec<String> =
                names.iter().map(|name| format!("m{name}{{}} {second}")).collect();
            let exposition = if scrape.is_some() { lines.join(";") } else { "!".to_owned() };
            bench.scrape(&exposition);
            for name in 0..6_u8 {
                let samples = &mut want[usize::from(name)];
                let was_there = samples.last().is_some_and(|last| !last.starts_with("stale"));
                if names.contains(&name) {
                    samples.push(format!("{second}@{second}"));
                } else if was_there {
                    samples.push(format!("stale@{second}"));
                }
            }
        }
        let want: Vec<String> = want
            .iter()
            .enumerate()
            .filter(|(_, samples)| !samples.is_empty())
            .map(|(name, samples)| format!("{{__name__=\"m{name}\"}} {}", samples.join(" ")))
            .collect();
        prop_assert_eq!(bench.stored(is_scraped), want);
    }
}

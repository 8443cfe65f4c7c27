//! Whole files: good ones load, bad ones are refused with the message in their first line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{
    Config, ConfigError, EscapingScheme, NameValidation, ScrapeConfig, ScrapeLimits,
    ScrapeProtocol, StaticConfig, StorageConfig,
};
use model::{Labels, PromDuration};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is readable");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    paths.sort();
    paths
}

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder)
}

fn good(name: &str) -> Config {
    Config::load(&data("good").join(name)).expect("the file is good")
}

#[test]
fn good_files_load() {
    let paths = files(&data("good"));
    assert!(paths.len() >= 6);
    for path in paths {
        let loaded = Config::load(&path).map_err(|error| error.to_string());
        assert!(loaded.is_ok(), "{}: {loaded:?}", path.display());
    }
}

#[test]
fn bad_files_are_refused_with_their_message() {
    let paths = files(&data("bad"));
    assert!(paths.len() >= 35);
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let want = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# "))
            .unwrap();
        let error = Config::load(&path)
            .map(|config| config.source)
            .unwrap_err()
            .to_string();
        let shown = error.replace('\n', "\\n");
        let in_file = format!("parsing YAML file {}: ", path.display());
        assert!(shown.starts_with(&in_file), "{shown}");
        assert!(
            shown.contains(want),
            "{}\nwant {want}\ngot  {shown}",
            path.display()
        );
        let exact = !want.ends_with(": ");
        assert!(
            !exact || shown.ends_with(want),
            "{}\nwant {want}\ngot  {shown}",
            path.display()
        );
    }
}

#[test]
fn empty_files_give_defaults() {
    for name in ["empty.yml", "comments.yml", "nulls.yml"] {
        let config = good(name);
        assert_eq!(config.global.scrape_interval, PromDuration::from_secs(60));
        assert_eq!(config.global.scrape_timeout, PromDuration::from_secs(10));
        assert_eq!(
            config.global.evaluation_interval,
            PromDuration::from_secs(60)
        );
        assert_eq!(config.global.external_labels, Labels::empty());
        assert!(config.scrape_configs.is_empty());
        assert_eq!(config.storage, StorageConfig::default());
    }
}

#[test]
fn jobs_inherit_and_override() {
    let config = good("full.yml");
    assert_eq!(config.global.rule_query_offset, PromDuration::from_secs(5));
    assert_eq!(
        config.global.external_labels.to_string(),
        r#"{replica="1", site="north"}"#
    );
    let retention = PromDuration::parse("30d").ok();
    assert_eq!(config.storage.retention_time, retention);
    assert_eq!(config.storage.retention_size_bytes, Some(512 << 20));
    assert_eq!(config.storage.retention_basis_points, Some(2850));
    assert_eq!(
        config.storage.out_of_order_time_window,
        PromDuration::from_secs(600)
    );
    assert_eq!(config.storage.max_exemplars, 5000);
    for (text, want) in [
        ("", 100_000),
        ("storage: {exemplars: {max_exemplars: -1}}", 0),
    ] {
        let config = Config::parse(text).expect("the settings are valid");
        assert_eq!(config.storage.max_exemplars, want, "{text}");
    }

    let plain = &config.scrape_configs[0];
    let limits = ScrapeLimits {
        body_size_bytes: 64 << 20,
        samples: 1000,
        labels: 32,
        ..ScrapeLimits::default()
    };
    assert_eq!(
        **plain,
        ScrapeConfig {
            job_name: "plain".to_owned(),
            scrape_interval: PromDuration::from_secs(30),
            scrape_timeout: PromDuration::from_secs(20),
            scrape_protocols: ScrapeProtocol::DEFAULT.to_vec(),
            fallback_scrape_protocol: None,
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            enable_compression: true,
            follow_redirects: true,
            extra_scrape_metrics: true,
            name_validation: NameValidation::Legacy,
            escaping_scheme: EscapingScheme::Underscores,
            limits,
            static_configs: vec![],
        }
    );
    check_everything(&config.scrape_configs[1], limits);
}

fn check_everything(job: &ScrapeConfig, global: ScrapeLimits) {
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        *job,
        ScrapeConfig {
            job_name: "everything".to_owned(),
            scrape_interval: PromDuration::from_secs(15),
            scrape_timeout: PromDuration::from_secs(5),
            scrape_protocols: vec![
                ScrapeProtocol::PrometheusText100,
                ScrapeProtocol::PrometheusProto
            ],
            fallback_scrape_protocol: Some(ScrapeProtocol::PrometheusText004),
            metrics_path: "/probe".to_owned(),
            scheme: "http".to_owned(),
            params: BTreeMap::from([
                ("match[]".to_owned(), texts(&["{a=\"b\"}", "up"])),
                ("module".to_owned(), texts(&["icmp"])),
            ]),
            honor_labels: true,
            honor_timestamps: false,
            track_timestamps_staleness: true,
            enable_compression: false,
            follow_redirects: false,
            extra_scrape_metrics: false,
            name_validation: NameValidation::Utf8,
            escaping_scheme: EscapingScheme::Dots,
            limits: ScrapeLimits {
                body_size_bytes: 1 << 20,
                samples: 5,
                targets: 2,
                labels: global.labels,
                label_name_bytes: 10,
                label_value_bytes: 20,
                keep_dropped_targets: 3,
            },
            static_configs: vec![
                StaticConfig {
                    targets: texts(&["a:1", "[::1]:9100"]),
                    labels: BTreeMap::from([
                        ("team".to_owned(), "x".to_owned()),
                        ("level".to_owned(), "2".to_owned()),
                    ]),
                },
                StaticConfig {
                    targets: texts(&["b"]),
                    labels: BTreeMap::new()
                },
            ],
        }
    );
}

#[test]
fn timeouts_shrink_with_the_interval() {
    let config = Config::parse(
        "global: {scrape_interval: 5s}\nscrape_configs: [{job_name: a}, {job_name: b, \
         scrape_interval: 3s}]",
    )
    .unwrap();
    let timeouts: Vec<String> = config
        .scrape_configs
        .iter()
        .map(|job| job.scrape_timeout.to_string())
        .collect();
    assert_eq!(config.global.scrape_timeout.to_string(), "5s");
    assert_eq!(timeouts, ["5s", "3s"]);
}

#[test]
fn external_labels_see_the_environment() {
    let text = "global: {external_labels: {host: '${HOST}-$NONE', cost: '5$$'}}";
    let config =
        Config::parse_in(text, &|name| (name == "HOST").then(|| "db1".to_owned())).unwrap();
    assert_eq!(
        config.global.external_labels.to_string(),
        r#"{cost="5$", host="db1-"}"#
    );
}

#[test]
fn the_default_scrapes_its_own_address() {
    for (listen, target) in [
        ("0.0.0.0:9090", "localhost:9090"),
        ("127.0.0.1:81", "127.0.0.1:81"),
        ("[::1]:9", "[::1]:9"),
    ] {
        let config = Config::embedded_default(listen.parse().unwrap()).unwrap();
        let job = &config.scrape_configs[0];
        assert_eq!(job.job_name, "firewatch");
        assert_eq!(job.scrape_interval, PromDuration::from_secs(15));
        assert_eq!(job.static_configs[0].targets, [target]);
    }
}

#[test]
fn errors_name_file_and_line() {
    let missing = Config::load(Path::new("no/such.yml")).unwrap_err();
    assert_eq!(missing.to_string(), "open no/such.yml");
    assert!(matches!(missing, ConfigError::Read { .. }));
    assert_eq!(Config::parse("a: b").unwrap_err().line(), Some(1));
    assert_eq!(
        Config::parse("scrape_configs: [{}]").unwrap_err().line(),
        None
    );
}

/// Files that upstream refuses. One passes: YAML tags such as `!!binary` are not looked at yet.
#[test]
fn upstreams_bad_files_are_refused() {
    let Some(folder) = std::env::var_os("CONFORMANCE_DIR") else {
        return;
    };
    let paths = files(&Path::new(&folder).join("prometheus-config"));
    let refused = |path: &&PathBuf| Config::load(path).is_err();
    let is_bad = |path: &&PathBuf| path.to_string_lossy().ends_with(".bad.yml");
    let accepted: Vec<String> = paths
        .iter()
        .filter(|path| is_bad(path) && !refused(path))
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    assert_eq!(accepted, ["labelvalue.bad.yml"]);
}

//! Command lines and what comes of them; the page about flags.

use std::fmt::Write as _;

use super::*;

fn parse(line: &str) -> Result<Options, Exit> {
    Options::parse(std::iter::once("firewatch").chain(line.split_whitespace()))
}

#[track_caller]
fn check_refused(line: &str, want: &str) {
    let exit = parse(line).unwrap_err();
    assert_eq!(exit.code(), 2, "{line}");
    assert!(exit.text().contains(want), "{line}: {}", exit.text());
}

#[test]
fn defaults_are_those_of_upstream() {
    let options = parse("").unwrap();
    assert_eq!(options.config_file, None);
    assert_eq!(options.listen_addresses, ["0.0.0.0:9090"]);
    assert_eq!(options.storage_path, PathBuf::from("data/"));
    assert_eq!((options.retention, options.retention_size), (None, 0));
    assert_eq!(options.wal_sync, WalSync::Interval(Duration::from_secs(1)));
    assert_eq!(options.write_receiver, WriteReceiver::Enabled);
    assert_eq!(options.lifecycle, Lifecycle::Disabled);
    assert_eq!(options.read_timeout, Duration::from_secs(300));
    assert_eq!(options.max_connections, 512);
    assert_eq!(options.cors_origin, ".*");
    assert_eq!(options.query_timeout, PromDuration::from_secs(120));
    assert_eq!(options.query_max_concurrency, 20);
    assert_eq!(options.query_max_samples, 50_000_000);
    assert_eq!(options.lookback_delta, PromDuration::from_secs(300));
    assert_eq!(
        (options.log_level, options.log_format),
        (LogLevel::Info, LogFormat::Logfmt)
    );
}

#[test]
fn reads_every_kind_of_flag() {
    let options = parse(
        "--config.file=p.yml --web.listen-address :1 --web.listen-address=[::1]:2 \
         --web.enable-lifecycle --storage.tsdb.retention.time 1h30m --storage.tsdb.retention.size=1GB --storage.wal-sync=always \
         --log.level=debug --log.format json --query.max-samples=5 \
         --query.max-memory-per-query=512MB --enable-feature=a,b --enable-feature=c",
    )
    .unwrap();
    assert_eq!(options.config_file, Some(PathBuf::from("p.yml")));
    assert_eq!(options.listen_addresses, [":1", "[::1]:2"]);
    assert_eq!(options.lifecycle, Lifecycle::Enabled);
    assert_eq!(options.retention, Some(PromDuration::from_secs(5400)));
    assert_eq!(options.retention_size, 1 << 30);
    assert_eq!(options.wal_sync, WalSync::Always);
    assert_eq!(
        (options.log_level, options.log_format),
        (LogLevel::Debug, LogFormat::Json)
    );
    assert_eq!(options.query_max_samples, 5);
    assert_eq!(options.query_max_memory, 512 << 20);
    assert_eq!(options.query_max_total_memory, 0);
    assert_eq!(options.query_result_cache, 64 << 20);
    let value = |name: &str| {
        options
            .flags
            .iter()
            .find(|flag| flag.name == name)
            .map(|flag| flag.value.as_str())
    };
    assert_eq!(value("web.listen-address"), Some(":1,[::1]:2"));
    assert_eq!(value("web.enable-lifecycle"), Some("true"));
    assert_eq!(value("web.enable-remote-write-receiver"), Some("false"));
    assert_eq!(value("query.timeout"), Some("2m"));
    assert_eq!(value("enable-feature"), Some("a,b,c"));
    assert_eq!(options.flags.len(), FLAGS.len());
    assert!(options.flags.is_sorted_by(|a, b| a.name < b.name));
}

#[test]
fn switches_have_a_negative_form_and_the_last_one_counts() {
    for (line, receiver) in [
        (
            "--no-web.enable-remote-write-receiver",
            WriteReceiver::Disabled,
        ),
        ("--config.file=x", WriteReceiver::Disabled),
        (
            "--config.file=x --web.enable-remote-write-receiver",
            WriteReceiver::Enabled,
        ),
        (
            "--web.enable-remote-write-receiver --no-web.enable-remote-write-receiver",
            WriteReceiver::Disabled,
        ),
        (
            "--no-web.enable-remote-write-receiver --web.enable-remote-write-receiver",
            WriteReceiver::Enabled,
        ),
    ] {
        assert_eq!(parse(line).unwrap().write_receiver, receiver, "{line}");
    }
}

#[test]
fn wrong_command_lines_end_with_two_and_a_hint() {
    check_refused("--web.listen-adress=:1", "--web.listen-address");
    check_refused("--nonsense", "unexpected argument '--nonsense'");
    check_refused("positional", "unexpected argument 'positional'");
    check_refused("--log.level=loud", "debug, info, warn, error");
    check_refused(
        "--query.timeout=soon",
        "not a valid duration string: \"soon\"",
    );
    check_refused("--query.max-samples=many", "invalid digit");
    check_refused("--query.max-total-memory=1", "missing unit");
    check_refused("--web.cors.origin=(", "missing closing )");
    check_refused(
        "--query.timeout=1m --query.timeout=2m",
        "cannot be used multiple times",
    );
    check_refused("--web.enable-lifecycle=true", "unexpected value 'true'");
}

#[test]
fn help_and_version_are_no_errors() {
    let help = parse("--help").unwrap_err();
    assert_eq!(help.code(), 0);
    for spec in FLAGS {
        assert!(
            help.text().contains(&format!("--{}", spec.name)),
            "{}",
            spec.name
        );
        assert!(help.text().contains(spec.section), "{}", spec.section);
    }
    assert!(help.text().contains("Examples:") && help.text().contains("[default: data/]"));
    assert!(!help.text().contains("--no-web"));
    let version = parse("--version").unwrap_err();
    assert_eq!(version.code(), 0);
    assert!(
        version.text().starts_with("firewatch "),
        "{}",
        version.text()
    );
}

/// The page about flags, as the table says it should be.
fn page() -> String {
    let mut page =
        "# Flags\n\nWhat `firewatch --help` says, as a page. Switches are turned off by \
                    `--no-<flag>`. Durations are written as `15d`, `1h30m`, `500ms`.\n"
            .to_owned();
    let mut section = "";
    for spec in FLAGS {
        if spec.section != section {
            section = spec.section;
            let _infallible = write!(
                page,
                "\n## {section}\n\n| flag | default | meaning |\n| --- | --- | --- |\n"
            );
        }
        let value = match spec.kind {
            FlagKind::Switch => String::new(),
            FlagKind::Choice(values) => format!("={}", values.join("\\|")),
            FlagKind::Value(placeholder) | FlagKind::Repeated(placeholder) => {
                format!("={placeholder}")
            }
        };
        let default = match (spec.kind, spec.default) {
            (FlagKind::Switch, _) => "off".to_owned(),
            (_, "") => "none".to_owned(),
            (_, default) => format!("`{default}`"),
        };
        let help = spec.help.replace('|', "\\|");
        let _infallible = writeln!(page, "| `--{}{value}` | {default} | {help} |", spec.name);
    }
    page
}

#[test]
fn the_page_about_flags_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/flags.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        written,
        page(),
        "run the test with UPDATE_DOCS=1 to write docs/flags.md again"
    );
}

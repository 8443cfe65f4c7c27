//! Tests of the whole: a target in the same process, loops, reloads.

use std::net::SocketAddr;

use base::SystemClock;
use model::{Matcher, TimeRange};
use storage::memory::MemoryStorage;
use storage::{Columns, Queryable as _, SelectHints};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

/// A target that answers every request with two series; each request is announced.
struct MockTarget {
    address: SocketAddr,
    requests: mpsc::Receiver<String>,
    _server: TaskGroup,
}

impl MockTarget {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let (announce, requests) = mpsc::channel(1000);
        let mut server = TaskGroup::new();
        server.spawn("mock target", async move {
            let mut connections = TaskGroup::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn("connection", answer(stream, announce.clone()));
            }
        });
        Self {
            address,
            requests,
            _server: server,
        }
    }

    /// Waits for `count` further requests. When one arrives, the scrape before it is stored.
    async fn scraped(&mut self, count: usize) -> String {
        while self.requests.try_recv().is_ok() {}
        let mut last = String::new();
        for _ in 0..count {
            last = self.requests.recv().await.unwrap_or_default();
        }
        last
    }
}

async fn answer(mut stream: TcpStream, announce: mpsc::Sender<String>) {
    let mut buffer = [0; 4096];
    while let Ok(length) = stream.read(&mut buffer).await {
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if length == 0 || announce.send(request).await.is_err() {
            return;
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 23\r\n\r\n# TYPE a gauge\na 1\nb 2\n";
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

struct Bench {
    target: MockTarget,
    storage: Arc<MemoryStorage>,
    registry: Registry,
    manager: Manager,
}

impl Bench {
    async fn start() -> Self {
        let storage = Arc::new(MemoryStorage::new());
        let parts = Parts {
            appender: Arc::<MemoryStorage>::clone(&storage),
            exemplars: Arc::<MemoryStorage>::clone(&storage),
            cpu: CpuPool::start("test", 1, 16).expect("a thread starts"),
            clock: Arc::new(SystemClock),
        };
        let options = ManagerOptions {
            version: "1.2.3".to_owned(),
            jitter_seed: 7,
            external: Some(ExternalAddress {
                scheme: "https".to_owned(),
                host: "example.org:443".to_owned(),
                listen_port: 1,
            }),
        };
        let registry = Registry::new();
        let manager = Manager::new(parts, options, &registry);
        Self {
            target: MockTarget::start().await,
            storage,
            registry,
            manager,
        }
    }

    /// Applies a configuration with one job on the mock target.
    fn apply(&self, settings: &str) {
        let text = format!(
            "global: {{scrape_interval: 150ms}}\nscrape_configs: [{{job_name: j{settings}, \
             static_configs: [{{targets: ['{}']}}]}}]",
            self.target.address
        );
        self.manager
            .apply_config(&Config::parse(&text).expect("the settings are valid"));
    }

    fn apply_nothing(&self) {
        self.manager
            .apply_config(&Config::parse("").expect("an empty text is valid"));
    }

    /// Values of all series of one name, oldest first.
    fn values(&self, name: &str) -> Vec<f64> {
        let querier = self
            .storage
            .querier(TimeRange::ALL)
            .expect("memory is ready");
        let matchers = [Matcher::equal("__name__", name)];
        let set = querier
            .select(&matchers, SelectHints::default())
            .expect("memory is ready");
        let mut columns = Columns::default();
        let mut values = Vec::new();
        for index in 0..set.len() {
            set.read(index, &mut columns).expect("memory is ready");
            values.append(&mut columns.values);
        }
        values
    }

    fn only_target(&self) -> ActiveTarget {
        let mut active = self.manager.targets().active;
        assert_eq!(active.len(), 1);
        active.remove(0)
    }

    /// Waits until the loops that were stopped have cleaned up.
    async fn join(&self) {
        let mut tasks = std::mem::take(&mut self.manager.running.lock().tasks);
        tasks.join().await;
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

#[tokio::test]
async fn targets_are_scraped_and_described() {
    let mut bench = Bench::start().await;
    let address = bench.target.address;
    bench.apply(", params: {x: [y]}");
    let before = bench.only_target();
    assert_eq!(
        (before.health, before.last_scrape),
        (TargetHealth::Unknown, None)
    );
    let request = bench.target.scraped(2).await.to_ascii_lowercase();
    let after = bench.only_target();
    assert_eq!(
        (after.health, after.last_error.as_str()),
        (TargetHealth::Up, "")
    );
    assert!(after.last_scrape.is_some() && after.last_scrape_seconds > 0.0);
    assert_eq!(after.scrape_pool, "j");
    assert_eq!(after.scrape_url, format!("http://{address}/metrics?x=y"));
    assert_eq!(
        after.global_url,
        format!("http://example.org:{}/metrics?x=y", address.port())
    );
    assert_eq!(
        after.labels.to_string(),
        format!(r#"{{instance="{address}", job="j"}}"#)
    );
    assert_eq!(after.discovered_labels.get("__param_x"), Some("y"));
    assert_eq!(after.scrape_interval, PromDuration::from_millis(150));
    assert_eq!(bench.values("a").first(), Some(&1.0));
    for header in [
        "get /metrics?x=y http/1.1\r\n",
        "user-agent: firewatch/1.2.3\r\n",
        "x-prometheus-scrape-timeout-seconds: 0.15\r\n",
        "accept-encoding: gzip\r\n",
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,",
    ] {
        assert!(request.contains(header), "{header} in {request}");
    }
    assert_eq!(bench.metric("prometheus_target_scrape_pools_total"), 1.0);
    assert_eq!(bench.metric("prometheus_target_scrape_pool_targets"), 1.0);
    bench.manager.shutdown().await;
}

#[tokio::test]
async fn unchanged_jobs_do_not_notice_a_reload() {
    let mut bench = Bench::start().await;
    bench.apply("");
    bench.target.scraped(2).await;
    bench.apply("");
    assert_eq!(
        bench.metric("prometheus_target_scrape_pool_reloads_total"),
        0.0
    );
    assert_eq!(
        bench.metric("prometheus_target_scrape_pool_sync_total"),
        1.0
    );
    bench.manager.shutdown().await;
}

#[tokio::test]
async fn changed_jobs_go_on_with_what_they_know() {
    let mut bench = Bench::start().await;
    bench.apply("");
    bench.target.scraped(2).await;
    bench.apply(", honor_timestamps: false");
    assert_eq!(bench.only_target().health, TargetHealth::Up);
    bench.target.scraped(3).await;
    bench.manager.shutdown().await;
    assert_eq!(
        bench.metric("prometheus_target_scrape_pool_reloads_total"),
        1.0
    );
    let added: f64 = bench.values("scrape_series_added").iter().sum();
    assert_eq!(added, 2.0, "both series were added once");
    assert!(!bench.values("a").iter().copied().any(model::is_stale_nan));
}

#[tokio::test]
async fn metadata_of_active_targets_is_told() {
    let mut bench = Bench::start().await;
    let told = |bench: &Bench, job: &str, family: Option<&str>| {
        let mut told = Vec::new();
        let matchers = [Matcher::equal("job", job)];
        let manager = &bench.manager;
        manager.visit_metadata(&matchers, family, &mut |labels, families| {
            let names = families.iter().map(|it| (*it.family).to_owned());
            told.push((labels.value_or_empty("job").to_owned(), names.collect()));
            ControlFlow::Continue(())
        });
        told
    };
    bench.apply("");
    bench.target.scraped(2).await;
    let of_a: Vec<(String, Vec<String>)> = vec![("j".to_owned(), vec!["a".to_owned()])];
    assert_eq!(told(&bench, "j", None), of_a);
    assert_eq!(told(&bench, "j", Some("a")), of_a);
    assert_eq!(told(&bench, "j", Some("b")), [("j".to_owned(), vec![])]);
    assert_eq!(told(&bench, "other", None), []);
    assert_eq!(
        bench.metric("prometheus_target_metadata_cache_entries"),
        1.0
    );
    assert_eq!(bench.metric("prometheus_target_metadata_cache_bytes"), 5.0);
    bench.apply(", honor_labels: true");
    assert_eq!(told(&bench, "j", None), of_a, "a reload forgets nothing");
    bench.apply_nothing();
    assert_eq!(told(&bench, "j", None), []);
    bench.manager.shutdown().await;
}

#[tokio::test]
async fn series_of_removed_jobs_become_stale() {
    let mut bench = Bench::start().await;
    bench.apply("");
    bench.target.scraped(2).await;
    bench.apply_nothing();
    assert!(bench.manager.targets().active.is_empty());
    bench.join().await;
    for name in ["a", "b", "up", "scrape_duration_seconds"] {
        let values = bench.values(name);
        assert!(
            values.last().copied().is_some_and(model::is_stale_nan),
            "{name} {values:?}"
        );
    }
    assert_eq!(bench.metric("prometheus_target_scrape_pool_targets"), 0.0);
}

#[tokio::test]
async fn nothing_becomes_stale_when_the_server_ends() {
    let mut bench = Bench::start().await;
    bench.apply("");
    bench.target.scraped(2).await;
    bench.manager.shutdown().await;
    let values = bench.values("a");
    assert!(!values.is_empty() && !values.iter().copied().any(model::is_stale_nan));
    bench.apply(", honor_labels: true");
    assert!(
        bench.manager.running.lock().tasks.is_empty(),
        "nothing starts after the end"
    );
}

#[tokio::test]
async fn too_many_targets_are_not_scraped() {
    let bench = Bench::start().await;
    let text = "global: {scrape_interval: 50ms}\nscrape_configs: [{job_name: j, target_limit: 1, \
                static_configs: [{targets: ['a:1', 'b:1', 'a:1', '']}]}]";
    bench.manager.apply_config(&Config::parse(text).unwrap());
    while bench.values("up").len() < 2 {
        tokio::task::yield_now().await;
    }
    bench.apply_nothing();
    bench.join().await;
    assert_eq!(bench.values("up")[0], 0.0);
    assert_eq!(
        bench.metric("prometheus_target_scrape_pool_exceeded_target_limit_total"),
        1.0
    );
}

#[test]
fn global_urls_replace_local_hosts() {
    let external = ExternalAddress {
        scheme: "https".to_owned(),
        host: "example.org:443".to_owned(),
        listen_port: 9090,
    };
    for (url, want) in [
        (
            "http://localhost:9090/metrics",
            "https://example.org:443/metrics",
        ),
        (
            "http://127.0.0.1:9100/m?a=b",
            "http://example.org:9100/m?a=b",
        ),
        ("http://[::1]:9090", "https://example.org:443"),
        ("http://db:9090/metrics", "http://db:9090/metrics"),
        ("http://localhost/metrics", "http://localhost/metrics"),
    ] {
        assert_eq!(global_url(url, Some(&external)), want);
        assert_eq!(global_url(url, None), url);
    }
}

//! What was built.

use api::BuildInfo;
use base::metrics::{FamilyKind, MetricFamily, MetricSample, Registry};

/// Our own version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of Prometheus whose behaviour is offered. Clients such as Grafana read it to choose
/// features.
const COMPATIBLE_VERSION: &str = "3.14.0";

/// What a build outside a checkout says.
const UNKNOWN: &str = "unknown";

pub(crate) fn build_info() -> BuildInfo {
    let known = |value: Option<&str>| value.unwrap_or(UNKNOWN).to_owned();
    BuildInfo {
        version: format!("{COMPATIBLE_VERSION}+firewatch.{VERSION}"),
        own_version: VERSION.to_owned(),
        revision: known(option_env!("FIREWATCH_REVISION")),
        branch: known(option_env!("FIREWATCH_BRANCH")),
        build_user: known(option_env!("FIREWATCH_BUILD_USER")),
        build_date: known(option_env!("FIREWATCH_BUILD_DATE")),
        compiler: format!("rust{}", env!("CARGO_PKG_RUST_VERSION")),
    }
}

/// Registers the metrics that say what was built, under upstream's name and under ours.
pub(crate) fn register(registry: &Registry, build: &BuildInfo) {
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let upstream = vec![
        text("branch", &build.branch),
        text("goarch", std::env::consts::ARCH),
        text("goos", std::env::consts::OS),
        text("goversion", &build.compiler),
        text("revision", &build.revision),
        text("tags", ""),
        text("version", &build.version),
    ];
    let ours = vec![
        text("revision", &build.revision),
        text("version", &build.own_version),
    ];
    let families = [
        ("prometheus_build_info", upstream),
        ("firewatch_build_info", ours),
    ];
    let families = families.map(|(name, labels)| MetricFamily {
        name: name.to_owned(),
        help: "A metric with a constant '1' value labeled by what this program was built from."
            .to_owned(),
        kind: FamilyKind::Gauge,
        samples: vec![MetricSample {
            name: name.to_owned(),
            labels,
            value: 1.0,
        }],
    });
    registry.collector(move || families.to_vec());
}

//! Random queries on random data: the engine as a library against Debian's Prometheus.

use testkit::differential::{Prometheus, run_prometheus};

#[test]
fn the_engine_answers_as_prometheus_does_but_for_known_changes() {
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start("prometheus", folder.path()).unwrap();
    let report = run_prometheus(&prometheus, 1_000, 1).unwrap();
    println!("{report}");
    assert!(report.differences.is_empty(), "{report}");
    assert!(report.same > 850, "{report}");
}

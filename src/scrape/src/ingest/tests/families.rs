//! What targets say of their families, scrape by scrape.

use super::*;

/// `name kind help unit` of every family, and what `get` finds of it.
fn families(bench: &Bench) -> Vec<String> {
    let cache = bench.state.families().lock();
    let all = cache.list();
    assert_eq!(all.len(), cache.len());
    let lines = all.iter().map(|it| {
        assert_eq!(cache.get(&it.family).as_ref(), Some(it));
        let line = [&it.family, it.kind.as_str(), &it.help, &it.unit];
        line.join(" ").trim_end().to_owned()
    });
    lines.collect()
}

#[track_caller]
fn check(scrapes: &[&str], want: &[&str]) {
    let mut bench = Bench::new("");
    for exposition in scrapes {
        bench.scrape(exposition);
    }
    assert_eq!(families(&bench), want, "{scrapes:?}");
}

#[test]
fn lines_about_families_are_kept() {
    check(
        &["# HELP b B \\n\\\\ \\\"q\\\";# TYPE b gauge;b 1;# TYPE a histogram;# comment;plain 1"],
        &["a histogram", "b gauge B \n\\ \\\"q\\\""],
    );
    check(
        &[
            "# TYPE a_seconds counter;# UNIT a_seconds seconds;# HELP a_seconds \\\"q\\\";a_seconds_total 1;# EOF",
        ],
        &["a_seconds counter \"q\" seconds"],
    );
    check(&["# HELP only help;a 1"], &["only unknown help"]);
    check(&["# TYPE m untyped;m 1"], &["m unknown"]);
    check(
        &["# HELP a x;# TYPE a gauge;a 1", "# TYPE a counter;a 1"],
        &["a counter x"],
    );
}

#[test]
fn families_go_ten_good_scrapes_after_their_last() {
    let mut bench = Bench::new("");
    bench.scrape("# TYPE a gauge;a 1");
    for _ in 0..10 {
        bench.scrape("b 1");
        bench.scrape("!");
        bench.scrape("");
        bench.scrape("b 1;oops");
    }
    assert_eq!(families(&bench), ["a gauge"], "failures do not count");
    bench.scrape("b 1");
    assert!(families(&bench).is_empty());
}

#[test]
fn failed_scrapes_add_no_more_than_so_many() {
    let mut bench = Bench::new("");
    for scrape in 0..40 {
        let lines: Vec<String> = (0..100)
            .map(|line| format!("# TYPE m{scrape}_{line} gauge"))
            .collect();
        let (report, _) = bench.scrape(&format!("{};oops", lines.join(";")));
        assert!(!report.up);
        let count = bench.state.families().lock().len();
        assert!(count <= 2200, "{count}");
    }
}

#[test]
fn texts_are_shared_and_forgotten() {
    let texts = Texts::default();
    let first = texts.share("help");
    assert!(Arc::ptr_eq(&first, &texts.share("help")));
    drop(first);
    for number in 0..5000 {
        texts.share(&number.to_string());
    }
    let kept = texts.share("help");
    for number in 0..5000 {
        texts.share(&number.to_string());
    }
    assert!(Arc::ptr_eq(&kept, &texts.share("help")));
    assert!(texts.len() < 2048, "{}", texts.len());
}

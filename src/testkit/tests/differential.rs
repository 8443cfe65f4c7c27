//! The engine against the slow evaluator: random queries on random data, everything from seeds.

use testkit::differential::run_reference;
use testkit::promqltest::MemoryScriptStorage;

#[test]
fn the_engine_answers_as_the_reference_does() {
    for seed in [1, 2] {
        let report = run_reference(2_000, seed, &mut MemoryScriptStorage::new());
        assert!(report.differences.is_empty(), "seed {seed}:\n{report}");
        // Otherwise the queries ask for nothing.
        assert!(report.same > 1_700, "seed {seed}:\n{report}");
        assert!(report.used_summaries > 20, "seed {seed}:\n{report}");
        assert_eq!(
            report.counts.rare_functions(1),
            Vec::<&str>::new(),
            "seed {seed}"
        );
    }
}

//! The runner on small scripts: what it accepts, what it must not let pass.

use model::{PromDuration, Timestamp};

use super::*;

fn parse_error(script: &str) -> String {
    let commands = Script::parse(script).commands;
    let errors: Vec<String> = commands
        .into_iter()
        .filter_map(Result::err)
        .map(|error| error.to_string())
        .collect();
    errors.join("; ")
}

#[test]
fn parses_every_command() {
    let text = "# comment\nclear\nload 1m30s\n  a 1 2\n\tb{c=\"d\"} 3x4\n# ends the block\n\n\
        LOAD_with_nhcb 5s\n x 1\n\neval instant at 1m sum(a) # not a comment\n  {} 1\n  expect no_warn\n\n\
        eval_ordered instant 1 + 1\n 2\n\n\
        eval range from -1m to 2m step 30s a\n  expect fail msg:  some text \n  expect fail regex: t+\n\n\
        eval_fail instant at 0 x\n  expected_fail_message m\n  expected_fail_regexp r.*\n";
    let script = Script::parse(text);
    let commands: Vec<Command> = script.commands.into_iter().map(Result::unwrap).collect();
    let [
        Command::Clear,
        Command::Load(load),
        Command::Load(nhcb),
        evals @ ..,
    ] = &commands[..]
    else {
        panic!("{commands:?}");
    };
    assert_eq!(
        (load.line, load.interval, load.with_native_histograms),
        (3, PromDuration::from_secs(90), false)
    );
    assert_eq!(
        load.series,
        [(4, "a 1 2".to_owned()), (5, "b{c=\"d\"} 3x4".to_owned())]
    );
    assert!(nhcb.with_native_histograms);
    let evals: Vec<&Eval> = evals
        .iter()
        .map(|command| match command {
            Command::Eval(eval) => eval,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(evals.len(), 4);
    assert_eq!(evals[0].line, 11);
    assert_eq!(evals[0].query, "sum(a) # not a comment");
    assert_eq!(
        evals[0].time,
        EvalTime::Instant(Timestamp::from_millis(60_000))
    );
    assert_eq!(
        evals[0].results,
        [ResultLine::Series(12, "{} 1".to_owned())]
    );
    assert!(evals[0].expectation.no_warn && !evals[0].expectation.no_info);
    assert_eq!(evals[1].results, [ResultLine::Scalar(2.0)]);
    assert!(evals[1].expectation.ordered);
    let range = EvalTime::Range {
        start: Timestamp::from_millis(-60_000),
        end: Timestamp::from_millis(120_000),
        step: PromDuration::from_secs(30),
    };
    assert_eq!(evals[2].time, range);
    let patterns = evals[2].expectation.fail.as_ref().unwrap();
    assert_eq!(patterns[0], TextPattern::Exact("some text".to_owned()));
    assert!(patterns[1].matches("a tt b") && !patterns[1].matches("ab"));
    assert_eq!(evals[3].expectation.fail.as_ref().map(Vec::len), Some(2));
}

#[test]
fn parses_expectations_of_texts_and_range_vectors() {
    let text = "eval instant at 5m \"x\"\n  expect string `a\"b`\n\n\
        eval instant at 5m x[2m]\n  expect range vector from 10s to 1m step 10s\n  x 1 2\n";
    let commands = Script::parse(text).commands;
    let [Ok(Command::Eval(string)), Ok(Command::Eval(range))] = &commands[..] else {
        panic!("{commands:?}");
    };
    assert_eq!(string.expectation.string.as_deref(), Some("a\"b"));
    let grid = (
        Timestamp::from_millis(10_000),
        Timestamp::from_millis(60_000),
        PromDuration::from_secs(10),
    );
    assert_eq!(range.expectation.range_vector, Some(grid));
}

#[test]
fn names_line_and_reason_of_what_is_wrong() {
    for (script, message) in [
        ("\nlaod 1m\n  x 1\n", "line 2: invalid command \"laod 1m\""),
        ("load_fast 1m\n", "line 1: invalid command \"load_fast\""),
        ("load\n x 1\n", "line 1: interval is missing"),
        (
            "load 1 m\n x 1\n",
            "line 1: invalid interval \"1 m\": not a valid duration string: \"1 m\"",
        ),
        ("eval\n", "line 1: want \"instant\", got \"\""),
        ("eval instant at 5m\n", "line 1: expression is missing"),
        (
            "eval instant at soon x\n",
            "line 1: invalid evaluation time \"soon\": not a valid duration string: \"soon\"",
        ),
        (
            "eval range from 1m till 2m x\n",
            "line 1: want \"to\", got \"till\"",
        ),
        (
            "eval range from 1m to 2m step 0 x\n",
            "line 1: invalid step \"0\": must be positive",
        ),
        (
            "eval range from 2m to 1m step 1s x\n",
            "line 1: invalid end of range \"60\": lies before its start",
        ),
        (
            "eval_maybe instant at 1m x\n",
            "line 1: invalid command \"eval_maybe\"",
        ),
        (
            "eval instant at 1m x\n  expect luck\n",
            "line 2: invalid expectation \"expect luck\"",
        ),
        (
            "eval instant at 1m x\n  expect fail because\n",
            "line 2: invalid expectation \"expect fail because\"",
        ),
        (
            "eval instant at 1m x\n  expect string unquoted\n",
            "line 2: invalid string literal unquoted",
        ),
        (
            "eval instant at 1m x\n  expect warn\n  expect no_warn\n",
            "line 1: expect warn cannot be combined with expect no_warn",
        ),
        ("clear\nclear\nwhat\n", "line 3: invalid command \"what\""),
    ] {
        assert_eq!(parse_error(script), message, "{script}");
    }
    assert!(
        parse_error("eval instant at 1m x\n  expect fail regex: (\n")
            .starts_with("line 2: invalid pattern \"(\": ")
    );
}

/// Runs a script on memory and returns its failures, one text each.
fn failures(script: &str) -> Vec<String> {
    let engine = promql::Engine::new(engine_options());
    let mut storage = MemoryScriptStorage::new();
    let report = run_script(script, &mut storage, &engine, RunOptions::RestartAfterLoad);
    assert!(report.total() > 0, "{script}");
    report.failures().map(ToString::to_string).collect()
}

const DATA: &str = "load 1m\n  a{n=\"1\"} 1 2 3\n  a{n=\"2\"} 5 _ 6\n  h{n=\"1\"} {{schema:0 count:1}}\n  \
    c@st _ -1s\n  c 1 2\n\n";

#[test]
fn passes_what_is_right() {
    let script = format!(
        "{DATA}eval instant at 2m a\n  a{{n=\"2\"}} 6\n  a{{n=\"1\"}} 3.000001\n\n\
         eval range from 0m to 2m step 1m a > 2\n  a{{n=\"1\"}} _ _ 3\n  a{{n=\"2\"}} 5x1 6\n\n\
         eval instant at 1m 1 + 1\n  2\n\n\
         eval instant at 1m \"x\"\n  expect string \"x\"\n\n\
         eval instant at 2m sort_desc(a)\n  expect ordered\n  a{{n=\"2\"}} 6\n  a{{n=\"1\"}} 3\n\n\
         eval instant at 2m sum(a, a)\n  expect fail\n\n\
         eval instant at 2m nothing\n\n\
         eval instant at 0m h\n  h{{n=\"1\"}} {{{{schema:0 count:1}}}}\n\n\
         eval range from 0 to 1m step 1m {{__name__=~\"h|c\"}}\n  h{{n=\"1\"}} {{{{count:1}}}}x1\n  c 1 2\n"
    );
    assert_eq!(failures(&script), Vec::<String>::new());
}

#[test]
fn fails_what_is_wrong() {
    for (case, reason) in [
        (
            "at 2m a\n  a{n=\"1\"} 3\n",
            "unexpected or repeated series {__name__=\"a\", n=\"2\"}",
        ),
        (
            "at 2m a\n  a{n=\"1\"} 3\n  a{n=\"2\"} 6\n  a{n=\"3\"} 6\n",
            "series {__name__=\"a\", n=\"3\"} is missing",
        ),
        (
            "at 2m a{n=\"1\"}\n  a{n=\"1\"} 3.0001\n",
            "{__name__=\"a\", n=\"1\"} has a different value",
        ),
        (
            "at 2m a{n=\"1\"}\n  a{n=\"1\"} 3 4\n",
            "line 9 needs exactly one value",
        ),
        (
            "at 2m sort(a)\n  expect ordered\n  a{n=\"2\"} 6\n  a{n=\"1\"} 3\n",
            "is number 1, not 2",
        ),
        (
            "at 2m a{n=\"1\"}\n  3\n",
            "did not expect an instant vector",
        ),
        ("at 2m 3\n  {} 3\n", "did not expect a scalar"),
        ("at 2m 3\n  4\n", "different value"),
        ("at 2m \"x\"\n  expect string \"y\"\n", "different text"),
        (
            "at 2m a{n=\"1\"}\n  expect fail\n",
            "query should have failed",
        ),
        ("at 2m sum(a, a)\n", "query failed: "),
        (
            "at 2m sum(a, a)\n  expect fail msg: other\n",
            "want error \"other\"",
        ),
        (
            "at 2m a{n=\"1\"}\n  expect warn\n  a{n=\"1\"} 3\n",
            "want some warning",
        ),
        (
            "at 2m quantile(2, a)\n  expect no_warn\n  {} +Inf\n",
            "did not expect any warning",
        ),
        (
            "at 2m quantile(2, a)\n  expect warn msg: x\n  {} +Inf\n",
            "warning: want \"x\"",
        ),
        ("at 2m a{n=\"1\"}\n  a{n=\"1\"} 1 2 x\n", "line 9: "),
        (
            "at 0m h\n  h{n=\"1\"} {{schema:0 count:2}}\n",
            "{__name__=\"h\", n=\"1\"} has a different value",
        ),
        (
            "at 0m h\n  h{n=\"1\"} 1\n",
            "{__name__=\"h\", n=\"1\"} has a different value",
        ),
        (
            "at 2m a{n=\"1\"}\n  a{n=\"1\"} {{count:1}}\n",
            "{__name__=\"a\", n=\"1\"} has a different value",
        ),
    ] {
        let failed = failures(&format!("{DATA}eval instant {case}"));
        assert_eq!(failed.len(), 1, "{case}");
        assert!(failed[0].contains(reason), "{case}\n{}", failed[0]);
    }
}

#[test]
fn fails_ranges_whose_points_differ() {
    for (lines, reason) in [
        (
            "  a{n=\"1\"} 1 2 3\n  a{n=\"2\"} 5 5 7\n",
            "has different points",
        ),
        (
            "  a{n=\"1\"} 1 2 3\n  a{n=\"2\"} 5 _ 6\n",
            "has different points",
        ),
        ("  a{n=\"1\"} 1 2 3\n", "unexpected or repeated series"),
        (
            "  a{n=\"1\"} 1 2 3\n  a{n=\"2\"} 5 5 6\n  b 1\n",
            "is missing",
        ),
        ("  3\n", "a bare number must stand alone"),
    ] {
        let failed = failures(&format!(
            "{DATA}eval range from 0m to 2m step 1m a\n{lines}"
        ));
        assert_eq!(failed.len(), 1, "{lines}");
        assert!(failed[0].contains(reason), "{lines}\n{}", failed[0]);
    }
}

#[test]
fn the_last_line_of_a_series_counts() {
    let script = "load 1m\n  a 1 2\n  b 1\n  a 3\n\neval instant at 1m a\n  a 3\n";
    assert_eq!(failures(script), Vec::<String>::new());
}

#[test]
fn a_failed_load_fails_every_case_up_to_the_next_clear() {
    let script = "load 1m\n  a 1 2\n\nload 1m\n  a _ 3\n\neval instant at 1m a\n  a 2\n\n\
        eval instant at 1m 1\n  1\n\nclear\neval instant at 1m 1\n  1\n\nunknown\n";
    let failed = failures(script);
    assert_eq!(failed.len(), 3);
    assert!(
        failed[0].contains("load in line 4 failed: duplicate sample for timestamp"),
        "{}",
        failed[0]
    );
    assert!(
        failed[2].contains("script: invalid command \"unknown\""),
        "{}",
        failed[2]
    );
}

#[test]
fn our_own_scripts_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../compat-tests/promql");
    let engine = promql::Engine::new(engine_options());
    let mut storage = MemoryScriptStorage::new();
    let mut passed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let report = run_script(&text, &mut storage, &engine, RunOptions::Plain);
        if let Some(case) = report.failures().next() {
            panic!("{}: {case}", path.display());
        }
        passed += report.passed();
    }
    assert!(passed > 500, "{passed}");
}

/// A small generator, so that every run sees the same scripts.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[test]
fn damaged_scripts_give_errors_with_their_line() {
    let pieces = [
        "load 1m",
        "eval instant at 1m",
        "eval range from 0s to 1m step 1s",
        "clear",
        "expect",
        "fail",
        "msg:",
        "regex: (",
        "string \"",
        "range vector from",
        "a{b=\"c\"}",
        "@st",
        "{{",
        "1 2x3 _ stale",
        "\n",
        "\n\n",
        " ",
        "#",
        "é",
        "\"",
        "{",
        "}",
        "-",
        "99999999999999999999y",
        "1h30m",
        "\t",
    ];
    let mut random = Random(7);
    let engine = promql::Engine::new(engine_options());
    let mut storage = MemoryScriptStorage::new();
    for _ in 0..2_000 {
        let length = random.below(30);
        let text: Vec<&str> = (0..length)
            .map(|_| pieces[random.below(pieces.len())])
            .collect();
        let text = text.join(if random.below(2) == 0 { " " } else { "" });
        let lines = text.lines().count();
        for error in Script::parse(&text)
            .commands
            .into_iter()
            .filter_map(Result::err)
        {
            assert!((1..=lines).contains(&error.line), "{text:?}: {error}");
        }
        let report = run_script(&text, &mut storage, &engine, RunOptions::Plain);
        assert!(
            report
                .cases
                .iter()
                .all(|case| (1..=lines).contains(&case.line)),
            "{text:?}"
        );
    }
}

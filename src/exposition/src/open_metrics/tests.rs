//! Tests of the OpenMetrics parser: lines, errors, guesses, whole expositions, arbitrary bytes.

use proptest::prelude::*;

use super::*;
use crate::{parse_exemplar_labels, parse_series};

/// Renders what the parser yields, one line per entry.
fn render(input: &[u8]) -> Vec<String> {
    OpenMetricsParser::new(input)
        .map(|entry| match entry {
            Ok(Entry::Help { name, text }) => format!("help {name} [{text}]"),
            Ok(Entry::Type { name, kind }) => format!("type {name} {}", kind.as_str()),
            Ok(Entry::Unit { name, unit }) => format!("unit {name} [{unit}]"),
            Ok(Entry::Comment(_)) => "comment".to_owned(),
            Ok(Entry::Series(line)) => {
                let at = line
                    .timestamp_ms
                    .map(|at| format!(" @{at}"))
                    .unwrap_or_default();
                let exemplar = line.exemplar.map(|exemplar| {
                    let labels = parse_exemplar_labels(exemplar.raw).unwrap();
                    let at = exemplar.timestamp_ms.map(|at| format!(" @{at}"));
                    format!(" # {labels} {}{}", exemplar.value, at.unwrap_or_default())
                });
                let exemplar = exemplar.unwrap_or_default();
                match parse_series(line.raw, line.kind) {
                    Ok(labels) => format!("{labels} {}{at}{exemplar}", line.value),
                    Err(error) => format!("labels: {error}"),
                }
            }
            Err(error) => format!("error: {error}"),
        })
        .collect()
}

#[track_caller]
fn check(input: &str, want: &[&str]) {
    assert_eq!(render(input.as_bytes()), want, "{input:?}");
}

#[test]
fn reads_metadata() {
    check("# EOF", &[]);
    check("# EOF\n", &[]);
    check(
        "# HELP a b  c\n# HELP d \n# EOF",
        &["help a [b  c]", "help d []"],
    );
    check(
        "# TYPE a stateset\n# TYPE \"b.c\" info\n# EOF",
        &["type a stateset", "type b.c info"],
    );
    check(
        "# UNIT a_bytes bytes\n# UNIT a \n# EOF",
        &["unit a_bytes [bytes]", "unit a []"],
    );
}

#[test]
fn reads_series() {
    check(
        "a 1\nb{c=\"d\",} 2 1.5\n# EOF",
        &[r#"{__name__="a"} 1"#, r#"{__name__="b", c="d"} 2 @1500"#],
    );
    check(
        "{\"a.b\",c=\"d\"} 2 -0.0015\n# EOF",
        &[r#"{__name__="a.b", c="d"} 2 @-1"#],
    );
    check(
        "# TYPE a histogram\na_bucket{le=\"5\"} 2\n# EOF",
        &["type a histogram", r#"{__name__="a_bucket", le="5.0"} 2"#],
    );
}

#[test]
fn reads_exemplars() {
    check(
        "a 1 # {} 5\na{b=\"c\"} 2 3 # {x=\"y\\n\",\"z\"=\"w\"} 0.5 1e9\n# EOF",
        &[
            r#"{__name__="a"} 1 # {} 5"#,
            r#"{__name__="a", b="c"} 2 @3000 # {x="y\n", z="w"} 0.5 @1000000000000"#,
        ],
    );
}

/// Input and the error it gives.
const ERRORS: &[(&str, &str)] = &[
    ("", "data does not end with # EOF"),
    ("# EOF\na 1", "unexpected data after # EOF"),
    (
        "\n# EOF",
        r##"expected a valid start token, got "\n" ("INVALID") while parsing: "\n""##,
    ),
    (
        "# a\n# EOF",
        r##"expected a valid start token, got "#" ("INVALID") while parsing: "#""##,
    ),
    (
        "# TYPE a untyped\n# EOF",
        r##"invalid metric type "untyped""##,
    ),
    ("# TYPE a\n# EOF", "expected text in TYPE, got INVALID"),
    (
        "# UNIT 1 s\n# EOF",
        r##"expected metric name after UNIT, got "1" ("INVALID") while parsing: "# UNIT 1""##,
    ),
    (
        "# UNIT a_s m\n# EOF",
        r##"unit "m" not a suffix of metric "a_s""##,
    ),
    (
        "# UNIT abs s\n# EOF",
        r##"unit "s" not a suffix of metric "abs""##,
    ),
    ("a 1", "data does not end with # EOF"),
    (
        "a  1\n# EOF",
        r##"expected value after metric, got " " ("INVALID") while parsing: "a ""##,
    ),
    (
        "a\t1\n# EOF",
        r##"expected value after metric, got "\t" ("INVALID") while parsing: "a\t""##,
    ),
    (
        "a 1 \n# EOF",
        r##"expected timestamp or new record, got " " ("INVALID") while parsing: "a 1 ""##,
    ),
    (
        "a 1 2 3\n# EOF",
        r##"expected timestamp or new record, got "3\n" ("TIMESTAMP") while parsing: "a 1 2 3\n""##,
    ),
    (
        "a 1 x\n# EOF",
        r##"strconv.ParseFloat: parsing "x": invalid syntax while parsing: "a 1 x""##,
    ),
    ("a 1 NaN\n# EOF", r##"invalid timestamp "NaN""##),
    ("a 1 1e300\n# EOF", r##"invalid timestamp "1e300""##),
    (
        "a{b=\"c\" ,d=\"e\"} 1\n# EOF",
        r##"expected comma or brace close, got " " ("INVALID") while parsing: "a{b=\"c\" ""##,
    ),
    (
        "a{ b=\"c\"} 1\n# EOF",
        r##"expected label name, got " " ("INVALID") while parsing: "a{ ""##,
    ),
    (
        "a 1 # {\"x\"} 1\n# EOF",
        r##"metric name already set while parsing: "a 1 # {\"x\"}""##,
    ),
    (
        "a 1 # {x=\"y\"}\n# EOF",
        r##"expected value after exemplar labels, got "\n" ("INVALID") while parsing: "a 1 # {x=\"y\"}\n""##,
    ),
    (
        "a 1 # {} 1 # {} 2\n# EOF",
        r##"expected timestamp or comment, got " # {}" ("COMMENT") while parsing: "a 1 # {} 1 # {}""##,
    ),
];

#[test]
fn refuses_what_is_not_exactly_right() {
    for (input, error) in ERRORS {
        let rendered = render(input.as_bytes());
        assert_eq!(
            rendered.last(),
            Some(&format!("error: {error}")),
            "{input:?}"
        );
    }
}

#[test]
fn whole_expositions_parse() {
    let Some(folder) = std::env::var_os("CONFORMANCE_DIR") else {
        return;
    };
    let mut files = 0;
    for file in std::fs::read_dir(std::path::Path::new(&folder).join("exposition")).unwrap() {
        let path = file.unwrap().path();
        if !path.to_string_lossy().ends_with(".om.txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let rendered = render(text.as_bytes());
        let bad = |line: &&String| line.starts_with("error") || line.starts_with("labels");
        assert_eq!(rendered.iter().find(bad), None, "{}", path.display());
        let series = rendered.iter().filter(|line| line.starts_with('{')).count();
        let want = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(series, want, "{}", path.display());
        files += 1;
    }
    assert!(files >= 2, "expositions were found");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_guesses_change_nothing(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("a{b=\"c\"} 1\n".to_owned()), Just("a 1 2.5\n".to_owned()),
                Just("{\"x\"} 3 # {y=\"z\"} 4 5\n".to_owned()), Just("# EOF".to_owned()),
                Just("# TYPE a gauge\n".to_owned()), "[a{}\",=# \n1\\\\]{0,6}", "\\PC{0,3}",
            ],
            0..8,
        ),
        skew in 0_usize..3,
    ) {
        let input = pieces.concat();
        let plain: Vec<_> = OpenMetricsParser::new(input.as_bytes()).collect();
        let known: Vec<&[u8]> = plain
            .iter()
            .filter_map(|entry| match entry {
                Ok(Entry::Series(line)) => Some(line.raw),
                _ => None,
            })
            .collect();
        let mut guesses = known.iter().copied().cycle().skip(skew);
        let mut parser = OpenMetricsParser::new(input.as_bytes());
        let mut guessed = Vec::new();
        while let Some(entry) = parser.next_expecting(guesses.next().unwrap_or_default()) {
            guessed.push(entry);
        }
        prop_assert_eq!(plain, guessed);
    }
}

//! Tests of the text parser: lines, errors, guesses, whole expositions, arbitrary bytes.

use proptest::prelude::*;

use super::*;
use crate::{TextWriter, parse_series};

/// Renders what the parser yields, one line per entry.
fn render(input: &[u8]) -> Vec<String> {
    TextParser::new(input)
        .map(|entry| match entry {
            Ok(Entry::Help { name, text }) => format!("help {name} [{text}]"),
            Ok(Entry::Type { name, kind }) => format!("type {name} {}", kind.as_str()),
            Ok(Entry::Unit { name, unit }) => format!("unit {name} {unit}"),
            Ok(Entry::Comment(text)) => format!("comment {}", String::from_utf8_lossy(text)),
            Ok(Entry::Series(line)) => {
                let at = line
                    .timestamp_ms
                    .map(|at| format!(" @{at}"))
                    .unwrap_or_default();
                match parse_series(line.raw, line.kind) {
                    Ok(labels) => format!("{labels} {}{at}", line.value),
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
fn reads_metadata_and_comments() {
    check("# HELP a_b  two  blanks \n", &["help a_b [ two  blanks ]"]);
    check("#\tHELP\ta_b\ttext", &["help a_b [text]"]);
    check("# HELP a_b\n# HELP c   \n", &["help a_b []", "help c []"]);
    check(
        r#"# HELP "my.metric" with "quotes" \n"#,
        &[r#"help my.metric [with "quotes" \n]"#],
    );
    check(
        "# TYPE a untyped\n# TYPE b summary",
        &["type a unknown", "type b summary"],
    );
    check(
        "#HELP a x\n#\n# \n# HELPa b",
        &[
            "comment #HELP a x",
            "comment #",
            "comment # ",
            "comment # HELPa b",
        ],
    );
    check("\n\n  \n\t\n", &[]);
    check("", &[]);
}

#[test]
fn reads_series() {
    check("up 1", &[r#"{__name__="up"} 1"#]);
    check(
        "  up\t-0.5   1700000000123 \n\n",
        &[r#"{__name__="up"} -0.5 @1700000000123"#],
    );
    check("a:b{} 2\n", &[r#"{__name__="a:b"} 2"#]);
    check(
        "a { x = \"1\" , y=\"\" , } 3",
        &[r#"{__name__="a", x="1"} 3"#],
    );
    check("a{x=\"1\"}4", &[r#"{__name__="a", x="1"} 4"#]);
    check("a-5", &[r#"{__name__="a"} -5"#]);
    check(
        r#"a{x="q\"b\\n\n\t"} 5"#,
        &[r#"{__name__="a", x="q\"b\\n\n\\t"} 5"#],
    );
    check(
        "a{x=\"two\nlines\"} 6",
        &[r#"{__name__="a", x="two\nlines"} 6"#],
    );
    check("a{x=\"nul \0\"} 7", &[r#"{__name__="a", x="nul \x00"} 7"#]);
    check("a{x=\"läßt\"} Inf", &[r#"{__name__="a", x="läßt"} inf"#]);
}

#[test]
fn reads_quoted_names() {
    check(r#"{"my.metric"} 1"#, &[r#"{__name__="my.metric"} 1"#]);
    check(
        r#"{"my.metric","a.b"="c",d="e"} 1"#,
        &[r#"{__name__="my.metric", "a.b"="c", d="e"} 1"#],
    );
    check(
        r#"{a="b","my.metric",} 1"#,
        &[r#"{__name__="my.metric", a="b"} 1"#],
    );
    check(
        r#"m{"a \"b\""="c"} 1"#,
        &[r#"{__name__="m", "a \"b\""="c"} 1"#],
    );
}

#[test]
fn bounds_are_normalised_under_their_kind() {
    let input = "h{le=\"1\"} 1\n# TYPE h histogram\nh{le=\"1\"} 2\n# TYPE s summary\n\
                 s{quantile=\"0\",le=\"1\"} 3\n";
    check(
        input,
        &[
            r#"{__name__="h", le="1"} 1"#,
            "type h histogram",
            r#"{__name__="h", le="1.0"} 2"#,
            "type s summary",
            r#"{__name__="s", le="1", quantile="0.0"} 3"#,
        ],
    );
}

/// Input and the error it gives.
const ERRORS: &[(&str, &str)] = &[
    (
        "up",
        r##"expected value after metric, got "\n" ("INVALID") while parsing: "up\n""##,
    ),
    (
        "up{",
        r##"expected label name, got "\n" ("INVALID") while parsing: "up{\n""##,
    ),
    (
        "up{a",
        r##"expected equal, got "\n" ("INVALID") while parsing: "up{a\n""##,
    ),
    (
        "up{a=b} 1",
        r##"expected label value, got "b" ("INVALID") while parsing: "up{a=b""##,
    ),
    (
        "up{a=\"b",
        r##"expected label value, got "\"b\n" ("INVALID") while parsing: "up{a=\"b\n""##,
    ),
    (
        "up{a=\"b\\",
        r##"expected label value, got "\"b\\\n" ("INVALID") while parsing: "up{a=\"b\\\n""##,
    ),
    (
        "up{=\"b\"} 1",
        r##"expected label name, got "=\"" ("EQUAL") while parsing: "up{=\"""##,
    ),
    (
        "up{a=\"1\" 1",
        r##"expected label name, got "1" ("INVALID") while parsing: "up{a=\"1\" 1""##,
    ),
    (
        "up{a:b=\"1\"} 1",
        r##"expected equal, got ":" ("INVALID") while parsing: "up{a:""##,
    ),
    (
        "up on",
        r##"strconv.ParseFloat: parsing "on": invalid syntax while parsing: "up on""##,
    ),
    (
        "up 1_0",
        r##"unsupported character in float while parsing: "up 1_0""##,
    ),
    (
        "up 1 2x",
        r##"expected next entry after timestamp, got "x" ("INVALID") while parsing: "up 1 2x""##,
    ),
    (
        "up 1 -2",
        r##"expected timestamp or new record, got "-" ("INVALID") while parsing: "up 1 -""##,
    ),
    (
        "up 1\r\n",
        r##"strconv.ParseFloat: parsing "1\r": invalid syntax while parsing: "up 1\r""##,
    ),
    (
        "up 1 99999999999999999999",
        r##"strconv.ParseInt: parsing "99999999999999999999": value out of range while parsing: "up 1 99999999999999999999""##,
    ),
    (
        "9up 1",
        r##"expected a valid start token, got "9" ("INVALID") while parsing: "9""##,
    ),
    (
        "\0",
        r##"expected a valid start token, got "\x00" ("INVALID") while parsing: "\x00""##,
    ),
    (
        r##"{a="b"} 1"##,
        r##"metric name not set while parsing: "{a=\"b\"} 1""##,
    ),
    (
        r##"x{"y",a="b"} 1"##,
        r##"metric name already set while parsing: "x{\"y\",""##,
    ),
    ("# TYPE a numbers", r##"invalid metric type "numbers""##),
    ("# TYPE a  gauge", r##"invalid metric type " gauge""##),
    (
        "# TYPE 1 gauge",
        r##"expected metric name after TYPE, got "1" ("INVALID") while parsing: "# TYPE 1""##,
    ),
    (
        "# HELP \n",
        r##"expected metric name after HELP, got "\n" ("INVALID") while parsing: "# HELP \n""##,
    ),
];

#[test]
fn refuses_in_upstreams_words() {
    for (input, error) in ERRORS {
        check(input, &[&format!("error: {error}")]);
    }
    let not_utf8 = |input: &[u8]| render(input).concat();
    assert_eq!(
        not_utf8(b"a{b=\"\xff\"} 1"),
        r#"error: invalid UTF-8 label value: "\"\xff\"""#
    );
    assert_eq!(
        not_utf8(b"{\"a\xfe\"} 1"),
        r#"error: invalid UTF-8 name: "a\xfe""#
    );
    assert_eq!(
        not_utf8(b"# HELP a \xff"),
        r#"error: help text "\xff" is not a valid utf8 string"#
    );
}

#[test]
fn nothing_follows_an_error() {
    let want = [r#"{__name__="a"} 1"#, r#"error: invalid metric type "x""#];
    check("a 1\n# TYPE b x\nc 2\n", &want);
}

#[test]
fn repeated_labels_are_found_when_labels_are_read() {
    check(
        r#"a{b="1",b="2"} 1"#,
        &[r#"labels: duplicate label name "b""#],
    );
    check(
        r#"a{__name__="b"} 1"#,
        &[r#"labels: duplicate label name "__name__""#],
    );
    check(r#"a{""="b"} 1"#, &["labels: label name is empty"]);
}

#[test]
fn guesses_never_change_the_result() {
    let lines = [
        "a 1",
        "a{b=\"c\"} 1",
        "a {b=\"c\"} 1",
        "ab 1",
        "a-1",
        "a\t{} 2",
        "a{b=\"c\"}3",
        "a{b=\"c\"}{} 3",
        "  a 4",
        "# a",
        "a",
        "a{b=\"c\"",
        "{\"a\"} 1",
    ];
    let guesses: [&[u8]; 6] = [b"", b"a", b"a{b=\"c\"}", b"ab", b"a {b=\"c\"}", b"{\"a\"}"];
    for line in lines {
        for guess in guesses {
            let plain = TextParser::new(line.as_bytes()).next();
            let guessed = TextParser::new(line.as_bytes()).next_expecting(guess);
            assert_eq!(plain, guessed, "{line:?} {guess:?}");
        }
    }
}

/// Counts lines of a real exposition in a second, much simpler way.
fn series_lines(text: &str) -> usize {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .count()
}

#[test]
fn whole_expositions_parse() {
    let Some(folder) = std::env::var_os("CONFORMANCE_DIR") else {
        return;
    };
    let mut files = 0;
    for file in std::fs::read_dir(std::path::Path::new(&folder).join("exposition")).unwrap() {
        let path = file.unwrap().path();
        if !path.to_string_lossy().ends_with(".prom.txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let rendered = render(text.as_bytes());
        let bad = rendered
            .iter()
            .find(|line| line.starts_with("error") || line.starts_with("labels"));
        assert_eq!(bad, None, "{}", path.display());
        let series = rendered.iter().filter(|line| line.starts_with('{')).count();
        assert_eq!(series, series_lines(&text), "{}", path.display());
        files += 1;
    }
    assert!(files >= 2, "expositions were found");
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,8}", "\\PC{1,8}"]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        input in proptest::collection::vec(
            prop_oneof![
                Just(b'"'), Just(b'\\'), Just(b'{'), Just(b'}'), Just(b','), Just(b'='), Just(b' '),
                Just(b'\n'), Just(b'#'), Just(b'a'), Just(b'1'), any::<u8>(),
            ],
            0..60,
        ),
        skew in 0_usize..3,
    ) {
        let plain: Vec<_> = TextParser::new(&input).collect();
        let known: Vec<&[u8]> = plain
            .iter()
            .filter_map(|entry| match entry {
                Ok(Entry::Series(line)) => Some(line.raw),
                _ => None,
            })
            .collect();
        let mut guesses = known.iter().copied().cycle().skip(skew);
        let mut parser = TextParser::new(&input);
        let mut guessed = Vec::new();
        while let Some(entry) = parser.next_expecting(guesses.next().unwrap_or_default()) {
            guessed.push(entry);
        }
        prop_assert_eq!(plain, guessed);
        let _either = parse_series(&input, MetricKind::Histogram);
    }

    #[test]
    fn written_samples_read_back(
        name in any_name(),
        help in "\\PC{0,12}[\\\\\"\n]?",
        labels in proptest::collection::btree_map(any_name(), "[\\PC\n\\\\\"]{1,8}", 0..4),
        value in any::<f64>(),
        timestamp_ms in 0_i64..,
    ) {
        let pairs = || labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
        prop_assume!(!labels.contains_key("__name__"));
        let mut writer = TextWriter::new();
        writer.family(&name, &help, MetricKind::Gauge);
        writer.sample_at(&name, pairs(), value, timestamp_ms);
        let text = writer.finish();
        let entries: Result<Vec<_>, _> = TextParser::new(text.as_bytes()).collect();
        let Ok([.., Entry::Type { kind: MetricKind::Gauge, .. }, Entry::Series(line)]) =
            entries.as_deref()
        else {
            return Err(TestCaseError::fail(format!("{text:?}: {entries:?}")));
        };
        let want = model::Labels::from_pairs(pairs().chain([("__name__", name.as_str())])).unwrap();
        prop_assert_eq!(parse_series(line.raw, line.kind), Ok(want));
        prop_assert_eq!(line.timestamp_ms, Some(timestamp_ms));
        prop_assert!(line.value == value || (line.value.is_nan() && value.is_nan()));
        let read_help = entries.iter().flatten().find_map(|entry| match entry {
            Entry::Help { text, .. } => Some(crate::entry::unescape_help(text).into_owned()),
            _ => None,
        });
        let read_help = read_help.unwrap_or_default();
        prop_assert_eq!(read_help.trim_end(), help.trim_end());
    }
}

//! Runs the table of expressions in `data/dialect.txt`, whose results are Go's, and checks the
//! errors that need longer expressions than a table can hold.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use re2::{Error, ErrorKind, Regex};

const TABLE: &str = include_str!("data/dialect.txt");

fn compile(kind: &str, pattern: &str) -> Option<Result<Regex, Error>> {
    match kind {
        "pattern" => Some(Regex::new(pattern)),
        "anchored" => Some(Regex::new_anchored(pattern)),
        "relabel" => Some(Regex::new_enclosed("^(?s:", pattern, ")$")),
        _ => None,
    }
}

/// Reads a quoted text from the start of `line`; returns it with what follows.
fn quoted(line: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = line.strip_prefix('"').unwrap().chars();
    loop {
        match chars.next().unwrap() {
            '"' => return (text, chars.as_str().trim_start()),
            '\\' => text.push(match chars.next().unwrap() {
                'n' => '\n',
                't' => '\t',
                'u' => {
                    let rest = chars.as_str().strip_prefix('{').unwrap();
                    let (code, behind) = rest.split_once('}').unwrap();
                    chars = behind.chars();
                    char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap()
                }
                c => c,
            }),
            c => text.push(c),
        }
    }
}

fn spans(regex: &Regex, haystack: &str) -> String {
    let Some(captures) = regex.captures(haystack) else {
        return " no".to_owned();
    };
    let mut text = String::new();
    for group in 0..regex.group_count() {
        match captures.span(group) {
            Some(span) => write!(text, " {}-{}", span.start, span.end).unwrap(),
            None => text.push_str(" -"),
        }
    }
    text
}

/// Checks one line below an expression; returns what is wrong with it.
fn check(compiled: &Result<Regex, Error>, line: &str) -> Option<String> {
    let regex = match (line.strip_prefix("error "), compiled) {
        (Some(want), Err(error)) => {
            let want = format!("error parsing regexp: {want}");
            let got = error.to_string();
            return (got != want).then_some(got);
        }
        (Some(_), Ok(_)) => return Some("accepted".to_owned()),
        (None, Err(error)) => return Some(error.to_string()),
        (None, Ok(regex)) => regex,
    };
    if let Some(arguments) = line.strip_prefix("replace ") {
        let (haystack, rest) = quoted(arguments);
        let (template, rest) = quoted(rest);
        let (want, _) = quoted(rest.strip_prefix("-> ").unwrap());
        let got = regex.replace_all(&haystack, &template);
        return (got != want).then_some(got);
    }
    let (haystack, rest) = quoted(line);
    let want = rest.strip_prefix("->").unwrap();
    let got = spans(regex, &haystack);
    if got != want {
        return Some(got);
    }
    (regex.is_match(&haystack) == (want == " no")).then(|| "is_match disagrees".to_owned())
}

#[test]
fn table_agrees_with_go() {
    let mut compiled = None;
    let mut expression = "";
    let mut expressions = 0;
    let mut failures = Vec::new();
    for line in TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
    {
        if let Some(result) = line.strip_prefix("  ") {
            let failure = check(compiled.as_ref().unwrap(), result);
            failures.extend(failure.map(|got| format!("{expression}\n{line}\n  got {got}")));
        } else {
            let (kind, pattern) = line.split_once(' ').unwrap();
            compiled = compile(kind, pattern);
            expression = line;
            expressions += 1;
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(
        expressions >= 60,
        "only {expressions} expressions were read"
    );
}

#[track_caller]
fn check_kind(pattern: &str, want: Option<ErrorKind>) {
    let got = Regex::new(pattern).err();
    assert_eq!(got.as_ref().map(Error::kind), want);
    if let Some(error) = got {
        assert_eq!(error.expression(), pattern);
    }
}

#[test]
fn height_limit_is_a_thousand_levels() {
    let groups = |count| "(".repeat(count) + "a" + &")".repeat(count);
    check_kind(&groups(999), None);
    check_kind(&groups(1000), Some(ErrorKind::NestingDepth));
    check_kind(&groups(100_000), Some(ErrorKind::NestingDepth));
    let stars = |count| "(?:".repeat(count) + "a" + &")*".repeat(count);
    check_kind(&stars(999), None);
    check_kind(&stars(1000), Some(ErrorKind::NestingDepth));
}

#[test]
fn deep_input_does_not_exhaust_the_stack() {
    check_kind(&"(".repeat(100_000), Some(ErrorKind::MissingParen));
    // Groups without capture add no level to the tree.
    check_kind(&("(?:".repeat(100_000) + "a" + &")".repeat(100_000)), None);
    check_kind(&"|".repeat(100_000), None);
}

#[test]
fn size_limit_counts_repeated_text() {
    let repeated = |length| format!("(?:{}){{1000}}", "x".repeat(length));
    check_kind(&repeated(100), None);
    check_kind(&repeated(3400), Some(ErrorKind::Large));
    // Below Go's limit, but too large for the engine.
    check_kind(&repeated(3300), Some(ErrorKind::Large));
    let error = Regex::new_enclosed("^", &repeated(3300), "$").unwrap_err();
    assert_eq!(error.expression().len(), repeated(3300).len() + 2);
}

#[test]
fn slot_limit_counts_groups_and_states() {
    check_kind(&"(a)".repeat(200), None);
    check_kind(&"(a)".repeat(5000), Some(ErrorKind::Large));
    let error = Regex::new_anchored(&"()".repeat(5000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Large);
}

#[test]
fn bytes_that_are_not_utf8_are_an_error() {
    let error = Regex::from_bytes(b"a\xffb").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidUtf8);
    assert_eq!(
        error.to_string(),
        "error parsing regexp: invalid UTF-8: `\u{fffd}b`"
    );
    assert!(Regex::from_bytes("é+".as_bytes()).unwrap().is_match("éé"));
}

#[test]
fn every_error_kind_has_the_text_of_go() {
    let texts = [
        (ErrorKind::Internal, "regexp/syntax: internal error"),
        (ErrorKind::InvalidCharClass, "invalid character class"),
        (
            ErrorKind::InvalidRepeatOp,
            "invalid nested repetition operator",
        ),
        (
            ErrorKind::TrailingBackslash,
            "trailing backslash at end of expression",
        ),
    ];
    for (kind, text) in texts {
        assert_eq!(kind.to_string(), text);
    }
}

#[test]
fn scripts_with_an_underscore_work_in_every_spelling() {
    for name in ["Old_Italic", "OldItalic", "old italic"] {
        let regex = Regex::new(&format!(r"^\p{{{name}}}$")).unwrap();
        assert!(regex.is_match("\u{10300}"), "{name}");
        assert!(!regex.is_match("a"), "{name}");
    }
}

#[test]
fn lone_surrogates_never_match() {
    assert!(!Regex::new(r"\x{D800}").unwrap().is_match("\u{fffd}"));
    assert!(
        !Regex::new(r"[\x{D800}-\x{DFFF}]")
            .unwrap()
            .is_match("\u{fffd}")
    );
    assert!(
        Regex::new(r"^[\x{D7FF}-\x{E000}]+$")
            .unwrap()
            .is_match("\u{d7ff}\u{e000}")
    );
}

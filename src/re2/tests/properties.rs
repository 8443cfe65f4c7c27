//! What holds for every expression and every text, and the parts of the interface that the table
//! of the dialect does not reach.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use re2::{Regex, quote_meta};

/// Pieces from which random expressions are put together.
const PIECES: &[&str] = &[
    "a",
    "b",
    "foo",
    "bar",
    "é",
    "k",
    ".",
    ".*",
    ".+",
    "(",
    ")",
    "(?:",
    "(?i)",
    "(?P<n>",
    "[",
    "]",
    "[^a]",
    "[ab]",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "{0,2}",
    "{",
    "\\d",
    "\\b",
    "\\pL",
    "\\Q",
    "\\E",
    "\\x{",
    "^",
    "$",
    "\\",
    "-",
    "[[:alpha:]]",
    "(?s:",
    "\\z",
    "{1001}",
    "[:",
    ":]",
    "\\p{",
    "}",
];

fn expression() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES).prop_map(str::to_owned);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(&["a", "b", "foo", "bar", "é", "K", "-", "\n", "ab"][..]);
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Looks for the whole text with the engine alone: no plan applies to an expression whose end is
/// an assertion inside a choice.
fn engine_matches_whole(pattern: &str, haystack: &str) -> bool {
    let regex = Regex::new(&format!(r"(?:\A(?s:{pattern})\z|[^\x00-\x{{10FFFF}}]\b)")).unwrap();
    regex.is_match(haystack)
}

proptest! {
    #[test]
    fn no_input_panics(pattern in any::<String>(), haystack in any::<String>()) {
        if let Ok(regex) = Regex::new(&pattern) {
            prop_assert_eq!(regex.is_match(&haystack), regex.captures(&haystack).is_some());
            regex.replace_all(&haystack, &pattern);
        }
        let _ = Regex::from_bytes(haystack.as_bytes());
    }

    #[test]
    fn ways_to_match_agree(pattern in expression(), haystack in text()) {
        for regex in [Regex::new(&pattern), Regex::new_anchored(&pattern)].into_iter().flatten() {
            let captures = regex.captures(&haystack);
            prop_assert_eq!(regex.is_match(&haystack), captures.is_some());
            prop_assert_eq!(regex.find(&haystack), captures.map(|captures| captures.matched()));
            prop_assert_eq!(regex.matches_empty(), regex.is_match(""));
        }
    }

    #[test]
    fn plans_agree_with_the_engine(pattern in expression(), haystack in text()) {
        // An expression that only compiles inside a group (`\Q`) cannot be compared.
        let enclosed = Regex::new(&format!("(?s:{pattern})(x)"));
        let plain = Regex::new(&pattern);
        prop_assume!(plain.is_ok() && enclosed.is_ok() && !pattern.contains("\\Q"));
        let regex = Regex::new_anchored(&pattern).unwrap();
        let want = engine_matches_whole(&pattern, &haystack);
        prop_assert_eq!(regex.is_match(&haystack), want);
        if let Some(literals) = regex.set_matches() {
            prop_assert!(literals.is_sorted());
            prop_assert_eq!(literals.contains(&haystack), want);
            for literal in literals.iter().take(20) {
                prop_assert!(engine_matches_whole(&pattern, literal));
            }
        }
        if want {
            prop_assert!(haystack.starts_with(regex.prefix()));
        }
        if let Some(automaton) = regex.automaton() {
            let mut state = automaton.start();
            for byte in haystack.bytes() {
                prop_assert!(!(want && automaton.is_dead(state)));
                state = automaton.next(state, byte);
            }
            prop_assert_eq!(automaton.accepts(state), want);
        }
    }

    #[test]
    fn quoted_text_matches_itself(literal in any::<String>(), other in any::<String>()) {
        let regex = Regex::new_anchored(&quote_meta(&literal)).unwrap();
        prop_assert!(regex.is_match(&literal));
        prop_assert_eq!(regex.is_match(&other), literal == other);
        prop_assert_eq!(regex.set_matches(), Some(&[literal.clone()][..]));
        let anywhere = Regex::new(&quote_meta(&literal)).unwrap();
        let around = format!("{other}{literal}{other}");
        prop_assert!(anywhere.is_match(&around));
    }
}

#[test]
fn quoting_escapes_every_operator() {
    assert_eq!(
        quote_meta(r"a\.+*?()|[]{}^$-é"),
        r"a\\\.\+\*\?\(\)\|\[\]\{\}\^\$-é"
    );
}

#[test]
fn the_user_sees_the_own_expression() {
    assert_eq!(Regex::new_anchored("a.b").unwrap().as_str(), "a.b");
    let regex = Regex::new_enclosed("^(?s:", "a.b", ")$").unwrap();
    assert_eq!(regex.to_string(), "a.b");
    assert_eq!(format!("{regex:?}"), "Regex(\"a.b\")");
}

#[test]
fn expressions_are_equal_if_text_and_form_are() {
    let anchored = Regex::new_anchored("a").unwrap();
    assert_eq!(anchored, anchored.clone());
    assert_eq!(anchored, Regex::new_anchored("a").unwrap());
    assert_ne!(anchored, Regex::new("a").unwrap());
    assert_ne!(anchored, Regex::new_anchored("b").unwrap());
}

#[test]
fn properties_of_the_language_are_known() {
    let all = Regex::new_anchored(".*").unwrap();
    assert!(all.is_match_all() && all.matches_empty());
    let non_empty = Regex::new_anchored(".+").unwrap();
    assert!(!non_empty.is_match_all() && !non_empty.matches_empty());
    let optional = Regex::new_anchored("a?").unwrap();
    assert!(optional.matches_empty());
    assert_eq!(
        optional.set_matches(),
        Some(&[String::new(), "a".to_owned()][..])
    );
    assert!(!Regex::new("(?-s).+").unwrap().is_match_all());
}

#[test]
fn groups_are_found_by_number_and_name() {
    let regex = Regex::new(r"(?P<host>[^:]+):(\d+)").unwrap();
    assert_eq!(regex.group_count(), 3);
    let names: Vec<Option<&str>> = regex.group_names().collect();
    assert_eq!(names, [None, Some("host"), None]);
    let captures = regex.captures("db:90").unwrap();
    assert_eq!(captures.get(0), Some("db:90"));
    assert_eq!(captures.get(2), Some("90"));
    assert_eq!(captures.get(3), None);
    assert_eq!(captures.name("host"), Some("db"));
    assert_eq!(captures.name("port"), None);
    let mut output = "to ".to_owned();
    regex.expand("$host/${2}", &captures, &mut output);
    assert_eq!(output, "to db/90");
}

#[test]
fn regexes_are_shared_between_threads() {
    fn assert_shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let regex = Regex::new("a+").unwrap();
    assert_shared(&regex);
    let clone = regex.clone();
    assert!(
        std::thread::spawn(move || clone.is_match("baa"))
            .join()
            .unwrap()
    );
    assert!(!regex.is_match("b"));
}

//! Which plan an expression gets, and what its filter knows.

use super::Plan;
use crate::parse::{DotMode, parse};
use regex_syntax::hir::{Hir, Look};

fn plan(pattern: &str) -> Plan {
    let body = parse(pattern, DotMode::Everything).unwrap().hir;
    Plan::new(&Hir::concat(vec![
        Hir::look(Look::Start),
        body,
        Hir::look(Look::End),
    ]))
}

/// Describes a plan in one line.
fn describe(plan: &Plan) -> String {
    match plan {
        Plan::Everything => "everything".to_owned(),
        Plan::NonEmpty => "non-empty".to_owned(),
        Plan::Set(literals) => format!("set {}", literals.join(",")),
        Plan::Globs(globs) => format!("globs {}", globs.len()),
        Plan::Engine(filter) => format!(
            "engine {:?} {:?} {:?} {}",
            filter.prefix,
            filter.suffix,
            filter
                .inner
                .as_ref()
                .map_or("", |f| std::str::from_utf8(f.needle()).unwrap()),
            filter.min_length,
        ),
    }
}

#[test]
fn plans_are_the_cheapest_that_decide() {
    let cases = [
        ("", "set "),
        ("foo", "set foo"),
        ("c|b|a|b", "set a,b,c"),
        ("foo(bar|baz)", "set foobar,foobaz"),
        ("[ab]c", "set ac,bc"),
        ("(?i)ab", "set AB,Ab,aB,ab"),
        ("a{2,3}b?", "set aa,aaa,aaab,aab"),
        ("(a|)(b|)", "set ,a,ab,b"),
        (r"x\.y", "set x.y"),
        ("[^\\x00-\\x{10FFFF}]", "set "),
        (".*", "everything"),
        ("(.*)", "everything"),
        ("^.*$", "everything"),
        (".*.*|a", "everything"),
        (".+", "non-empty"),
        (".+?.*", "non-empty"),
        ("foo.*", "globs 1"),
        ("(foo|bar).*(x|.+)", "globs 4"),
        (".*foo.*|bar", "globs 2"),
        (".+.+", "engine \"\" \"\" \"\" 2"),
        ("foo[0-9]+bar", "engine \"foo\" \"bar\" \"\" 7"),
        ("foo[0-9]+-mid-[a-z]+", "engine \"foo\" \"\" \"-mid-\" 10"),
        ("(foo1|foo2)[^x]*", "engine \"foo\" \"\" \"\" 4"),
        ("(?:[^x]*ab|[^x]*cb)", "engine \"\" \"b\" \"\" 2"),
        ("(?:ab)+", "engine \"ab\" \"ab\" \"\" 2"),
        ("(?:ab)*", "engine \"\" \"\" \"\" 0"),
        (r"foo\b.*", "engine \"foo\" \"\" \"\" 3"),
        ("[a-z]{3}", "engine \"\" \"\" \"\" 3"),
        ("(?-s).*x", "engine \"\" \"x\" \"\" 1"),
    ];
    for (pattern, want) in cases {
        assert_eq!(describe(&plan(pattern)), want, "{pattern}");
    }
}

#[test]
fn expressions_that_are_not_anchored_go_to_the_engine() {
    for pattern in ["foo", "^foo", "foo$", "^a|b$", "^(?:a$|b)"] {
        let hir = parse(pattern, DotMode::AllButNewline).unwrap().hir;
        assert_eq!(
            describe(&Plan::new(&hir)),
            describe(&Plan::default()),
            "{pattern}"
        );
    }
    for pattern in ["", "a*", "|a", "(?:)"] {
        let hir = parse(pattern, DotMode::AllButNewline).unwrap().hir;
        assert_eq!(describe(&Plan::new(&hir)), "everything", "{pattern}");
    }
}

#[test]
fn large_choices_are_sets_and_large_products_are_not() {
    let choice = |count: usize| {
        let words: Vec<String> = (0..count).map(|i| format!("name-{i}-x")).collect();
        words.join("|")
    };
    assert!(matches!(plan(&choice(10_000)), Plan::Set(literals) if literals.len() == 10_000));
    assert!(matches!(plan(&choice(10_001)), Plan::Engine(_)));
    assert!(matches!(plan("[a-p][a-p]"), Plan::Set(literals) if literals.len() == 256));
    assert!(matches!(plan("[a-p][a-q]"), Plan::Engine(_)));
    assert!(matches!(plan("a{0,255}"), Plan::Set(literals) if literals.len() == 256));
    assert!(matches!(plan("a{0,256}"), Plan::Engine(_)));
}

#[test]
fn prefixes_are_common_to_all_members() {
    let cases = [
        ("foo.*", "foo"),
        ("foobar|foobaz", "fooba"),
        ("(foo|fob).*", "fo"),
        ("éa|éb", "é"),
        ("é|è", ""),
        (".*", ""),
        (".*foo", ""),
        ("(?i)foo", ""),
        ("foo[0-9]+", "foo"),
        ("foo", "foo"),
    ];
    for (pattern, want) in cases {
        assert_eq!(plan(pattern).prefix(), want, "{pattern}");
    }
}

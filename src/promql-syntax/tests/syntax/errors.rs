//! What is refused, with which words and where.

use promql_syntax::{ParserOptions, parse_expr};

const TABLE: &str = include_str!("../data/errors.txt");

#[test]
fn errors_have_upstreams_words_and_places() {
    let mut options = ParserOptions::default();
    let mut query = None;
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in TABLE.lines() {
        if let Some(heading) = line.strip_prefix("== ") {
            match heading {
                "default options" => options = ParserOptions::default(),
                "all options" => options = ParserOptions::all(),
                _ => {}
            }
        } else if let Some(want) = line.strip_prefix("  ") {
            let query: String = query.take().expect("an error follows its query");
            let got = match parse_expr(&query, &options) {
                Ok(expr) => format!("accepted as {expr}"),
                Err(errors) => errors.to_string(),
            };
            checked += 1;
            if got != want {
                wrong.push(format!("{query}\n  want {want}\n  got  {got}"));
            }
        } else {
            query = Some(line.replace('␤', "\n").replace('␉', "\t").replace('∅', ""));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 400, "only {checked} cases were found");
}

#[track_caller]
fn check_all(query: &str, want: &[&str]) {
    let errors = parse_expr(query, &ParserOptions::default()).expect_err("the query is bad");
    let got: Vec<String> = errors.iter().map(|error| errors.describe(error)).collect();
    let want: Vec<String> = want
        .iter()
        .map(|want| want.replacen(' ', ": parse error: ", 1))
        .collect();
    assert_eq!(got, want);
}

#[test]
fn all_faults_are_reported() {
    check_all(
        "nosuch(a) + rate(b,) + {c=1, d=~\"(\"}",
        &[
            "1:1 unknown function with name \"nosuch\"",
            "1:19 trailing commas not allowed in function call args",
            "1:27 unexpected character inside braces: '1'",
        ],
    );
    check_all(
        "{a b, =\"c\", d=e, f=~\"(\", g=\"h\"}",
        &[
            "1:4 unexpected identifier \"b\" in label matching, expected label matching operator",
            "1:7 unexpected \"=\" in label matching, expected identifier or \"}\"",
            "1:15 unexpected identifier \"e\" in label matching, expected string",
            "1:18 error parsing regexp: missing closing ): `(`",
        ],
    );
    check_all(
        "sum by (1, a b, c) (d) + nosuch()",
        &[
            "1:9 unexpected number \"1\" in grouping opts, expected label",
            "1:14 unexpected identifier \"b\" in grouping opts, expected \",\" or \")\"",
            "1:26 unknown function with name \"nosuch\"",
        ],
    );
    check_all(
        "abs(\"x\") + rate(y) + {}",
        &[
            "1:5 expected type instant vector in call to function \"abs\", got string",
            "1:17 expected type range vector in call to function \"rate\", got instant vector",
            "1:22 vector selector must contain at least one non-empty matcher",
        ],
    );
    check_all(
        "label_replace(1, 2, 3)",
        &[
            "1:1 expected 5 argument(s) in call to \"label_replace\", got 3",
            "1:15 expected type instant vector in call to function \"label_replace\", got scalar",
            "1:18 expected type string in call to function \"label_replace\", got scalar",
            "1:21 expected type string in call to function \"label_replace\", got scalar",
        ],
    );
}

#[test]
fn switches_open_the_experimental_parts() {
    let queries = [
        (
            "mad_over_time(a[5m])",
            "function \"mad_over_time\" is not enabled",
        ),
        (
            "limitk(1, a)",
            "limitk() is experimental and must be enabled with \
             --enable-feature=promql-experimental-functions",
        ),
        (
            "a[5m] anchored",
            "anchored modifier is experimental and not enabled",
        ),
        (
            "a smoothed",
            "smoothed modifier is experimental and not enabled",
        ),
        (
            "a + fill(1) b",
            "binop fill modifiers are experimental and not enabled",
        ),
        (
            "a[5m+1m]",
            "experimental duration expression is not enabled",
        ),
        (
            "a offset (5m)",
            "experimental duration expression is not enabled",
        ),
        (
            "a[step()]",
            "experimental duration expression is not enabled",
        ),
        (
            "a[1m:min_of(1m,step())]",
            "experimental duration expression is not enabled",
        ),
    ];
    let none = ParserOptions {
        enable_duration_expressions: false,
        ..ParserOptions::default()
    };
    for (query, want) in queries {
        let errors = parse_expr(query, &none).expect_err(query);
        assert_eq!(errors.first().message, want, "{query}");
        assert!(parse_expr(query, &ParserOptions::all()).is_ok(), "{query}");
    }
    assert!(parse_expr("a[step() + 5m] offset (1m * 2)", &ParserOptions::default()).is_ok());
}

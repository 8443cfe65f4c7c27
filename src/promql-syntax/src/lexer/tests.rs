//! Tokens and errors of the lexer.

use super::*;

#[track_caller]
fn check(input: &str, want: &str) {
    check_language(input, Language::Query, want);
}

#[track_caller]
fn check_language(input: &str, language: Language, want: &str) {
    let mut lexer = Lexer::new(input, language);
    let mut shown = Vec::new();
    loop {
        match lexer.next_token() {
            Ok(token) if token.kind == TokenKind::Eof => break,
            Ok(token) => shown.push(format!("{}@{}", token.text, token.start)),
            Err(error) => {
                shown.push(format!("error@{} {}", error.start, error.message));
                break;
            }
        }
    }
    assert_eq!(shown.join(" "), want, "{input}");
}

#[test]
fn numbers_and_durations() {
    check(
        "1 .5 5. 1e5 1E-3 0x1f 1_000 0755",
        "1@0 .5@2 5.@5 1e5@8 1E-3@12 0x1f@17 1_000@22 0755@28",
    );
    check("5m 1h30m 10ms 1y2w", "5m@0 1h30m@3 10ms@9 1y2w@14");
    check("Inf -nan", "Inf@0 -@4 nan@5");
    for (input, shown) in [
        ("1x", "1"),
        ("1__0", "1__"),
        ("1.2.3", "1.2."),
        ("1e", "1e"),
        ("1e5e3", "1e5e"),
        ("0x1.8", "0x1."),
        ("5mx", "5mx"),
        ("5m3", "5m3"),
        ("1_", "1_"),
    ] {
        check(
            input,
            &format!("error@0 bad number or duration syntax: \"{shown}\""),
        );
    }
}

#[test]
fn words_and_operators() {
    check(
        "sum BY(a) # comment\n + b:c",
        "sum@0 BY@4 (@6 a@7 )@8 +@21 b:c@23",
    );
    check(
        "a<=b</c>=d>/e!=f==g",
        "a@0 <=@1 b@3 </@4 c@6 >=@7 d@9 >/@10 e@12 !=@13 f@15 ==@16 g@18",
    );
    check("a ! b", "a@0 error@2 unexpected character after '!': ' '");
    check(
        "a !",
        "a@0 error@2 unexpected character after '!': '\u{fffd}'",
    );
    check("a =~ b", "a@0 error@2 unexpected character after '=': '~'");
    check("a € b", "a@0 error@2 unexpected character: '€'");
}

#[test]
fn brackets() {
    check("a[ 5m : 1m ]", "a@0 [@1 5m@3 :@6 1m@8 ]@11");
    check("a[5m::]", "a@0 [@1 5m@2 :@4 error@5 unexpected colon ':'");
    check(
        "a[:5m]",
        "a@0 [@1 error@3 unexpected colon before duration in duration expression",
    );
    check(
        "a[x]",
        "a@0 [@1 error@2 unexpected character in duration expression: 'x'",
    );
    check(
        "a[5m x]",
        "a@0 [@1 5m@2 error@5 unexpected character: 'x', expected ':'",
    );
    check(
        "a[STEP()+Range()]",
        "a@0 [@1 STEP@2 (@6 )@7 +@8 Range@9 (@14 )@15 ]@16",
    );
    check("a[5m+range()]", "a@0 [@1 5m@2 +@4 range@5 (@10 )@11 ]@12");
    check("a[5m[", "a@0 [@1 5m@2 error@4 unexpected left bracket '['");
    check("a[5m", "a@0 [@1 5m@2 error@4 unclosed left bracket");
    check(
        "a[",
        "a@0 [@1 error@2 unexpected end of input in duration expression",
    );
    check("a]", "a@0 error@1 unexpected right bracket ']'");
    check("(a", "(@0 a@1 error@2 unclosed left parenthesis");
    check("a)", "a@0 error@2 unexpected right parenthesis ')'");
}

#[test]
fn braces() {
    check(
        "{by=~\"x\",on!~'y' # z\n}",
        "{@0 by@1 =~@3 \"x\"@5 ,@8 on@9 !~@11 'y'@13 }@21",
    );
    check(
        "{a",
        "{@0 a@1 error@2 unexpected end of input inside braces",
    );
    check(
        "{a!b",
        "{@0 a@1 error@2 unexpected character after '!' inside braces: 'b'",
    );
    check("{{", "{@0 error@1 unexpected left brace '{'");
    check("{5", "{@0 error@1 unexpected character inside braces: '5'");
}

#[test]
fn texts() {
    check(r#""a\"b" 'a\'b' `a\`"#, r#""a\"b"@0 'a\'b'@7 `a\`@14"#);
    for (input, message) in [
        ("\"a", "unterminated quoted string"),
        ("'a\n'", "unterminated quoted string"),
        ("`a", "unterminated raw string"),
        (r#""\"#, "escape sequence not terminated"),
        (r#""\x4"#, "escape sequence not terminated"),
        (r#""\q""#, "unknown escape sequence U+0071 'q'"),
        (r#""\'""#, "unknown escape sequence U+0027 '''"),
        (
            r#""\xzz""#,
            "illegal character U+007A 'z' in escape sequence",
        ),
        (
            r#""\400""#,
            "escape sequence is an invalid Unicode code point",
        ),
        (
            r#""\ud800""#,
            "escape sequence is an invalid Unicode code point",
        ),
        (
            r#""\U00110000""#,
            "escape sequence is an invalid Unicode code point",
        ),
        ("\"\u{fffd}\"", "invalid UTF-8 rune"),
    ] {
        check(input, &format!("error@0 {message}"));
    }
}

#[test]
fn series_values() {
    let check = |input, want| check_language(input, Language::SeriesDescription, want);
    check(
        "a{b=\"c\"} 1+2x3 _x4",
        "a@0 {@1 b@2 =@3 \"c\"@4 }@7  @8 1@9 +@10 2@11 x@12 3@13  @14 _@15 x@16 4@17",
    );
    check(
        "a 0x5 -.5 stale",
        "a@0  @1 0@2 x@3 5@4  @5 -@6 .5@7  @9 stale@10",
    );
    check(
        "a ?",
        "a@0  @1 error@2 unexpected character in series sequence: '?'",
    );
    check(
        "a 1.2.3",
        "a@0  @1 error@2 bad number or duration syntax: \"1.2.\"",
    );
    check(
        "a{} -1mx2 5s3",
        "a@0 {@1 }@2  @3 -@4 1m@5 x@7 2@8  @9 error@10 bad number or duration syntax: \"5s3\"",
    );
    check(
        "a@end",
        "a@0 error@1 unexpected character in series sequence: '@'",
    );
    check(
        "a {{sum:-1 buckets:[-Inf 2]}}-{{}}x3",
        "a@0  @1 {{@2 sum@4 :@7 -@8 1@9  @10 buckets@11 :@18 [@19 -@20 Inf@21  @24 2@25 ]@26 }}@27 \
         -@29 {{@30 }}@32 x@34 3@35",
    );
    for (input, error) in [
        (
            "a {{",
            "error@4 histogram description incomplete unexpected: '\u{fffd}'",
        ),
        (
            "a {{}",
            "error@4 histogram description incomplete unexpected: '}'",
        ),
        ("a {{sum", "error@4 missing `:` for histogram descriptor"),
        (
            "a {{total:1}}",
            "error@4 bad histogram descriptor found: \"total\"",
        ),
    ] {
        let want = format!("a@0  @1 {{{{@2 {error}");
        check_language(input, Language::SeriesDescription, &want);
    }
    check(
        "a {{sum:1.2.3}}",
        "a@0  @1 {{@2 sum@4 :@7 error@8 bad number syntax: \"1.2.\"",
    );
    check(
        "a {{buckets:[x]}}",
        "a@0  @1 {{@2 buckets@4 :@11 [@12 error@13 invalid character in buckets description: 'x'",
    );
}

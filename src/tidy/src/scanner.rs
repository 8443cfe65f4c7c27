//! A scanner that knows just enough Rust to find function bodies and inline test modules.
//!
//! [mask] blanks everything in which a brace or a keyword would mean nothing; the other functions
//! work on masked text only. Text that is not Rust yields nonsense, never a panic.

use std::ops::RangeInclusive;

/// A function with a body. Lines count from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From the line of `fn` to the line of the closing brace.
    pub(crate) lines: RangeInclusive<usize>,
}

/// Replaces comments, strings and character literals by spaces and keeps every line break.
pub(crate) fn mask(source: &str) -> String {
    let mut masked = String::with_capacity(source.len());
    let mut rest = source;
    let mut previous = ' ';
    while let Some(first) = rest.chars().next() {
        let length = match hidden_length(rest, previous) {
            Some(length) => {
                let hidden = rest.get(..length).unwrap_or(rest);
                masked.extend(hidden.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                previous = ' ';
                hidden.len()
            }
            None => {
                masked.push(first);
                previous = first;
                first.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    masked
}

/// The length in bytes of the comment or literal at the start of `rest`, if there is one.
fn hidden_length(rest: &str, previous: char) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_length(rest));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        return Some(1 + string_length(inside));
    }
    if rest.starts_with('\'') {
        return char_literal_length(rest);
    }
    if is_word(previous) {
        None
    } else {
        raw_string_length(rest)
    }
}

/// Block comments nest in Rust.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(after) = rest.get(position..).filter(|after| !after.is_empty()) {
        if after.starts_with("/*") {
            depth += 1;
            position += 2;
        } else if after.starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += after.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of a string's inside with the closing quote.
fn string_length(inside: &str) -> usize {
    let mut escaped = false;
    for (index, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    inside.len()
}

/// A quote starts a character literal or a lifetime; only the literal has a second quote.
fn char_literal_length(rest: &str) -> Option<usize> {
    let inside = rest.get(1..)?;
    let first = inside.chars().next()?;
    if first == '\\' {
        // The escaped character itself may be a quote.
        let close = inside.char_indices().skip(2).find(|(_, c)| *c == '\'')?.0;
        return Some(1 + close + 1);
    }
    let length = first.len_utf8();
    inside
        .get(length..)?
        .starts_with('\'')
        .then_some(1 + length + 1)
}

/// `r"…"`, `br#"…"#` and `cr"…"`, but not the raw identifier `r#name`.
fn raw_string_length(rest: &str) -> Option<usize> {
    let without_kind = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let hashes_on = without_kind.strip_prefix('r')?;
    let inside = hashes_on.trim_start_matches('#');
    let hashes = hashes_on.len() - inside.len();
    let inside = inside.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - inside.len();
    Some(
        inside
            .find(&close)
            .map_or(rest.len(), |end| start + end + close.len()),
    )
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Finds every function with a body, nested ones too, ordered by where they end.
pub(crate) fn functions(masked: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut signature: Option<Signature> = None;
    let mut open_braces: Vec<Option<Signature>> = Vec::new();
    for token in tokens(masked) {
        match token.text {
            "fn" => {
                if let Some(name) = token.following_name() {
                    signature = Some(Signature {
                        name,
                        line: token.line,
                        open_groups: 0,
                    });
                }
            }
            "(" | "[" => {
                if let Some(signature) = &mut signature {
                    signature.open_groups += 1;
                }
            }
            ")" | "]" => {
                if let Some(signature) = &mut signature {
                    signature.open_groups = signature.open_groups.saturating_sub(1);
                }
            }
            // A declaration without a body; inside brackets it is the length of an array.
            ";" => signature = signature.filter(|signature| signature.open_groups > 0),
            // Inside brackets this is a const expression, not the body.
            "{" => open_braces.push(signature.take_if(|signature| signature.open_groups == 0)),
            "}" => {
                if let Some(Some(Signature { name, line, .. })) = open_braces.pop() {
                    found.push(Function {
                        name,
                        lines: line..=token.line,
                    });
                }
            }
            _ => {}
        }
    }
    found
}

struct Signature {
    name: String,
    line: usize,
    open_groups: usize,
}

/// Finds the lines of every inline `#[cfg(test)] mod name { … }`, with its attributes.
pub(crate) fn test_modules(masked: &str) -> Vec<RangeInclusive<usize>> {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    masked
        .match_indices(ATTRIBUTE)
        .filter_map(|(start, _)| {
            let end = start + inline_module_length(masked.get(start..)?)?;
            Some(line_of(masked, start)..=line_of(masked, end))
        })
        .collect()
}

/// The length up to the closing brace if `text` is attributes and an inline module.
fn inline_module_length(text: &str) -> Option<usize> {
    let mut rest = text;
    while rest.starts_with("#[") {
        let attribute = closing(rest, '[', ']')?;
        rest = rest.get(attribute + 1..)?.trim_start();
    }
    let after_mod = rest.strip_prefix("mod ")?;
    let body = after_mod.trim_start_matches(|c| is_word(c) || c == ' ');
    if !body.starts_with('{') {
        return None;
    }
    Some(text.len() - body.len() + closing(body, '{', '}')?)
}

/// The position of the bracket that closes the first `open` of `text`.
fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// The line of a byte position, counted from 1.
pub(crate) fn line_of(text: &str, position: usize) -> usize {
    1 + text
        .bytes()
        .take(position)
        .filter(|byte| *byte == b'\n')
        .count()
}

struct Token<'a> {
    text: &'a str,
    line: usize,
    /// The text behind the token.
    after: &'a str,
}

impl Token<'_> {
    /// The name behind `fn`, with `$` if a macro fills it in; `None` for a function pointer type.
    fn following_name(&self) -> Option<String> {
        let behind = self.after.trim_start();
        let end = behind
            .find(|c| !is_word(c) && c != '$' && c != '#')
            .unwrap_or(behind.len());
        behind
            .get(..end)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    }
}

/// Splits masked text into words and single characters; `r#word` is one token.
fn tokens(masked: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = masked;
    let mut line = 1;
    std::iter::from_fn(move || {
        let trimmed = rest.trim_start();
        line += rest.len().checked_sub(trimmed.len()).map_or(0, |blank| {
            rest.bytes()
                .take(blank)
                .filter(|byte| *byte == b'\n')
                .count()
        });
        let first = trimmed.chars().next()?;
        let prefix = if trimmed.starts_with("r#") { 2 } else { 0 };
        let word = trimmed.get(prefix..)?.find(|c| !is_word(c));
        let word = word.map_or(trimmed.len(), |end| prefix + end);
        let (text, after) = trimmed.split_at_checked(word.max(first.len_utf8()))?;
        rest = after;
        Some(Token { text, line, after })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_functions(source: &str, want: &[(&str, RangeInclusive<usize>)]) {
        let got = functions(&mask(source));
        let got: Vec<_> = got
            .iter()
            .map(|f| (f.name.as_str(), f.lines.clone()))
            .collect();
        assert_eq!(got, want, "{source}");
    }

    #[test]
    fn mask_hides_comments_and_literals_only() {
        let cases = [
            ("a // { fn\nb", "a\nb"),
            ("a /* { /* } */ \n } */ b", "a\n b"),
            (r#"f("}\"{", x)"#, "f( , x)"),
            (r##"r#"}"{"# + br"\" + c"}" b"##, " + + c b"),
            ("['{', '\\'', '\\u{7d}', b'}', 'é']", "[ , , , b , ]"),
            (
                "fn f<'a>(x: &'a str) -> &'a str",
                "fn f<'a>(x: &'a str) -> &'a str",
            ),
            ("let r#fn = ar\"{\";", "let r#fn = ar ;"),
            ("x \"never closed {", "x"),
        ];
        for (source, want) in cases {
            let masked = mask(source);
            assert_eq!(masked.chars().count(), source.chars().count(), "{source}");
            let lines: Vec<_> = masked
                .lines()
                .map(|line| squeeze(line.trim_end()))
                .collect();
            assert_eq!(lines.join("\n"), want, "{source}");
        }
    }

    /// Makes one space of each run of them.
    fn squeeze(line: &str) -> String {
        let mut squeezed: Vec<char> = line.chars().collect();
        squeezed.dedup_by(|a, b| *a == ' ' && *b == ' ');
        squeezed.into_iter().collect()
    }

    #[test]
    fn a_function_reaches_from_its_keyword_to_its_brace() {
        assert_functions("fn a() {}", &[("a", 1..=1)]);
        assert_functions(
            "/// Doc.\npub async fn a(\n  x: u8,\n) -> u8\n{\n  x\n}",
            &[("a", 2..=7)],
        );
    }

    #[test]
    fn braces_in_literals_and_comments_do_not_count() {
        assert_functions(
            "fn a() {\n  let s = \"}\"; // }\n  let c = '}';\n}\n",
            &[("a", 1..=4)],
        );
        assert_functions("fn a() {\n  let s = r#\"\n}\"#;\n}\n", &[("a", 1..=4)]);
    }

    #[test]
    fn nested_functions_are_found_inside_out() {
        let source = "impl A {\n fn outer() {\n  fn inner() {\n  }\n  if x { y }\n }\n}";
        assert_functions(source, &[("inner", 3..=4), ("outer", 2..=6)]);
    }

    #[test]
    fn declarations_and_pointer_types_have_no_length() {
        assert_functions(
            "trait T { fn a(&self) -> [u8; 2]; fn b() {} }",
            &[("b", 1..=1)],
        );
        assert_functions("type F = fn(u8) -> u8; struct S { f: fn() }", &[]);
        assert_functions(
            "fn a(f: fn([u8; { 1 + 1 }]) -> u8) -> u8 { 1 }",
            &[("a", 1..=1)],
        );
        assert_functions("let r#fn = 1; fn r#match() {}", &[("r#match", 1..=1)]);
        assert_functions(
            "macro_rules! m { ($n:ident) => { fn $n() {} } }",
            &[("$n", 1..=1)],
        );
    }

    #[test]
    fn inline_test_modules_are_found_with_their_attributes() {
        let cases: [(&str, &[RangeInclusive<usize>]); 4] = [
            (
                "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { \"}\" }\n}\n",
                &[2..=5],
            ),
            (
                "#[cfg(test)]\n#[expect(x, reason = \"]\")]\nmod tests { }\n",
                &[1..=3],
            ),
            ("#[cfg(test)]\nmod tests;\n", &[]),
            ("#[cfg(test)]\nuse std::fmt;\nmod a { }", &[]),
        ];
        for (source, want) in cases {
            assert_eq!(test_modules(&mask(source)), want, "{source}");
        }
    }

    #[test]
    fn broken_sources_do_not_panic() {
        for source in [
            "}}}",
            "fn",
            "fn a() {",
            "'",
            "'\\",
            "r#",
            "br##\"",
            "/*",
            "#[cfg(test)]",
            "é",
        ] {
            assert!(functions(&mask(source)).is_empty(), "{source}");
            assert!(test_modules(&mask(source)).is_empty(), "{source}");
        }
    }
}

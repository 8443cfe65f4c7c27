//! Go's `strconv.Quote` and the label-value escaping built on it.

use std::fmt;

/// Displays a text as Go's `strconv.Quote` would: double quotes, Go escapes.
#[must_use]
pub fn quoted(text: &str) -> Quoted<'_> {
    Quoted(text)
}

/// See [`quoted`].
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\u{b}' => f.write_str("\\v")?,
                c if is_printable(c) => f.write_char(c)?,
                c if u32::from(c) < 0x80 => write!(f, "\\x{:02x}", u32::from(c))?,
                c if u32::from(c) < 0x1_0000 => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "\\U{:08x}", u32::from(c))?,
            }
        }
        f.write_char('"')
    }
}

/// Go's `strconv.IsPrint`, near enough for diagnostics: std escapes the same categories (control,
/// format, surrogate, private use, unassigned, separators other than the space).
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if u32::from(c) < 0xa1 => false,
        '\u{ad}' => false,
        c => c.escape_debug().len() == 1 || is_combining(c),
    }
}

/// `char::escape_debug` also escapes grapheme extenders (marks), which Go prints as they are.
fn is_combining(c: char) -> bool {
    c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go() {
        for (text, want) in [
            ("", r#""""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\t\r\u{7}\u{8}\u{c}\u{b}", r#""\n\t\r\a\b\f\v""#),
            ("\u{0}\u{1b}\u{7f}", r#""\x00\x1b\x7f""#),
            ("äΩ😀'", r#""äΩ😀'""#),
            (
                "\u{a0}\u{ad}\u{200b}\u{2028}",
                r#""\u00a0\u00ad\u200b\u2028""#,
            ),
            ("e\u{301}", "\"e\u{301}\""),
        ] {
            assert_eq!(quoted(text).to_string(), want);
        }
    }
}

//! Resolves the quotes and escapes of a text literal that the lexer has accepted.

/// The text between the quotes, escapes resolved. Bytes that make no UTF-8 together become
/// replacement characters: no label holds them, so upstream would not match anything either.
pub(crate) fn unquote(literal: &str) -> String {
    let inner = literal
        .get(1..literal.len().saturating_sub(1))
        .unwrap_or("");
    if literal.starts_with('`') || !inner.contains('\\') {
        return inner.to_owned();
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(backslash) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..backslash]);
        rest = push_escape(&mut bytes, &rest[backslash + 1..]);
    }
    bytes.extend_from_slice(rest.as_bytes());
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Appends what the escape at the start of `text` stands for, and returns what follows it.
fn push_escape<'a>(bytes: &mut Vec<u8>, text: &'a str) -> &'a str {
    let mut chars = text.chars();
    let Some(kind) = chars.next() else { return "" };
    let (skip, digits, radix) = match kind {
        '0'..='7' => (0, 3, 8),
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        'a' => return push_plain(bytes, 0x07, &chars),
        'b' => return push_plain(bytes, 0x08, &chars),
        'f' => return push_plain(bytes, 0x0c, &chars),
        'n' => return push_plain(bytes, b'\n', &chars),
        'r' => return push_plain(bytes, b'\r', &chars),
        't' => return push_plain(bytes, b'\t', &chars),
        'v' => return push_plain(bytes, 0x0b, &chars),
        other => {
            bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
            return chars.as_str();
        }
    };
    let Some(number) = text.get(skip..skip + digits) else {
        return "";
    };
    let value =
        u32::from_str_radix(number, radix).unwrap_or(u32::from(char::REPLACEMENT_CHARACTER));
    match (kind, u8::try_from(value)) {
        // These two stand for a byte, the others for a character.
        ('0'..='7' | 'x', Ok(byte)) => bytes.push(byte),
        _ => {
            let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    text.get(skip + digits..).unwrap_or("")
}

fn push_plain<'a>(bytes: &mut Vec<u8>, byte: u8, rest: &std::str::Chars<'a>) -> &'a str {
    bytes.push(byte);
    rest.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_escapes_as_go_does() {
        for (literal, want) in [
            (r#""""#, ""),
            (r#""plain""#, "plain"),
            (r"'it\'s'", "it's"),
            (r#"'say "x"'"#, "say \"x\""),
            (r#""\a\b\f\n\r\t\v\\\"""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\""),
            (r#""\101\x42\u0043\U00000044""#, "ABCD"),
            (r#""\xc3\xa4\303\244""#, "ää"),
            (r#""\u00e4 😀""#, "ä 😀"),
            (r#""\xff""#, "\u{fffd}"),
            (r"`\d+\n`", r"\d+\n"),
        ] {
            assert_eq!(unquote(literal), want, "{literal}");
        }
    }

    #[test]
    fn survives_what_the_lexer_would_refuse() {
        for literal in ["", "\"", "\"\\\"", "\"\\x4\"", "\"\\u12é\"", "\"\\q\""] {
            let text = unquote(literal);
            assert!(text.len() <= literal.len() + 3, "{literal}");
        }
    }
}

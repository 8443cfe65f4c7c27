//! Environment variables in external labels: Go's `os.Expand`.

/// Replaces `$NAME` and `${NAME}` by what `lookup` gives, unknown names by nothing; `$$` is a
/// dollar. Source: Go's `os.Expand` and upstream `config.Load`.
pub(crate) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        match shell_name(after) {
            // Broken syntax is left out, a lone dollar stays.
            ("", 0) => out.push('$'),
            ("", _) => {}
            ("$", _) => out.push('$'),
            (name, _) => out.push_str(&lookup(name).unwrap_or_default()),
        }
        rest = &after[shell_name(after).1..];
    }
    out.push_str(rest);
    out
}

/// The name at the start of `text`, which follows a dollar, and the bytes that it takes.
fn shell_name(text: &str) -> (&str, usize) {
    if let Some(inside) = text.strip_prefix('{') {
        return match inside.find('}') {
            Some(0) => ("", 2),
            Some(end) => (&inside[..end], end + 2),
            None => ("", 1),
        };
    }
    if text.starts_with(is_special) {
        return (&text[..1], 1);
    }
    let length = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count();
    (&text[..length], length)
}

/// The shell's one-letter variables.
fn is_special(c: char) -> bool {
    matches!(c, '*' | '#' | '$' | '@' | '!' | '?' | '-' | '0'..='9')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_as_go() {
        let lookup = |name: &str| match name {
            "HOST" => Some("db1".to_owned()),
            "1" => Some("one".to_owned()),
            "a b" => Some("spaced".to_owned()),
            _ => None,
        };
        for (text, want) in [
            ("plain", "plain"),
            ("$HOST-x", "db1-x"),
            ("<${HOST}>", "<db1>"),
            ("$HOSTx|", "|"),
            ("$$HOST", "$HOST"),
            ("100$", "100$"),
            ("$ HOST", "$ HOST"),
            ("a${}b", "ab"),
            ("a${HOST", "aHOST"),
            ("${a b}", "spaced"),
            ("$12", "one2"),
            ("ä$HOSTä", "ädb1ä"),
        ] {
            assert_eq!(expand(text, &lookup), want, "{text}");
        }
    }
}

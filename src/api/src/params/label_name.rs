//! Label names in URL paths, where names outside the classic charset are written as `U__…`.

/// Reads the values-escaped form: after `U__`, `__` stands for `_`, and `_1f600_` for the character
/// with that hexadecimal number. Anything else stays as it is. Source: `model.UnescapeName` of
/// prometheus/common.
pub(crate) fn unescape_label_name(name: &str) -> String {
    name.strip_prefix("U__")
        .and_then(unescape)
        .unwrap_or_else(|| name.to_owned())
}

fn unescape(escaped: &str) -> Option<String> {
    let mut out = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((plain, after)) = rest.split_once('_') {
        out.push_str(plain);
        let (code, next) = after.split_once('_')?;
        match code {
            "" => out.push('_'),
            code => out.push(character(code)?),
        }
        rest = next;
    }
    out.push_str(rest);
    Some(out)
}

fn character(code: &str) -> Option<char> {
    if code.len() > 6 || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(code, 16).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_escaped_form() {
        for (escaped, want) in [
            ("job", "job"),
            ("U__job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U___1F600_", "😀"),
            ("U__", ""),
            ("U__a_", "U__a_"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_0000041_", "U__a_0000041_"),
            ("U__a_d800_", "U__a_d800_"),
            ("U__a_+1_", "U__a_+1_"),
        ] {
            assert_eq!(unescape_label_name(escaped), want, "{escaped}");
        }
    }
}

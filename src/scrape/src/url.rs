//! URLs of targets, written as Go's `net/url` does, since people compare them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The query parameters of a target: name to values.
pub(crate) type Params = BTreeMap<String, Vec<String>>;

/// `scheme://address/path?query`, path and query escaped. Source: Go's `url.URL.String` and
/// `url.Values.Encode`.
pub(crate) fn target_url(scheme: &str, address: &str, path: &str, params: &Params) -> String {
    let mut url = format!("{scheme}://{address}");
    if !path.is_empty() && !path.starts_with('/') {
        url.push('/');
    }
    for byte in path.bytes() {
        let plain = is_unreserved(byte) || b"$&+,/:;=@".contains(&byte);
        escape(byte, plain, &mut url);
    }
    let mut separator = '?';
    for (name, values) in params {
        for value in values {
            url.push(separator);
            separator = '&';
            query_escape(name, &mut url);
            url.push('=');
            query_escape(value, &mut url);
        }
    }
    url
}

/// `host` and `port` of `host:port`, the brackets of an IPv6 address taken off. Source: Go's
/// `net.SplitHostPort`, for addresses that it accepts.
pub(crate) fn split_host_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(bracketed) => Some((bracketed.strip_suffix(']')?, port)),
        None if host.contains(':') => None,
        None => Some((host, port)),
    }
}

fn query_escape(text: &str, url: &mut String) {
    for byte in text.bytes() {
        if byte == b' ' {
            url.push('+');
        } else {
            escape(byte, is_unreserved(byte), url);
        }
    }
}

fn escape(byte: u8, plain: bool, url: &mut String) {
    if plain {
        url.push(char::from(byte));
    } else {
        let _infallible = write!(url, "%{byte:02X}");
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_written_as_in_go() {
        let params = Params::from([
            (
                "match[]".to_owned(),
                vec!["{a=\"b c\"}".to_owned(), "x~y".to_owned()],
            ),
            ("a".to_owned(), vec!["ä&=".to_owned()]),
            ("none".to_owned(), vec![]),
        ]);
        for (path, params, want) in [
            ("/metrics", Params::new(), "http://h:1/metrics"),
            ("", Params::new(), "http://h:1"),
            ("probe", Params::new(), "http://h:1/probe"),
            ("/a b?c#%:;", Params::new(), "http://h:1/a%20b%3Fc%23%25:;"),
            (
                "/p",
                params,
                "http://h:1/p?a=%C3%A4%26%3D&match%5B%5D=%7Ba%3D%22b+c%22%7D&match%5B%5D=x~y",
            ),
        ] {
            assert_eq!(target_url("http", "h:1", path, &params), want);
        }
    }

    #[test]
    fn addresses_split() {
        for (address, want) in [
            ("h:1", Some(("h", "1"))),
            ("[::1]:9", Some(("::1", "9"))),
            ("::1", None),
            ("h", None),
            ("[::1]", None),
        ] {
            assert_eq!(split_host_port(address), want, "{address}");
        }
    }
}

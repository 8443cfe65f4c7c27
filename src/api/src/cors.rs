//! Headers that let web pages of other origins call the API. Source: upstream `util/httputil/cors.go`.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Which origins may call.
#[derive(Clone, Debug)]
pub(crate) enum CorsOrigin {
    /// All of them.
    Any,
    /// Those that a pattern matches in full.
    Matching(re2::Regex),
}

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Accept, Authorization, Content-Type, Origin"),
    ),
    (
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, OPTIONS"),
    ),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Date"),
    ),
];

impl CorsOrigin {
    /// Reads the pattern of `--web.cors.origin`.
    ///
    /// # Errors
    /// It is no pattern of Go's dialect.
    pub(crate) fn parse(pattern: &str) -> Result<Self, re2::Error> {
        match pattern {
            ".*" => Ok(Self::Any),
            pattern => re2::Regex::new_anchored(pattern).map(Self::Matching),
        }
    }

    /// Adds the headers that suit a request's `Origin`.
    pub(crate) fn set_headers(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = origin else { return };
        let allowed = match self {
            Self::Any => HeaderValue::from_static("*"),
            Self::Matching(pattern) => {
                if !origin.to_str().is_ok_and(|origin| pattern.is_match(origin)) {
                    return;
                }
                origin.clone()
            }
        };
        for (name, value) in HEADERS {
            headers.insert(name, value);
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_what_the_pattern_matches() {
        for (pattern, origin, allowed) in [
            (".*", Some("http://a"), Some("*")),
            (".*", None, None),
            ("https?://(a|b)", Some("http://b"), Some("http://b")),
            ("https?://(a|b)", Some("http://b.example"), None),
        ] {
            let mut headers = HeaderMap::new();
            let origin = origin.map(HeaderValue::from_static);
            CorsOrigin::parse(pattern)
                .unwrap()
                .set_headers(origin.as_ref(), &mut headers);
            let got = headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(got, allowed.map(HeaderValue::from_static).as_ref());
            assert_eq!(headers[header::VARY], "Origin");
            let expose = headers.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS);
            assert_eq!(expose, allowed.is_some());
        }
    }
}

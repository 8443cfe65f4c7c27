//! Parameters of a request: the URL's query and a form in the body, read as Go reads them.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::{Method, header};

/// Largest form that is read. Source: Go's `Request.ParseForm`.
const MAX_FORM_BYTES: usize = 10 << 20;

/// Names and values in the order in which they count: the body's before the query's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
    error: Option<FormError>,
}

/// Why a form is not complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("invalid URL escape {}", model::quote::quoted(.0))]
    Escape(String),
    #[error("invalid semicolon separator in query")]
    Semicolon,
    #[error("http: request body too large")]
    TooLarge,
    #[error("reading the request body failed")]
    Broken,
}

impl Form {
    /// The first value of `name`, empty where it is absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// All values of `name`.
    pub(crate) fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// What was wrong with the form. Wrong pairs are left out; only some endpoints complain.
    pub(crate) fn error(&self) -> Option<&FormError> {
        self.error.as_ref()
    }

    /// Adds the pairs of `encoded`.
    fn extend(&mut self, encoded: &str) {
        for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
            if pair.contains(';') {
                self.note(FormError::Semicolon);
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (unescape(name), unescape(value)) {
                (Ok(name), Ok(value)) => self.pairs.push((name, value)),
                (Err(error), _) | (_, Err(error)) => self.note(error),
            }
        }
    }

    fn note(&mut self, error: FormError) {
        self.error.get_or_insert(error);
    }
}

/// Replaces `+` and `%xx`. Bytes that are not UTF-8 become replacement characters.
fn unescape(text: &str) -> Result<String, FormError> {
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let byte = tail.first_chunk().and_then(hex_byte);
                bytes.push(byte.ok_or_else(|| bad_escape(tail))?);
                rest = &tail[2..];
            }
            other => bytes.push(*other),
        }
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn hex_byte(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(digits[0])? << 4 | digit(digits[1])?)
}

fn bad_escape(after_percent: &[u8]) -> FormError {
    let shown = &after_percent[..after_percent.len().min(2)];
    FormError::Escape(format!("%{}", String::from_utf8_lossy(shown)))
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        let mut form = Self::default();
        if matches!(parts.method, Method::POST | Method::PUT | Method::PATCH)
            && is_form(
                parts
                    .headers
                    .get(header::CONTENT_TYPE)
                    .map(http::HeaderValue::as_bytes),
            )
        {
            match read_body(body).await {
                Ok(text) => form.extend(&text),
                Err(error) => form.note(error),
            }
        }
        form.extend(parts.uri.query().unwrap_or_default());
        Ok(form)
    }
}

fn is_form(content_type: Option<&[u8]>) -> bool {
    let media_type = content_type
        .unwrap_or_default()
        .split(|byte| *byte == b';')
        .next();
    media_type
        .unwrap_or_default()
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

async fn read_body(body: Body) -> Result<String, FormError> {
    match crate::body::read_limited(body, MAX_FORM_BYTES).await {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(crate::body::BodyError::TooLarge) => Err(FormError::TooLarge),
        Err(crate::body::BodyError::Broken) => Err(FormError::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(encoded: &str) -> Form {
        let mut form = Form::default();
        form.extend(encoded);
        form
    }

    #[test]
    fn reads_pairs_as_go_does() {
        let parsed = form("a=1&b=x+y%2Bz&a=2&c&=d&&e=%C3%A4&f=%ff&match[]=up");
        let got: Vec<_> = ["a", "b", "c", "", "e", "f", "match[]", "absent"]
            .iter()
            .map(|name| parsed.all(name).collect::<Vec<_>>())
            .collect();
        let want: [&[&str]; 8] = [
            &["1", "2"],
            &["x y+z"],
            &[""],
            &["d"],
            &["ä"],
            &["\u{fffd}"],
            &["up"],
            &[],
        ];
        assert_eq!(got, want);
        assert_eq!(parsed.get("a"), "1");
        assert_eq!(parsed.error(), None);
    }

    #[test]
    fn leaves_out_wrong_pairs() {
        for (encoded, want) in [
            ("a=%zz&b=1", "invalid URL escape \"%zz\""),
            ("a=%4&b=1", "invalid URL escape \"%4\""),
            ("%=%&b=1", "invalid URL escape \"%\""),
            ("a=1;c=2&b=1", "invalid semicolon separator in query"),
        ] {
            let parsed = form(encoded);
            assert_eq!(
                parsed.error().map(ToString::to_string).as_deref(),
                Some(want)
            );
            assert_eq!((parsed.get("a"), parsed.get("b")), ("", "1"));
        }
    }

    #[test]
    fn knows_forms_by_their_type() {
        assert!(is_form(Some(
            b"application/x-www-form-urlencoded; charset=utf-8"
        )));
        assert!(is_form(Some(b"Application/X-WWW-Form-Urlencoded")));
        assert!(!is_form(Some(b"application/json")));
        assert!(!is_form(None));
    }
}

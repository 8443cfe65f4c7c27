//! Which format a response is in: media types, in both directions.

use model::quote::quoted;

/// An exposition format that this server reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text 0.0.4: names of the old character set.
    Text004,
    /// Text 1.0.0: any UTF-8 name, in quotes.
    Text100,
    /// OpenMetrics 0.0.1.
    OpenMetrics001,
    /// OpenMetrics 1.0.0.
    OpenMetrics100,
}

/// Why the format of a response is unknown. Source of the texts: upstream `model/textparse`,
/// `extractMediaType`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentTypeError {
    /// The target names no format.
    #[error(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol \
         specified for target"
    )]
    Blank,
    /// The header does not parse.
    #[error("cannot parse Content-Type {} and no fallback_scrape_protocol for target", quoted(.0))]
    Unparsable(String),
    /// The format is not one that this server reads.
    #[error(
        "received unsupported Content-Type {} and no fallback_scrape_protocol specified for target",
        quoted(.0)
    )]
    Unsupported(String),
}

impl Format {
    /// The format that a `Content-Type` header names, else `fallback`. As upstream, parameters are
    /// not looked at: one parser reads every version of a format.
    ///
    /// # Errors
    /// The header names no format that this server reads, and there is no fallback.
    pub fn from_content_type(
        content_type: &str,
        fallback: Option<Self>,
    ) -> Result<Self, ContentTypeError> {
        let known = if content_type.is_empty() {
            Err(ContentTypeError::Blank)
        } else {
            match media_type(content_type) {
                None => Err(ContentTypeError::Unparsable(content_type.to_owned())),
                Some(media) if media.eq_ignore_ascii_case("text/plain") => Ok(Self::Text004),
                Some(media) if media.eq_ignore_ascii_case("application/openmetrics-text") => {
                    Ok(Self::OpenMetrics100)
                }
                Some(_) => Err(ContentTypeError::Unsupported(content_type.to_owned())),
            }
        };
        known.or_else(|error| fallback.ok_or(error))
    }

    /// The media type with its version.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Text004 => "text/plain;version=0.0.4",
            Self::Text100 => "text/plain;version=1.0.0",
            Self::OpenMetrics001 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetrics100 => "application/openmetrics-text;version=1.0.0",
        }
    }

    /// Whether the format can carry any UTF-8 name, so that the escaping is negotiated.
    #[must_use]
    pub const fn has_escaping(self) -> bool {
        match self {
            Self::Text004 | Self::OpenMetrics001 => false,
            Self::Text100 | Self::OpenMetrics100 => true,
        }
    }
}

/// `type/subtype`, where both are tokens of RFC 9110 or the subtype is missing.
fn media_type(header: &str) -> Option<&str> {
    let media = header.split(';').next().unwrap_or_default().trim();
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let valid = match media.split_once('/') {
        Some((kind, subtype)) => is_token(kind) && is_token(subtype),
        None => is_token(media),
    };
    valid.then_some(media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_come_from_the_content_type_or_the_fallback() {
        let text = Ok(Format::Text004);
        for (header, want) in [
            ("text/plain", text.clone()),
            ("Text/Plain; version=0.0.4; charset=utf-8", text.clone()),
            ("text/plain;version=1.0.0;escaping=allow-utf-8", text),
            (
                "application/openmetrics-text; version=1.0.0",
                Ok(Format::OpenMetrics100),
            ),
            ("", Err(ContentTypeError::Blank)),
            ("/x", Err(ContentTypeError::Unparsable("/x".to_owned()))),
            (
                "text/html",
                Err(ContentTypeError::Unsupported("text/html".to_owned())),
            ),
        ] {
            assert_eq!(Format::from_content_type(header, None), want, "{header}");
            let with_fallback = Format::from_content_type(header, Some(Format::Text100));
            assert_eq!(
                with_fallback,
                Ok(want.unwrap_or(Format::Text100)),
                "{header}"
            );
        }
        assert_eq!(
            ContentTypeError::Unsupported("text/html".to_owned()).to_string(),
            "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol \
             specified for target"
        );
    }
}

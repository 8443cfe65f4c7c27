//! Which media types and encodings a remote-write receiver takes.

/// Why a request is answered 415. Texts as upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsupportedMedia {
    /// Not protobuf.
    #[error("expected application/x-protobuf as the first (media) part, got {0} content-type")]
    MediaType(String),
    /// A media type parameter without `=`.
    #[error(
        "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be \
         key-values, got {parameter} in {content_type} content-type"
    )]
    Parameter {
        /// The parameter.
        parameter: String,
        /// The whole header.
        content_type: String,
    },
    /// A message that nobody knows.
    #[error(
        "got {content_type} content type; unknown type for remote write protobuf message {message}, \
         supported: {WRITE_V1}, {WRITE_V2}"
    )]
    UnknownMessage {
        /// The whole header.
        content_type: String,
        /// The message's name.
        message: String,
    },
    /// A message that this receiver does not take.
    #[error("{0} protobuf message is not accepted by this server; only accepts {WRITE_V1}")]
    NotAccepted(String),
    /// Another compression than snappy.
    #[error("{0} encoding (compression) is not accepted by this server; only snappy is acceptable")]
    Encoding(String),
}

const WRITE_V1: &str = "prometheus.WriteRequest";
const WRITE_V2: &str = "io.prometheus.write.v2.Request";

/// Checks the headers of a write request: protobuf holding a remote write 1.0 request, compressed
/// with snappy. Absent and empty headers mean just that.
///
/// # Errors
/// The request is of a kind that is answered 415.
pub fn check_media(
    content_type: Option<&str>,
    content_encoding: Option<&str>,
) -> Result<(), UnsupportedMedia> {
    check_content_type(content_type.unwrap_or_default().trim())?;
    match content_encoding.unwrap_or_default() {
        "" | "snappy" => Ok(()),
        other => Err(UnsupportedMedia::Encoding(other.to_owned())),
    }
}

fn check_content_type(content_type: &str) -> Result<(), UnsupportedMedia> {
    if content_type.is_empty() {
        return Ok(());
    }
    let mut parts = content_type.split(';');
    if parts.next() != Some("application/x-protobuf") {
        return Err(UnsupportedMedia::MediaType(content_type.to_owned()));
    }
    for parameter in parts {
        match parameter.split('=').collect::<Vec<_>>()[..] {
            ["proto", WRITE_V1] => return Ok(()),
            ["proto", WRITE_V2] => return Err(UnsupportedMedia::NotAccepted(WRITE_V2.to_owned())),
            ["proto", message] => {
                return Err(UnsupportedMedia::UnknownMessage {
                    content_type: content_type.to_owned(),
                    message: message.to_owned(),
                });
            }
            [_, _] => {}
            _ => {
                return Err(UnsupportedMedia::Parameter {
                    parameter: parameter.to_owned(),
                    content_type: content_type.to_owned(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_version_one_in_snappy() {
        for (content_type, encoding) in [
            (None, None),
            (Some(""), Some("")),
            (Some("application/x-protobuf"), Some("snappy")),
            (
                Some("application/x-protobuf;proto=prometheus.WriteRequest"),
                None,
            ),
            (
                Some(" application/x-protobuf;a=b;proto=prometheus.WriteRequest "),
                None,
            ),
        ] {
            assert_eq!(
                check_media(content_type, encoding),
                Ok(()),
                "{content_type:?}"
            );
        }
    }

    #[test]
    fn refuses_everything_else() {
        for (content_type, encoding, want) in [
            (
                "text/plain",
                "",
                "expected application/x-protobuf as the first (media) part, got text/plain content-type",
            ),
            (
                "application/x-protobuf;proto",
                "",
                "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be \
                 key-values, got proto in application/x-protobuf;proto content-type",
            ),
            (
                "application/x-protobuf;proto=other",
                "",
                "got application/x-protobuf;proto=other content type; unknown type for remote write \
                 protobuf message other, supported: prometheus.WriteRequest, \
                 io.prometheus.write.v2.Request",
            ),
            (
                "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "",
                "io.prometheus.write.v2.Request protobuf message is not accepted by this server; \
                 only accepts prometheus.WriteRequest",
            ),
            (
                "application/x-protobuf",
                "gzip",
                "gzip encoding (compression) is not accepted by this server; only snappy is acceptable",
            ),
        ] {
            let error = check_media(Some(content_type), Some(encoding)).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
    }
}

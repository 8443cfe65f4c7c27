//! `write`: remote write 1.0. A request is answered when its commit is written; its metadata is
//! stored by then.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base::ErrorKind;
use base::metrics::Counter;
use http::{HeaderMap, HeaderName, StatusCode, header};
use parking_lot::Mutex;
use remote::{DecodeError, WriteDecoder};
use storage::{AppendError, AppendPolicy, Durability, PendingAppend, SeriesExemplars};

use crate::body::{BodyError, BodyPool, RequestBody};
use crate::envelope::text_error;
use crate::parts::{Parts, Storage, WriteReceiver};

const DISABLED: &str =
    "remote write receiver needs to be enabled with --web.enable-remote-write-receiver";

/// The receiving side of remote write.
pub(crate) struct Writer {
    parts: Parts,
    /// Decoders that are not in use; each keeps its memory.
    decoders: Mutex<Vec<WriteDecoder>>,
    bodies: Arc<BodyPool>,
    invalid_labels: Counter,
}

enum WriteError {
    Decode(DecodeError),
    Append(AppendError),
}

impl Writer {
    pub(crate) fn new(parts: &Parts) -> Self {
        let invalid_labels = parts.registry.counter(
            "prometheus_api_remote_write_invalid_labels_samples_total",
            "The total number of received remote write samples and histogram samples which were \
             rejected due to invalid labels.",
            &[],
        );
        Self {
            parts: parts.clone(),
            decoders: Mutex::default(),
            bodies: Arc::default(),
            invalid_labels,
        }
    }

    /// Decodes and validates a request. CPU-bound.
    fn append(&self, body: &[u8], storage: &Storage) -> Result<Accepted, WriteError> {
        let mut decoder = self.decoders.lock().pop().unwrap_or_default();
        let pending = match decoder.decode(body) {
            Ok(request) => storage
                .appender
                .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
                .map_err(WriteError::Append),
            Err(error) => Err(WriteError::Decode(error)),
        };
        if pending.is_ok() && decoder.has_metadata() {
            keep_metadata(storage, &decoder);
        }
        let exemplars = match &pending {
            Ok(_) if storage.exemplars.is_enabled() => decoder.exemplars(),
            _ => Ok(Vec::new()),
        };
        decoder.release_excess();
        self.decoders.lock().push(decoder);
        Ok(Accepted {
            pending: pending?,
            exemplars: exemplars.unwrap_or_else(|error| {
                tracing::debug!(%error, "exemplars of a remote write request do not decode");
                Vec::new()
            }),
        })
    }

    /// Exemplars never fail a request. Source: upstream `storage/remote/write_handler.go`.
    async fn keep_exemplars(&self, storage: Arc<Storage>, exemplars: Vec<SeriesExemplars>) {
        if exemplars.is_empty() {
            return;
        }
        let work = move || storage.exemplars.add(&exemplars);
        let done = self.parts.ingest_pool.run(work).await;
        if let Ok(Err(error)) = done {
            tracing::warn!(error = %base::report(&error), "exemplars are not stored");
        }
    }

    /// Takes a request to its end.
    async fn store(self: Arc<Self>, body: RequestBody) -> Response {
        let storage = match self.parts.storage.get() {
            Ok(storage) => storage,
            Err(error) => return text_error(StatusCode::INTERNAL_SERVER_ERROR, error),
        };
        let writer = Arc::clone(&self);
        let (work_storage, exemplar_store) = (Arc::clone(&storage), storage);
        let work = move || writer.append(body.bytes(), &work_storage);
        let Accepted { pending, exemplars } = match self.parts.ingest_pool.run(work).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(WriteError::Decode(error))) => {
                tracing::warn!(%error, "remote write request does not decode");
                return text_error(StatusCode::BAD_REQUEST, error);
            }
            Ok(Err(WriteError::Append(error))) => return refusal(&error),
            Err(error) => return text_error(StatusCode::SERVICE_UNAVAILABLE, error),
        };
        match pending.wait().await {
            Ok(outcome) => {
                self.invalid_labels.add(outcome.rejected.invalid_labels);
                self.keep_exemplars(exemplar_store, exemplars).await;
                StatusCode::NO_CONTENT.into_response()
            }
            Err(error) => refusal(&error),
        }
    }
}

/// Metadata never fails a request: senders repeat it.
fn keep_metadata(storage: &Storage, decoder: &WriteDecoder) {
    match storage.metadata.put_metadata(&mut decoder.metadata()) {
        Ok(0) => {}
        Ok(left_out) => tracing::debug!(left_out, "metadata of a remote write request is left out"),
        Err(error) => {
            let error = base::report(&error);
            tracing::warn!(error, "metadata of a remote write request is not stored");
        }
    }
}

/// A request whose samples wait for their commit.
struct Accepted {
    pending: PendingAppend,
    exemplars: Vec<SeriesExemplars>,
}

fn refusal(error: &AppendError) -> Response {
    let text = base::report(error);
    match error.kind() {
        ErrorKind::BadData => {
            tracing::debug!(error = text, "remote write request refused");
            text_error(StatusCode::BAD_REQUEST, text)
        }
        ErrorKind::Unavailable => {
            tracing::warn!(
                error = text,
                "remote write request refused, the sender has to try again"
            );
            text_error(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        _ => {
            tracing::error!(error = text, "remote write request failed");
            text_error(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

/// Stores the samples of a request.
pub(crate) async fn write(
    State(writer): State<Arc<Writer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if writer.parts.settings.write_receiver == WriteReceiver::Disabled {
        return text_error(StatusCode::NOT_FOUND, DISABLED);
    }
    let header = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let content_type = header(header::CONTENT_TYPE);
    if let Err(error) = remote::check_media(content_type, header(header::CONTENT_ENCODING)) {
        return text_error(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    }
    match writer.bodies.read(body, remote::MAX_BODY_BYTES).await {
        Ok(body) => writer.store(body).await,
        Err(BodyError::TooLarge) => text_error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "http: request body too large",
        ),
        Err(BodyError::Broken) => {
            text_error(StatusCode::BAD_REQUEST, "reading the request body failed")
        }
    }
}

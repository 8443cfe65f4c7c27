//! A small HTTP client for tests and benches, on loopback.

use std::io::Read as _;
use std::time::Duration;

use serde_json::Value;

/// A server under test.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body as text.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server did not answer.
    #[error("{url} did not answer")]
    Transport {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The answer is no JSON.
    #[error("{url} answered {status} without JSON: {body}")]
    NotJson {
        /// What was asked.
        url: String,
        /// Status code.
        status: u16,
        /// What it said.
        body: String,
    },
}

impl Client {
    /// A client of the server at `address`, `127.0.0.1:9090`.
    #[must_use]
    pub fn new(address: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)));
        Self {
            agent: config.build().into(),
            base: format!("http://{address}"),
        }
    }

    /// Gets `path`, with its query already encoded.
    ///
    /// # Errors
    /// There is no answer.
    pub fn get(&self, path: &str) -> Result<Answer, HttpError> {
        let url = format!("{}{path}", self.base);
        let transport = |source| HttpError::Transport {
            url: url.clone(),
            source: Box::new(source),
        };
        let mut response = self.agent.get(&url).call().map_err(transport)?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string();
        Ok(Answer {
            status,
            body: body.map_err(transport)?,
        })
    }

    /// Posts a form, the way Grafana does, and reads the answer as JSON.
    ///
    /// # Errors
    /// There is no answer, or it is no JSON.
    pub fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Result<Value, HttpError> {
        let url = format!("{}{path}", self.base);
        let transport = |source| HttpError::Transport {
            url: url.clone(),
            source: Box::new(source),
        };
        let pairs = form.iter().copied();
        let mut response = self.agent.post(&url).send_form(pairs).map_err(transport)?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string();
        let body = body.map_err(transport)?;
        serde_json::from_str(&body).map_err(|_| HttpError::NotJson { url, status, body })
    }

    /// Posts a form, reads the whole answer and keeps the first `keep_bytes` of it, so that many
    /// clients can ask for more than memory holds.
    ///
    /// # Errors
    /// There is no answer, or it breaks off.
    pub fn post_form_head(
        &self,
        path: &str,
        form: &[(&str, &str)],
        keep_bytes: usize,
    ) -> Result<Answer, HttpError> {
        let url = format!("{}{path}", self.base);
        let transport = |source| HttpError::Transport {
            url: url.clone(),
            source: Box::new(source),
        };
        let pairs = form.iter().copied();
        let response = self.agent.post(&url).send_form(pairs).map_err(transport)?;
        let status = response.status().as_u16();
        let mut reader = response.into_body().into_reader();
        let broken = |error| transport(ureq::Error::Io(error));
        let mut head = Vec::new();
        std::io::Read::by_ref(&mut reader)
            .take(keep_bytes as u64)
            .read_to_end(&mut head)
            .map_err(broken)?;
        std::io::copy(&mut reader, &mut std::io::sink()).map_err(broken)?;
        let body = String::from_utf8_lossy(&head).into_owned();
        Ok(Answer { status, body })
    }

    /// Posts a remote-write body and returns the status with the error text.
    ///
    /// # Errors
    /// There is no answer.
    pub fn remote_write(&self, body: &[u8]) -> Result<Answer, HttpError> {
        let url = format!("{}/api/v1/write", self.base);
        let transport = |source| HttpError::Transport {
            url: url.clone(),
            source: Box::new(source),
        };
        let request = self
            .agent
            .post(&url)
            .header("Content-Type", "application/x-protobuf")
            .header("Content-Encoding", "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0");
        let mut response = request.send(body).map_err(transport)?;
        let status = response.status().as_u16();
        Ok(Answer {
            status,
            body: response.body_mut().read_to_string().map_err(transport)?,
        })
    }
}

//! Accepts connections and serves them until told to stop; requests that have begun are finished.
//! HTTP/1 alone, as upstream without TLS.

mod lenient;
mod request_line;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use base::Shutdown;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tower_http::timeout::DeadlineBody;

use lenient::LenientStream;

/// Extension of every request that came over a connection: who sent it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// How connections are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// Most connections at once; others wait to be accepted.
    pub max_connections: usize,
    /// Longest time to wait for a request's head, on idle connections too, then for its whole body,
    /// and for a client to read on while it is answered.
    pub read_timeout: Duration,
    /// Longest time that requests may take to finish after the signal to stop.
    pub stop_timeout: Duration,
}

/// Serves `router` on `listener` until `shutdown`, then finishes what has begun.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
    options: ServeOptions,
) {
    let slots = Arc::new(Semaphore::new(
        options.max_connections.min(Semaphore::MAX_PERMITS),
    ));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = shutdown.wait() => break,
        };
        // Connections that have ended are forgotten here, so that the set does not grow.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, slot)) => {
                let connection =
                    serve_connection(stream, router.clone(), shutdown.clone(), options);
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                // Most likely there are no file descriptors left; trying at once would spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(options.stop_timeout, finish)
        .await
        .is_err()
    {
        tracing::warn!("requests were cut off, as they took too long to finish");
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, _peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    shutdown: Shutdown,
    options: ServeOptions,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(options.read_timeout);
    let client = stream.peer_addr().ok().map(|peer| ClientAddress(peer.ip()));
    let service = router.map_request(move |mut request: Request<Incoming>| {
        if let Some(client) = client {
            request.extensions_mut().insert(client);
        }
        request.map(|body| DeadlineBody::new(options.read_timeout, body))
    });
    let service = TowerToHyperService::new(service);
    let stream = TokioIo::new(LenientStream::new(stream, options.read_timeout));
    let mut connection = std::pin::pin!(builder.serve_connection(stream, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients close connections as they like; that is nobody's fault.
        tracing::debug!(%error, "connection ended");
    }
}

//! Addresses to listen on, and the tasks that serve them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use api::ServeOptions;
use base::{Shutdown, TaskGroup};
use tokio::net::TcpListener;

use crate::app::StartError;
use crate::flags::Options;

/// Longest time that requests may take to finish when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// An address that was taken.
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Takes all addresses that flags name.
///
/// # Errors
/// One of them cannot be taken.
pub(crate) async fn bind(addresses: &[String]) -> Result<Vec<Bound>, StartError> {
    let mut bound = Vec::with_capacity(addresses.len());
    for text in addresses {
        let failed = |source| StartError::Listen {
            address: text.clone(),
            source,
        };
        let listener = bind_one(text).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        bound.push(Bound { listener, address });
    }
    Ok(bound)
}

/// `:9090` means every address of the machine, of both families where there are two.
async fn bind_one(address: &str) -> std::io::Result<TcpListener> {
    let Some(port) = address
        .strip_prefix(':')
        .and_then(|port| port.parse::<u16>().ok())
    else {
        return TcpListener::bind(address).await;
    };
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
    }
}

/// Starts to serve on all of them.
///
/// # Errors
/// The pattern for cross-origin calls is wrong.
pub(crate) fn serve(
    bound: Vec<Bound>,
    parts: api::Parts,
    stop: &Shutdown,
    options: &Options,
) -> Result<TaskGroup, StartError> {
    let router = api::router(parts).map_err(StartError::CorsOrigin)?;
    let serve_options = ServeOptions {
        max_connections: options.max_connections,
        read_timeout: options.read_timeout,
        stop_timeout: STOP_TIMEOUT,
    };
    let mut tasks = TaskGroup::new();
    for Bound { listener, address } in bound {
        tracing::info!(address = %address, "Listening on");
        tasks.spawn(
            "http",
            api::serve(listener, router.clone(), stop.child(), serve_options),
        );
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn takes_free_ports() {
        let addresses = ["127.0.0.1:0".to_owned(), ":0".to_owned()];
        let bound = bind(&addresses).await.unwrap();
        assert!(bound.iter().all(|bound| bound.address.port() != 0));
        assert!(bound[0].address.ip().is_loopback());
        assert!(bound[1].address.ip().is_unspecified());
        let taken = bind(&[bound[0].address.to_string()]).await.err().unwrap();
        assert!(
            taken
                .to_string()
                .starts_with("unable to listen on 127.0.0.1:"),
            "{taken}"
        );
        assert!(bind(&["nonsense".to_owned()]).await.is_err());
    }
}

//! Tests against a server in the same process that answers with the bytes it is given.

use std::io::Write as _;
use std::net::SocketAddr;

use base::TaskGroup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A server that answers each request by its path; it serves as long as the group lives.
async fn serve(answer: fn(&str) -> Option<Vec<u8>>) -> (SocketAddr, TaskGroup) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("the listener is bound");
    let mut tasks = TaskGroup::new();
    tasks.spawn("server", async move {
        let mut connections = TaskGroup::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn("connection", converse(stream, answer));
        }
    });
    (address, tasks)
}

/// Answers requests until one has no answer; the connection is closed then.
async fn converse(mut stream: TcpStream, answer: fn(&str) -> Option<Vec<u8>>) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = received.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            match answer(if path == "/echo" { &head } else { path }) {
                Some(bytes) if bytes.is_empty() => std::future::pending().await,
                Some(bytes) if stream.write_all(&bytes).await.is_err() => return,
                Some(_) if !matches!(path, "/cut" | "/garbage") => {}
                _ => return,
            }
        }
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => received.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
}

fn reply(head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut bytes =
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Some(bytes)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(text)
        .and_then(|()| encoder.finish())
        .expect("writes to memory succeed")
}

fn answers(path: &str) -> Option<Vec<u8>> {
    match path {
        "/ok" => reply("200 OK\r\nContent-Type: text/plain", b"hello"),
        "/odd" => reply("503 Gone Fishing", b""),
        "/gzip" => reply("200 OK\r\nContent-Encoding: gzip", &gzip(&[b'x'; 1000])),
        "/two-members" => {
            let members = [gzip(b"one,"), gzip(b"two")].concat();
            reply("200 OK\r\nContent-Encoding: gzip", &members)
        }
        "/broken-gzip" => reply("200 OK\r\nContent-Encoding: gzip", b"no gzip at all"),
        "/cut-gzip" => reply("200 OK\r\nContent-Encoding: gzip", &gzip(&[b'x'; 1000])[..20]),
        "/chunks" => Some(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
                .to_vec(),
        ),
        "/cut" => Some(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc".to_vec()),
        "/garbage" => Some(b"SSH-2.0-server\r\n\r\n".to_vec()),
        "/near" => reply("302 Found\r\nLocation: /ok", b"away"),
        "/loop" => reply("307 Temporary Redirect\r\nLocation: loop", b""),
        "/lost" => reply("301 Moved Permanently", b"lost"),
        "/secure" => reply("301 Moved Permanently\r\nLocation: https://example.org/", b""),
        "/nowhere" => reply("301 Moved Permanently\r\nLocation: http://[", b""),
        "/silent" => Some(Vec::new()),
        "/stuck" => Some(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab".to_vec()),
        head if head.contains("/echo") => reply("200 OK", head.as_bytes()),
        _ => None,
    }
}

/// Fetches and shows status line and content, or the error; the server's address becomes `HOST`.
async fn fetch(client: &HttpClient, address: SocketAddr, path: &str, limit: Option<u64>) -> String {
    let url = format!("http://{address}{path}");
    let request = Request {
        url: &url,
        headers: &HeaderMap::new(),
        timeout: Duration::from_secs(5),
        body_limit_bytes: limit,
    };
    let shown = match client.get(request).await {
        Ok(response) => match response.body.decode(limit) {
            Ok(content) => {
                format!(
                    "{}: {}",
                    response.status_line,
                    String::from_utf8_lossy(&content)
                )
            }
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    shown.replace(&address.to_string(), "HOST")
}

#[tokio::test]
async fn answers_and_errors_read_as_in_go() {
    let (address, _server) = serve(answers).await;
    let client = HttpClient::new(ClientOptions::default());
    for (path, limit, want) in [
        ("/ok", None, "200 OK: hello"),
        ("/ok", Some(6), "200 OK: hello"),
        ("/ok", Some(5), "body size limit exceeded"),
        ("/chunks", Some(8), "200 OK: abcdefg"),
        ("/chunks", Some(7), "body size limit exceeded"),
        ("/odd", None, "503 Gone Fishing: "),
        ("/two-members", Some(100), "200 OK: one,two"),
        ("/gzip", Some(1000), "body size limit exceeded"),
        ("/broken-gzip", None, "gzip: invalid gzip header"),
        ("/cut-gzip", None, "unexpected EOF"),
        ("/cut", None, "unexpected EOF"),
        ("/near", None, "200 OK: hello"),
        ("/lost", None, "301 Moved Permanently: lost"),
        (
            "/loop",
            None,
            "Get \"http://HOST/loop\": stopped after 10 redirects",
        ),
        (
            "/secure",
            None,
            "Get \"https://example.org/\": unsupported protocol scheme \"https\"",
        ),
        (
            "/nowhere",
            None,
            "Get \"http://HOST/nowhere\": failed to parse Location header \"http://[\"",
        ),
        ("/closed", None, "Get \"http://HOST/closed\": EOF"),
        (
            "/garbage",
            None,
            "Get \"http://HOST/garbage\": invalid HTTP version parsed",
        ),
    ] {
        assert_eq!(
            fetch(&client, address, path, limit).await,
            want,
            "{path} {limit:?}"
        );
    }
    let long = fetch(&client, address, "/gzip", Some(1001)).await;
    assert_eq!(long.len(), "200 OK: ".len() + 1000);
}

#[tokio::test]
async fn redirects_can_be_returned() {
    let (address, _server) = serve(answers).await;
    let options = ClientOptions {
        redirects: Redirects::Return,
        ..ClientOptions::default()
    };
    let client = HttpClient::new(options);
    assert_eq!(
        fetch(&client, address, "/near", None).await,
        "302 Found: away"
    );
}

#[tokio::test]
async fn headers_are_sent() {
    let (address, _server) = serve(answers).await;
    let mut headers = HeaderMap::new();
    headers.insert(
        header::USER_AGENT,
        header::HeaderValue::from_static("Test/1"),
    );
    let url = format!("http://{address}/echo");
    let request = Request {
        url: &url,
        headers: &headers,
        timeout: Duration::from_secs(5),
        body_limit_bytes: None,
    };
    let response = HttpClient::new(ClientOptions::default())
        .get(request)
        .await
        .unwrap();
    let echoed = response.body.decode(None).unwrap();
    let echoed = String::from_utf8_lossy(&echoed).to_ascii_lowercase();
    assert!(echoed.contains("user-agent: test/1\r\n"), "{echoed}");
    assert!(echoed.contains(&format!("host: {address}\r\n")), "{echoed}");
}

#[tokio::test]
async fn connections_are_reused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = TaskGroup::new();
    tasks.spawn("one connection only", async move {
        if let Ok((stream, _)) = listener.accept().await {
            drop(listener);
            converse(stream, answers).await;
        }
    });
    let client = HttpClient::new(ClientOptions::default());
    for _ in 0..3 {
        assert_eq!(fetch(&client, address, "/ok", None).await, "200 OK: hello");
    }
}

#[tokio::test]
async fn refused_connections_name_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = HttpClient::new(ClientOptions::default());
    assert_eq!(
        fetch(&client, address, "/x", None).await,
        "Get \"http://HOST/x\": dial tcp HOST: connect: connection refused"
    );
}

#[tokio::test]
async fn urls_are_checked() {
    let client = HttpClient::new(ClientOptions::default());
    for (url, want) in [
        ("http://a b/", "Get \"http://a b/\": invalid URL"),
        (
            "ftp://a/",
            "Get \"ftp://a/\": unsupported protocol scheme \"ftp\"",
        ),
        (
            "/metrics",
            "Get \"/metrics\": unsupported protocol scheme \"\"",
        ),
    ] {
        let headers = HeaderMap::new();
        let timeout = Duration::from_secs(1);
        let request = Request {
            url,
            headers: &headers,
            timeout,
            body_limit_bytes: None,
        };
        let error = client.get(request).await.unwrap_err();
        assert_eq!(error.to_string(), want);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_covers_head_and_body() {
    let (address, _server) = serve(answers).await;
    let client = HttpClient::new(ClientOptions::default());
    let head = fetch(&client, address, "/silent", None).await;
    assert_eq!(
        head,
        "Get \"http://HOST/silent\": context deadline exceeded"
    );
    let body = fetch(&client, address, "/stuck", None).await;
    assert!(body.ends_with("context deadline exceeded"), "{body}");
}

//! A network inside the process: dials become pipes, and a task of the test plays the server at the other end.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dunlin_http::dial::{Connection, DialContext};
use dunlin_http::{Builder, ConnStats, Error, RequestBody, ResponseBody, Transport};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Bytes a pipe takes before its reader reads: about what a socket does.
const PIPE_LEN: usize = 64 * 1024;

pub(crate) const URL: &str = "http://host.test/";

/// Counts what is dialed and open.
#[derive(Debug, Default)]
pub(crate) struct Net {
    dials: AtomicUsize,
    open: AtomicUsize,
}

impl Net {
    /// Dials so far.
    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    /// Connections whose server's end is still served.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// The server's end of one connection, and which dial it came from, counted from 0.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) io: DuplexStream,
    pub(crate) index: usize,
    pub(crate) host: String,
}

/// A builder whose dials lead to `serve`, which runs in a task for each connection.
pub(crate) fn net<F, Fut>(serve: F) -> (Arc<Net>, Builder)
where
    F: Fn(Peer) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let net = Arc::new(Net::default());
    let counted = net.clone();
    let builder = Transport::builder().dial_context(move |cx: DialContext| {
        let peer = connect(&counted, &cx, &serve);
        async move { Ok::<_, Error>(peer) }
    });
    (net, builder)
}

/// Makes the pipe of one dial and starts its server.
pub(crate) fn connect<F, Fut>(net: &Arc<Net>, cx: &DialContext, serve: &F) -> Connection
where
    F: Fn(Peer) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (client, server) = tokio::io::duplex(PIPE_LEN);
    let index = net.dials.fetch_add(1, Ordering::SeqCst);
    net.open.fetch_add(1, Ordering::SeqCst);
    let serving = serve(Peer { io: server, index, host: cx.target.host.clone() });
    let net = net.clone();
    tokio::spawn(async move {
        serving.await;
        net.open.fetch_sub(1, Ordering::SeqCst);
    });
    Connection::new(client)
}

/// As [`net`], with servers that say word for word what `answer` gives for a head, until the client closes.
pub(crate) fn scripted<F>(answer: F) -> (Arc<Net>, Builder)
where
    F: Fn(&str) -> String + Clone + Send + Sync + 'static,
{
    net(move |mut peer| {
        let answer = answer.clone();
        async move {
            while let Some(head) = peer.head().await {
                let host = format!("\r\nhost: {}", peer.host);
                assert!(head.to_lowercase().contains(&host), "{head} went to {}", peer.host);
                peer.write(answer(&head)).await;
            }
        }
    })
}

/// A hyper server for each connection, which answers by `answer`.
pub(crate) fn http<F, Fut>(answer: F) -> (Arc<Net>, Builder)
where
    F: Fn(Request<Incoming>, usize) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    net(move |peer| serve_http(peer, answer.clone()))
}

/// Serves one connection by hyper.
pub(crate) async fn serve_http<F, Fut>(peer: Peer, answer: F)
where
    F: Fn(Request<Incoming>, usize) -> Fut,
    Fut: Future<Output = Response<Full<Bytes>>>,
{
    let index = peer.index;
    let service = hyper::service::service_fn(|request| {
        let answering = answer(request, index);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    // How a connection ends is what the tests look at from the other side.
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(peer.io), service).await.ok();
}

/// Answers everything with the number of the connection.
pub(crate) fn numbered() -> (Arc<Net>, Builder) {
    http(|_, index| async move { text(index) })
}

/// Answers with the number of the connection, after as many seconds as the path says.
pub(crate) fn slow() -> (Arc<Net>, Builder) {
    http(|request, index| async move {
        let seconds = request.uri().path().trim_start_matches('/').parse().unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
        text(index)
    })
}

pub(crate) fn text(body: impl std::fmt::Display) -> Response<Full<Bytes>> {
    Response::new(Full::from(body.to_string()))
}

impl Peer {
    /// Reads one request without a body; `None` at the end of the connection.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.io.read_u8().await.ok()?);
        }
        Some(String::from_utf8(head).unwrap())
    }

    pub(crate) async fn read(&mut self, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.io.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }

    pub(crate) async fn write(&mut self, text: impl AsRef<[u8]>) {
        // A client that is gone is what some tests are about.
        self.io.write_all(text.as_ref()).await.ok();
    }

    /// Waits for the client to close.
    pub(crate) async fn closed(&mut self) {
        let mut bytes = [0; 4096];
        while !matches!(self.io.read(&mut bytes).await, Ok(0) | Err(_)) {}
    }
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub(crate) fn get(url: &str) -> Request<RequestBody> {
    Request::get(url).body(RequestBody::empty()).unwrap()
}

pub(crate) fn post(url: &str, body: impl Into<RequestBody>) -> Request<RequestBody> {
    Request::post(url).body(body.into()).unwrap()
}

pub(crate) async fn read(response: Response<ResponseBody>) -> Result<String, Error> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// A GET, its response read to the end. One that never ends fails the test, which costs nothing in paused time.
pub(crate) async fn fetch(transport: &Transport, url: &str) -> Result<String, Error> {
    let whole = async { read(transport.round_trip(get(url)).await?).await };
    let whole = tokio::time::timeout(std::time::Duration::from_secs(3600), whole).await;
    whole.unwrap_or_else(|_| panic!("no answer from {url}"))
}

/// As [`fetch`], all at once; the answers in the order of the URLs.
pub(crate) async fn fetch_all(transport: &Transport, urls: &[&str]) -> Vec<String> {
    futures_util::future::join_all(urls.iter().map(|url| async { fetch(transport, url).await.unwrap() }))
        .await
}

pub(crate) fn total(transport: &Transport) -> ConnStats {
    transport.stats().total
}

/// Lets everything run that can without time going on.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// A log of what happened, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, what: impl std::fmt::Display) {
        self.0.lock().unwrap().push(what.to_string());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

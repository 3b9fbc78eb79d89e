//! A thousand requests at once over four connections, to a server of its own: `cargo run -p dunlin-http --example limited`.

use std::convert::Infallible;
use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dunlin_http::{RequestBody, Transport};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(serve(listener));

    let transport = Transport::builder().max_conns_per_host(4).max_idle_conns_per_host(4).build();
    let begin = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        let (transport, request) = (transport.clone(), http::Request::get(&url).body(RequestBody::empty())?);
        requests.spawn(async move { transport.round_trip(request).await?.into_body().collect().await });
    }
    while let Some(finished) = requests.join_next().await {
        finished??;
    }
    let total = transport.stats().total;
    let mut out = std::io::stdout().lock();
    writeln!(out, "1000 requests in {:?}", begin.elapsed())?;
    writeln!(out, "{} connections opened, used again {} times", total.opened, total.reused)?;
    Ok(())
}

/// Answers everything after two milliseconds.
async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper::service::service_fn(|_| async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from_static(b"hello"))))
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A connection that fails is its client's business.
        tokio::spawn(async { connection.await.ok() });
    }
}

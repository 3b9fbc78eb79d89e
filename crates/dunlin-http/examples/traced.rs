//! What happens to two requests, with times: `cargo run -p dunlin-http --example traced -- https://example.com/`.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dunlin_http::dial::Target;
use dunlin_http::trace::{GotConn, Trace, TraceError};
use dunlin_http::{CloseCause, ConnKey, RequestBody, Transport};
use http_body_util::BodyExt;

/// Writes a line for each step.
struct Steps(Instant);

impl Steps {
    fn say(&self, what: &str) {
        let since = self.0.elapsed();
        // Nobody to tell is no reason to fail.
        writeln!(std::io::stdout(), "{since:>12.1?}  {what}").ok();
    }
}

impl Trace for Steps {
    fn get_conn(&self, key: &ConnKey) {
        self.say(&format!("a connection is wanted to {key}"));
    }

    fn dns_done(&self, host: &str, result: Result<&[SocketAddr], TraceError<'_>>) {
        self.say(&format!("{host} is {result:?}"));
    }

    fn connect_done(&self, target: &Target, result: Result<Option<SocketAddr>, TraceError<'_>>) {
        self.say(&format!("connected to {target}: {result:?}"));
    }

    fn tls_handshake_done(&self, result: Result<Option<&[u8]>, TraceError<'_>>) {
        let protocol = result.map(|protocol| protocol.map(String::from_utf8_lossy));
        self.say(&format!("TLS: {protocol:?}"));
    }

    fn got_conn(&self, got: &GotConn<'_>) {
        self.say(&format!("connection {}, used before: {}", got.conn.id, got.is_reused));
    }

    fn wrote_request(&self, _result: Result<(), TraceError<'_>>) {
        self.say("the request is written");
    }

    fn got_first_response_byte(&self) {
        self.say("the response begins");
    }

    fn put_idle_conn(&self, result: Result<(), CloseCause>) {
        self.say(&format!("the connection is kept: {result:?}"));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: traced URL")?;
    let transport = Transport::builder().trace(Arc::new(Steps(Instant::now()))).build();
    for _ in 0..2 {
        let request = http::Request::get(&url).body(RequestBody::empty())?;
        let body = transport.round_trip(request).await?.into_body().collect().await?.to_bytes();
        writeln!(std::io::stdout(), "{:>12}  {} bytes", "", body.len())?;
    }
    Ok(())
}

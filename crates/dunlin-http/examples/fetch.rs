//! Fetches a URL and prints it: `cargo run -p dunlin-http --example fetch -- https://example.com/`.

use std::io::Write;

use dunlin_http::{RequestBody, Transport};
use http_body_util::BodyExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: fetch URL")?;
    let request = http::Request::get(url).body(RequestBody::empty())?;
    let response = Transport::builder().proxy_from_environment().build().round_trip(request).await?;

    let mut out = std::io::stdout().lock();
    writeln!(out, "{:?} {}", response.version(), response.status())?;
    for (name, value) in response.headers() {
        writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    writeln!(out)?;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            out.write_all(&data)?;
        }
    }
    Ok(())
}

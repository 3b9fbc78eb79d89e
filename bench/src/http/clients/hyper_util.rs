//! hyper-util's legacy client: hyper's own pool, without a limit of connections.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Semaphore;

use super::{Client, IDLE_MAX, Session, check};
use crate::http::{Protocol, Target};

/// The client, and a gate around whole requests where there is a limit, for the client has none.
#[derive(Debug, Clone)]
pub struct HyperUtil {
    client: Legacy<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    uri: Uri,
    gate: Option<Arc<Semaphore>>,
}

impl HyperUtil {
    /// A client for this target.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read.
    pub fn new(target: &Target) -> Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new().with_tls_config(target.trust()?).https_or_http();
        let connector = match target.protocol {
            Protocol::H1 => builder.enable_http1().wrap_connector(http),
            Protocol::H2 => builder.enable_http2().wrap_connector(http),
        };
        let mut builder = Legacy::builder(TokioExecutor::new());
        builder.pool_max_idle_per_host(IDLE_MAX).http2_only(target.protocol == Protocol::H2);
        // One connection of HTTP/2 has many requests, which the gate would hold back.
        let is_gated = target.conns_max > 0 && target.protocol == Protocol::H1;
        let gate = is_gated.then(|| Arc::new(Semaphore::new(target.conns_max)));
        Ok(Self { client: builder.build(connector), uri: target.target.clone(), gate })
    }
}

impl Client for HyperUtil {
    type Session = Self;

    async fn session(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl Session for HyperUtil {
    async fn get(&mut self) -> Result<Bytes> {
        let _permit = match &self.gate {
            Some(gate) => Some(gate.acquire().await?),
            None => None,
        };
        let request = Request::get(self.uri.clone()).body(Empty::new())?;
        let response = self.client.request(request).await?;
        check(response.status())?;
        Ok(response.into_body().collect().await?.to_bytes())
    }
}

//! dunlin-http as a client under measurement.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use dunlin_http::{Protocols, RequestBody, Transport};
use http::{Request, Uri};
use http_body_util::BodyExt;

use super::{Client, IDLE_MAX, Session, check};
use crate::http::{Protocol, Target};

/// dunlin-http with its defaults, but for the numbers of connections.
#[derive(Debug, Clone)]
pub struct Dunlin {
    transport: Transport,
    uri: Uri,
}

impl Dunlin {
    /// A client for this target.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read.
    pub fn new(target: &Target) -> Result<Self> {
        let protocols = match target.protocol {
            Protocol::H1 => Protocols::Http1,
            Protocol::H2 => Protocols::Negotiated,
        };
        let builder = Transport::builder().tls(Arc::new(target.trust()?)).protocols(protocols);
        let builder = builder.max_idle_conns(IDLE_MAX).max_idle_conns_per_host(IDLE_MAX);
        Ok(Self {
            transport: builder.max_conns_per_host(target.conns_max).build(),
            uri: target.target.clone(),
        })
    }
}

impl Client for Dunlin {
    type Session = Self;

    async fn session(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl Session for Dunlin {
    async fn get(&mut self) -> Result<Bytes> {
        let request = Request::get(self.uri.clone()).body(RequestBody::empty())?;
        let response = self.transport.round_trip(request).await?;
        check(response.status())?;
        Ok(response.into_body().collect().await?.to_bytes())
    }
}

//! reqwest, with the recipe that is passed on for a limit of connections.

use anyhow::Result;
use bytes::Bytes;
use tower::limit::ConcurrencyLimitLayer;

use super::{Client, IDLE_MAX, Session, check};
use crate::http::{Protocol, Target};

/// The client and the URL as it takes it.
#[derive(Debug, Clone)]
pub struct Reqwest {
    client: reqwest::Client,
    url: reqwest::Url,
}

impl Reqwest {
    /// A client for this target. Where there is a limit, it is on the dials that go on at a time; there is no other.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read.
    pub fn new(target: &Target) -> Result<Self> {
        let mut builder = reqwest::Client::builder().no_proxy().tcp_nodelay(true);
        builder = builder
            .pool_max_idle_per_host(IDLE_MAX)
            .tls_backend_preconfigured(target.tls()?.as_ref().clone());
        if target.protocol == Protocol::H1 {
            builder = builder.http1_only();
        }
        if target.conns_max > 0 {
            builder = builder.connector_layer(ConcurrencyLimitLayer::new(target.conns_max));
        }
        Ok(Self { client: builder.build()?, url: target.target.to_string().parse()? })
    }
}

impl Client for Reqwest {
    type Session = Self;

    async fn session(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl Session for Reqwest {
    async fn get(&mut self) -> Result<Bytes> {
        let response = self.client.get(self.url.clone()).send().await?;
        check(response.status())?;
        Ok(response.bytes().await?)
    }
}

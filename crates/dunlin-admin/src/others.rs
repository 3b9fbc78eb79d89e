//! Other nodes, each asked at its own admin port with the token that all share: what they say of themselves, whose sessions they have, and to kick one.

use std::path::Path;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use dunlin_http::{RequestBody, Transport};
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use http_body_util::{BodyExt as _, Limited};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::access::{CHANGE, Token};
use crate::error::AdminError;
use crate::limits::{OTHER_LEN_MAX, OTHER_TIMEOUT, OTHERS_AT_ONCE_MAX};

/// The way to other nodes' admin ports.
pub(crate) struct Others {
    transport: Transport,
    token: Option<Token>,
}

/// What came of asking a node.
pub(crate) enum Answer<T> {
    Said(T),
    Silent(&'static str),
}

impl Others {
    /// A way that trusts those whom this authority has signed, or else whom the public knows.
    ///
    /// # Errors
    ///
    /// [`AdminError::Authority`].
    pub(crate) fn new(token: Option<Token>, authority: Option<&Path>) -> Result<Self, AdminError> {
        let mut builder = Transport::builder().max_conns_per_host(2).dial_timeout(Some(OTHER_TIMEOUT));
        if let Some(path) = authority {
            builder = builder.tls(Arc::new(trusting(path)?));
        }
        Ok(Self { transport: builder.build(), token })
    }

    /// Asks nodes at their URLs for a path, all at the same time, and none for longer than half a second.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        nodes: Vec<(u64, String)>,
        path: &str,
    ) -> Vec<(u64, Answer<T>)> {
        let asking = nodes.into_iter().map(|(id, url)| async move {
            let url = format!("{}{path}", url.trim_end_matches('/'));
            let request = Request::get(url).body(RequestBody::empty()).ok();
            (id, self.answer(request).await)
        });
        iter(asking).buffer_unordered(OTHERS_AT_ONCE_MAX).collect().await
    }

    /// Asks one node to do something.
    pub(crate) async fn act<T: DeserializeOwned>(
        &self,
        url: &str,
        action: &str,
        about: &impl Serialize,
    ) -> Answer<T> {
        let body = serde_json::to_vec(about).unwrap_or_default();
        let request = Request::post(format!("{}/admin/api/do/{action}", url.trim_end_matches('/')))
            .header(CONTENT_TYPE, "application/json")
            .header(CHANGE, "1")
            .body(RequestBody::from(body))
            .ok();
        self.answer(request).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: Option<Request<RequestBody>>) -> Answer<T> {
        match timeout(OTHER_TIMEOUT, self.send(request)).await {
            Ok(Some(Ok(there))) => Answer::Said(there),
            Ok(Some(Err(StatusCode::UNAUTHORIZED))) => Answer::Silent("it has another token"),
            Ok(Some(Err(_))) => Answer::Silent("it refused to answer"),
            Ok(None) => Answer::Silent("it is not reached"),
            Err(_) => Answer::Silent("it did not answer in time"),
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Option<Request<RequestBody>>,
    ) -> Option<Result<T, StatusCode>> {
        let mut request = request?;
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.bearer().parse().ok()?);
        }
        let response = self.transport.round_trip(request).await.ok()?;
        if !response.status().is_success() {
            return Some(Err(response.status()));
        }
        let body = Limited::new(response.into_body(), OTHER_LEN_MAX).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok().map(Ok)
    }
}

fn trusting(path: &Path) -> Result<ClientConfig, AdminError> {
    let failed = |source| AdminError::Authority { path: path.to_owned(), source: Arc::new(source) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
        // One that cannot check others is as none; who has no other is not reached.
        roots.add(certificate.map_err(failed)?).ok();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.expect("ring has what the versions of TLS need");
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

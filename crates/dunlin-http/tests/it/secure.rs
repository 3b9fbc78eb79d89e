//! TLS over the pipes: authorities, certificates of every kind, and servers of both protocols.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::support::Peer;

pub(crate) const TLS_URL: &str = "https://host.test/";

/// Somebody who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// A certificate with its key.
pub(crate) struct Identity {
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// A certificate for a host that ends with the year.
    pub(crate) fn sign(&self, host: &str, year: i32) -> Identity {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Identity { cert, key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())) }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        roots
    }

    /// A client that trusts this authority.
    pub(crate) fn client(&self, identity: Option<Identity>) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        Arc::new(match identity {
            Some(Identity { cert, key }) => builder.with_client_auth_cert(vec![cert], key).unwrap(),
            None => builder.with_no_client_auth(),
        })
    }

    /// A server that speaks these protocols, and takes only clients of this authority if it `asks`.
    pub(crate) fn server(&self, identity: Identity, protocols: &[&str], asks: bool) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks {
            let roots = Arc::new(self.roots());
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(vec![identity.cert], identity.key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Serves one connection over TLS, in the protocol agreed on.
pub(crate) async fn serve_tls<F, Fut>(peer: Peer, acceptor: TlsAcceptor, answer: F)
where
    F: Fn(Request<Incoming>, usize) -> Fut,
    Fut: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let index = peer.index;
    // A handshake that fails is what some tests look at from the other side.
    let Ok(stream) = acceptor.accept(peer.io).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return serve_http2(stream, index, (100, answer)).await;
    }
    let service = hyper::service::service_fn(|request| {
        let answering = answer(request, index);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

/// Serves one HTTP/2 connection that takes so many streams at a time.
pub(crate) async fn serve_http2<F, Fut>(
    io: impl AsyncRead + AsyncWrite + Unpin,
    index: usize,
    (streams_max, answer): (u32, F),
) where
    F: Fn(Request<Incoming>, usize) -> Fut,
    Fut: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = hyper::service::service_fn(|request| {
        let answering = answer(request, index);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).max_concurrent_streams(streams_max);
    builder.serve_connection(TokioIo::new(io), service).await.ok();
}

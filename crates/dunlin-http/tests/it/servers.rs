//! More servers for the other end of the pipes: any IO, HTTP/2, TLS.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

/// A client and a server of `host.test` that trust each other. The server speaks the protocols of `alpn`.
pub(crate) fn trust(alpn: &[&str]) -> (Arc<ClientConfig>, TlsAcceptor) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["host.test".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    (Arc::new(client), TlsAcceptor::from(Arc::new(server)))
}

/// Serves one HTTP/1 connection by hyper.
pub(crate) async fn serve_http1<I, F, Fut, B>(io: I, answer: F)
where
    I: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>) -> Fut,
    Fut: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    let service = hyper::service::service_fn(|request| {
        let answering = answer(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    // How a connection ends is what the tests look at from the other side.
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await.ok();
}

/// Serves one HTTP/2 connection by hyper, until it ends or `leaves` does: then with a goodbye, and what is on it to its
/// end.
pub(crate) async fn serve_http2<I, F, Fut, B>(
    io: I,
    streams_max: u32,
    answer: F,
    leaves: impl Future<Output = ()>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>) -> Fut,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let service = hyper::service::service_fn(|request| {
        let answering = answer(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let mut serving = std::pin::pin!(
        builder.max_concurrent_streams(streams_max).serve_connection(TokioIo::new(io), service)
    );
    tokio::select! {
        biased;
        _ = serving.as_mut() => return,
        () = leaves => serving.as_mut().graceful_shutdown(),
    }
    // How a connection ends is what the tests look at from the other side.
    serving.await.ok();
}

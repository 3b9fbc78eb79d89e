//! Connecting: each transport, what is said on the way, and each way it fails.

use std::sync::Arc;
use std::time::Duration;

use dunlin_client::{Client, ConnectError};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::server::{Behaviour, Seen, Server};

async fn assert_echoes(client: &Client) {
    let value = json!({"text": "héllo 😀", "n": 1});
    let echoed: Value = client.request("Echo.echo", &value).await.unwrap();
    assert_eq!(echoed, value);
}

fn certificate(name: &str) -> (CertificateDer<'static>, Arc<rustls::ServerConfig>) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (cert.der().clone(), Arc::new(config))
}

#[tokio::test]
async fn websocket_and_tcp_carry_requests() {
    for (behaviour, scheme) in [(Behaviour::WEBSOCKET, "ws"), (Behaviour::TCP, "tcp")] {
        let server = Server::start(behaviour).await;
        let client = Client::connect(&server.url(scheme)).await.unwrap();
        assert_echoes(&client).await;
        client.close().await;
    }
}

#[tokio::test]
async fn tls_carries_requests_over_websocket_and_tcp() {
    let (root, tls) = certificate("127.0.0.1");
    for (behaviour, scheme) in [(Behaviour::WEBSOCKET, "wss"), (Behaviour::TCP, "tls")] {
        let server = Server::start_tls(behaviour, Arc::clone(&tls)).await;
        let builder = Client::builder(&server.url(scheme)).root_certificate(root.clone());
        let client = builder.connect().await.unwrap();
        assert_echoes(&client).await;
        client.close().await;
    }
}

#[tokio::test]
async fn certificate_that_is_not_trusted_or_for_another_name_is_refused() {
    let (root, tls) = certificate("other.example");
    let server = Server::start_tls(Behaviour::WEBSOCKET, tls).await;
    let untrusting = Client::connect(&server.url("wss")).await.unwrap_err();
    assert!(matches!(untrusting, ConnectError::Tls { .. }), "{untrusting:?}");
    let builder = Client::builder(&server.url("wss")).root_certificate(root);
    let misnamed = builder.connect().await.unwrap_err();
    assert!(matches!(misnamed, ConnectError::Tls { .. }), "{misnamed:?}");
}

#[tokio::test]
async fn upgrade_and_handshake_say_what_was_chosen() {
    let mut server = Server::start(Behaviour::WEBSOCKET).await;
    let builder =
        Client::builder(&server.url("ws")).user(json!({"name": "ann"})).origin("http://page.example");
    let client = builder.connect().await.unwrap();
    let host = server.address.to_string();
    let upgrade = Seen::Upgrade {
        path: "/path?query".to_owned(),
        host,
        origin: Some("http://page.example".to_owned()),
    };
    assert_eq!(server.seen.recv().await, Some(upgrade));
    let caps = ["away/1", "err/1", "utf8/1", "zlib/1"].map(str::to_owned).to_vec();
    assert_eq!(server.seen.recv().await, Some(Seen::Handshake { user: json!({"name": "ann"}), caps }));
    assert_eq!(client.handshake().user, Some(json!({"name": "ann"})));
    assert!(client.round_trip().is_some());
}

#[tokio::test]
async fn refused_handshake_says_code_and_message() {
    for (behaviour, scheme) in [(Behaviour::WEBSOCKET, "ws"), (Behaviour::TCP, "tcp")] {
        let behaviour = Behaviour { refusal: Some((401, "no token")), ..behaviour };
        let server = Server::start(behaviour).await;
        let error = Client::connect(&server.url(scheme)).await.unwrap_err();
        assert!(!error.is_retryable());
        let ConnectError::Refused { code: 401, message } = error else { panic!("{error:?}") };
        assert_eq!(message.as_deref(), Some("no token"));
    }
}

#[tokio::test]
async fn refused_upgrade_says_the_status() {
    for (status, is_retryable) in [(403, false), (429, true), (503, true)] {
        let behaviour = Behaviour { upgrade_refusal: Some(status), ..Behaviour::WEBSOCKET };
        let server = Server::start(behaviour).await;
        let error = Client::connect(&server.url("ws")).await.unwrap_err();
        assert!(matches!(error, ConnectError::Upgrade(_)), "{error:?}");
        assert_eq!(error.is_retryable(), is_retryable);
    }
}

#[tokio::test]
async fn address_where_nobody_listens_is_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::connect(&format!("tcp://{address}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tcp { .. }) && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn what_is_no_address_or_no_header_is_refused_before_anything_is_sent() {
    let error = Client::connect("http://a").await.unwrap_err();
    assert!(matches!(error, ConnectError::Url(_)), "{error:?}");
    let mut server = Server::start(Behaviour::WEBSOCKET).await;
    let error = Client::builder(&server.url("ws")).header("X", "a\r\nb").connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::UpgradeRequest(_)), "{error:?}");
    assert_eq!(server.seen.recv().await, Some(Seen::Gone));
}

#[tokio::test(start_paused = true)]
async fn mute_server_is_given_up_after_the_connect_timeout() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let (seen, _keep) = tokio::sync::mpsc::unbounded_channel();
    let behaviour = Behaviour { is_mute: true, ..Behaviour::TCP };
    tokio::spawn(crate::server::serve(theirs, behaviour, seen));
    let before = tokio::time::Instant::now();
    let builder = Client::builder("tcp://pipe:1").connect_timeout(Duration::from_secs(7));
    let error = builder.connect_over(ours).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }) && error.is_retryable(), "{error:?}");
    assert_eq!(before.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn half_an_upgrade_is_given_up_after_the_connect_timeout() {
    use tokio::io::AsyncWriteExt;
    let (ours, mut theirs) = tokio::io::duplex(4096);
    theirs.write_all(b"HTTP/1.1 101 Switching").await.unwrap();
    let error = Client::builder("ws://pipe/").connect_over(ours).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn server_that_ends_during_the_handshake_is_an_error() {
    let (ours, theirs) = tokio::io::duplex(4096);
    drop(theirs);
    let error = Client::builder("tcp://pipe:1").connect_over(ours).await.unwrap_err();
    assert!(matches!(error, ConnectError::Lost(_)), "{error:?}");
}

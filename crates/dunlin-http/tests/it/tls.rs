//! Whom the transport trusts, who trusts it, and what they agree to speak.

use std::sync::Arc;
use std::time::Duration;

use dunlin_http::{Builder, Error, ErrorKind, Protocol, Protocols, TimeoutKind};
use http::Version;
use tokio::time::{Instant, sleep};

use crate::secure::{Authority, Identity, TLS_URL, serve_tls};
use crate::support::{Net, fetch, get, net, read, settle, text, total};

/// A server with this certificate that answers with the version of the request.
fn server(authority: &Authority, identity: Identity, protocols: &[&str], asks: bool) -> (Arc<Net>, Builder) {
    let acceptor = authority.server(identity, protocols, asks);
    net(move |peer| {
        serve_tls(
            peer,
            acceptor.clone(),
            |request, _| async move { text(format!("{:?}", request.version())) },
        )
    })
}

fn is_of_tls(error: &Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        next = error.source();
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_a_known_authority_for_the_host_is_taken() {
    let authority = Authority::new();
    let (net, builder) = server(&authority, authority.sign("host.test", 2999), &[], false);
    let transport = builder.tls(authority.client(None)).build();
    for _ in 0..2 {
        assert_eq!(fetch(&transport, TLS_URL).await.unwrap(), "HTTP/1.1");
    }
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_name_an_unknown_authority_and_an_expired_certificate_are_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (what, identity) in [
        ("name", authority.sign("other.test", 2999)),
        ("authority", stranger.sign("host.test", 2999)),
        ("expired", authority.sign("host.test", 2001)),
    ] {
        let (net, builder) = server(&authority, identity, &["h2", "http/1.1"], false);
        let transport = builder.tls(authority.client(None)).build();
        let error = fetch(&transport, TLS_URL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{what}");
        assert!(error.is_connect() && !error.has_sent_bytes() && is_of_tls(&error), "{what}: {error:?}");
        settle().await;
        assert_eq!((net.open(), total(&transport).dials_failed), (0, 1), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_public_authorities_are_trusted_when_none_are_named() {
    let authority = Authority::new();
    let (_net, builder) = server(&authority, authority.sign("host.test", 2999), &[], false);
    let error = fetch(&builder.build(), TLS_URL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
}

#[tokio::test(start_paused = true)]
async fn both_sides_agree_on_the_protocol() {
    let authority = Authority::new();
    for (offers, protocols, version) in [
        (&["h2", "http/1.1"][..], Protocols::Negotiated, Version::HTTP_2),
        (&["http/1.1"][..], Protocols::Negotiated, Version::HTTP_11),
        (&[][..], Protocols::Negotiated, Version::HTTP_11),
        (&["h2", "http/1.1"][..], Protocols::Http1, Version::HTTP_11),
        (&["h2", "http/1.1"][..], Protocols::Http2PriorKnowledge, Version::HTTP_2),
    ] {
        let (_net, builder) = server(&authority, authority.sign("host.test", 2999), offers, false);
        let transport = builder.tls(authority.client(None)).protocols(protocols).build();
        let response = transport.round_trip(get(TLS_URL)).await.unwrap();
        assert_eq!(response.version(), version, "{offers:?} {protocols:?}");
        let protocol = response.body().conn().unwrap().protocol;
        assert_eq!(protocol == Protocol::Http2, version == Version::HTTP_2);
        assert_eq!(read(response).await.unwrap(), format!("{version:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_to_upgrade_has_a_connection_that_speaks_http1() {
    let authority = Authority::new();
    let (net, builder) = server(&authority, authority.sign("host.test", 2999), &["h2", "http/1.1"], false);
    let transport = builder.tls(authority.client(None)).build();
    assert_eq!(fetch(&transport, TLS_URL).await.unwrap(), "HTTP/2.0");
    let mut request = get(TLS_URL);
    request.headers_mut().insert("connection", "upgrade".parse().unwrap());
    request.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    let response = transport.round_trip(request).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "HTTP/1.1");
    assert_eq!(net.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_a_client_certificate_takes_those_of_its_authority_alone() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for protocols in [&["h2"][..], &["http/1.1"][..]] {
        let (_net, builder) = server(&authority, authority.sign("host.test", 2999), protocols, true);
        let known = authority.client(Some(authority.sign("client", 2999)));
        assert!(fetch(&builder.tls(known).build(), TLS_URL).await.is_ok());

        for identity in [None, Some(stranger.sign("client", 2999)), Some(authority.sign("client", 2001))] {
            let (net, builder) = server(&authority, authority.sign("host.test", 2999), protocols, true);
            let transport = builder.tls(authority.client(identity)).build();
            // With TLS 1.3 the client is done before the server has looked, so the refusal comes with the response.
            let error = fetch(&transport, TLS_URL).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Tls | ErrorKind::ClosedByPeer), "{error:?}");
            settle().await;
            assert_eq!((net.open(), total(&transport).open()), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_takes_too_long_is_a_timeout_of_its_own_kind() {
    let (net, builder) = net(|mut peer| async move {
        sleep(Duration::from_secs(60)).await;
        peer.closed().await;
    });
    let transport = builder
        .dial_timeout(Duration::from_secs(3))
        .tls_handshake_timeout(Duration::from_secs(7))
        .tls(Authority::new().client(None))
        .build();
    let start = Instant::now();
    let error = fetch(&transport, TLS_URL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutKind::TlsHandshake));
    assert!(error.is_connect() && !error.has_sent_bytes());
    assert_eq!(start.elapsed().as_secs(), 7);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(net.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_no_tls_is_told_from_one_that_cannot_be_reached() {
    let (_net, builder) = net(|mut peer| async move { peer.write("HTTP/1.1 400 Bad Request\r\n\r\n").await });
    let transport = builder.tls(Authority::new().client(None)).build();
    assert_eq!(fetch(&transport, TLS_URL).await.unwrap_err().kind(), ErrorKind::Tls);
}

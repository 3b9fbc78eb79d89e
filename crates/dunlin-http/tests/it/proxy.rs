//! Ways through proxies, each against one that is played at the other end of the pipe.

use std::sync::Arc;

use dunlin_http::{Builder, ErrorKind, ProxyMatcher};

use crate::secure::{Authority, TLS_URL, serve_tls};
use crate::support::{Log, Net, OK, Peer, fetch, get, net, read, text, total};

const PLAIN: &str = "http://far.test/path?query";

fn through(proxy: &str) -> ProxyMatcher {
    ProxyMatcher::builder().all(proxy).no("near.test").build()
}

/// A proxy that writes down whom it was dialed as and the heads it reads, and answers them itself.
fn plain() -> (Log, Arc<Net>, Builder) {
    let log = Log::default();
    let told = log.clone();
    let (net, builder) = net(move |mut peer| {
        let told = told.clone();
        async move {
            while let Some(head) = peer.head().await {
                told.add(format!("{} {}", peer.host, head.to_lowercase()));
                peer.write(OK).await;
            }
        }
    });
    (log, net, builder)
}

#[tokio::test(start_paused = true)]
async fn a_plain_request_is_sent_to_the_proxy_whole_and_without_its_password() {
    let (log, net, builder) = plain();
    let transport = builder.proxy(through("http://ann:secret@proxy.test:3128")).build();
    fetch(&transport, PLAIN).await.unwrap();
    fetch(&transport, "http://bob:word@other.test:8080/").await.unwrap();
    let told = log.all();
    assert!(told[0].starts_with("proxy.test get http://far.test/path?query http/1.1\r\n"), "{told:?}");
    assert!(told[0].contains("\r\nhost: far.test\r\n"), "{told:?}");
    // `ann:secret`, in lower case as the rest.
    assert!(told[0].contains("\r\nproxy-authorization: basic yw5uonnly3jlda==\r\n"), "{told:?}");
    assert!(told[1].starts_with("proxy.test get http://other.test:8080/ http/1.1\r\n"), "{told:?}");
    assert_eq!(net.dials(), 1, "one connection to the proxy serves all hosts");
}

#[tokio::test(start_paused = true)]
async fn no_proxy_is_used_unless_it_is_said_nor_for_hosts_that_are_left_out() {
    let (log, _net, builder) = plain();
    let transport = builder.build();
    fetch(&transport, PLAIN).await.unwrap();
    assert!(log.all()[0].starts_with("far.test get /path?query http/1.1\r\n"));

    let (log, _net, builder) = plain();
    let transport = builder.proxy(through("http://proxy.test:3128")).build();
    fetch(&transport, "http://near.test/").await.unwrap();
    assert!(log.all()[0].starts_with("near.test get / http/1.1\r\n"));
}

/// Serves `https` behind whatever `opens` the way to it.
async fn serve_behind(peer: Peer, authority: Arc<Authority>) {
    let acceptor = authority.server(authority.sign("host.test", 2999), &["h2"], false);
    serve_tls(peer, acceptor, |request, _| async move { text(format!("{:?}", request.version())) }).await;
}

#[tokio::test(start_paused = true)]
async fn https_goes_through_a_tunnel_that_is_asked_for_with_the_password() {
    let (authority, log) = (Arc::new(Authority::new()), Log::default());
    let (served, told) = (authority.clone(), log.clone());
    let (net, builder) = net(move |mut peer| {
        let (authority, told) = (served.clone(), told.clone());
        async move {
            told.add(peer.head().await.unwrap());
            peer.write("HTTP/1.1 200 Connection established\r\n\r\n").await;
            serve_behind(peer, authority).await;
        }
    });
    let matcher = through("http://ann:secret@proxy.test:3128");
    let transport = builder.tls(authority.client(None)).proxy(matcher).build();
    for _ in 0..2 {
        assert_eq!(fetch(&transport, TLS_URL).await.unwrap(), "HTTP/2.0");
    }
    assert_eq!(net.dials(), 1);
    let told = log.all();
    assert!(told[0].starts_with("CONNECT host.test:443 HTTP/1.1\r\n"), "{told:?}");
    assert!(told[0].contains("Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n"), "{told:?}");
    let key = transport.key(&TLS_URL.parse().unwrap()).unwrap();
    assert!(!key.to_string().contains("secret"), "{key}");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_makes_no_tunnel_is_told_from_the_server() {
    for answer in
        ["HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\n\r\n", ""]
    {
        let (net, builder) = net(move |mut peer| async move {
            peer.head().await;
            peer.write(answer).await;
        });
        let transport = builder.proxy(through("http://proxy.test:3128")).build();
        let error = fetch(&transport, TLS_URL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Proxy, "{answer}");
        assert!(error.is_connect() && !error.has_sent_bytes());
        assert_eq!((net.dials(), total(&transport).dials_failed), (1, 1));
    }
}

/// The server's side of SOCKS 5 (RFC 1928), with a password (RFC 1929) if there is one.
async fn socks(peer: &mut Peer, log: &Log, password: Option<&[u8]>) {
    let greeting = peer.read(2).await.unwrap();
    let methods = peer.read(usize::from(greeting[1])).await.unwrap();
    let method = if password.is_some() { 2 } else { 0 };
    assert!(greeting[0] == 5 && methods.contains(&method), "{methods:?}");
    peer.write([5, method]).await;
    if let Some(password) = password {
        assert_eq!(peer.read(password.len()).await.unwrap(), password);
        peer.write([1, 0]).await;
    }
    let request = peer.read(5).await.unwrap();
    assert_eq!(request[..4], [5, 1, 0, 3], "a connect by name");
    let name = peer.read(usize::from(request[4])).await.unwrap();
    let port = peer.read(2).await.unwrap();
    let port = u16::from_be_bytes([port[0], port[1]]);
    log.add(format!("{} asks for {}:{port}", peer.host, String::from_utf8(name).unwrap()));
    peer.write([5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await;
}

#[tokio::test(start_paused = true)]
async fn socks_leads_plain_and_secure_requests_to_their_server() {
    let (authority, log) = (Arc::new(Authority::new()), Log::default());
    for (url, proxy, password) in [
        (PLAIN, "socks5h://proxy.test:1080", None),
        (PLAIN, "socks5h://ann:secret@proxy.test", Some(&b"\x01\x03ann\x06secret"[..])),
        (TLS_URL, "socks5h://proxy.test:1080", None),
    ] {
        let (served, told) = (authority.clone(), log.clone());
        let (_net, builder) = net(move |mut peer| {
            let (authority, log) = (served.clone(), told.clone());
            async move {
                socks(&mut peer, &log, password).await;
                if url == TLS_URL {
                    return serve_behind(peer, authority).await;
                }
                let head = peer.head().await.unwrap();
                assert!(head.starts_with("GET /path?query HTTP/1.1\r\n"), "{head}");
                peer.write(OK).await;
            }
        });
        let transport = builder.tls(authority.client(None)).proxy(through(proxy)).build();
        let response = transport.round_trip(get(url)).await.unwrap();
        assert_eq!(read(response).await.unwrap(), if url == TLS_URL { "HTTP/2.0" } else { "ok" });
    }
    let far = "proxy.test asks for far.test:80";
    assert_eq!(log.all(), [far, far, "proxy.test asks for host.test:443"]);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_may_be_reached_by_tls_itself() {
    let authority = Arc::new(Authority::new());
    let served = authority.clone();
    let (_net, builder) = net(move |peer| {
        let acceptor = served.server(served.sign("proxy.test", 2999), &["http/1.1"], false);
        serve_tls(peer, acceptor, |request, _| async move { text(request.uri()) })
    });
    let transport = builder.tls(authority.client(None)).proxy(through("https://proxy.test")).build();
    assert_eq!(fetch(&transport, PLAIN).await.unwrap(), PLAIN);
}

//! What a trace is told of a request: each thing once, in order, and nothing that did not happen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dunlin_http::dial::Target;
use dunlin_http::trace::{GotConn, RequestTrace, Trace, TraceError};
use dunlin_http::{Builder, CloseCause, ConnKey, Protocols, RequestBody, Transport};
use http::{HeaderMap, Request, StatusCode};
use tokio::time::sleep;

use crate::bodies::{Wanted, fed};
use crate::secure::{Authority, TLS_URL, serve_http2, serve_tls};
use crate::support::{Log, OK, URL, fetch, get, net, post, read, settle, text};

/// Writes down everything it is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(pub(crate) Log);

impl Trace for Told {
    fn get_conn(&self, key: &ConnKey) {
        self.0.add(format!("get {key}"));
    }
    fn got_conn(&self, got: &GotConn<'_>) {
        let idle = got.idle_for.map(|idle| idle.as_secs());
        self.0.add(format!("got {} {idle:?}", if got.is_reused { "reused" } else { "fresh" }));
    }
    fn put_idle_conn(&self, result: Result<(), CloseCause>) {
        self.0.add(format!("put {result:?}"));
    }
    fn dns_start(&self, host: &str) {
        self.0.add(format!("dns {host}"));
    }
    fn dns_done(&self, _host: &str, result: Result<&[SocketAddr], TraceError<'_>>) {
        self.0.add(format!("dns done {}", result.is_ok_and(|addrs| !addrs.is_empty())));
    }
    fn connect_start(&self, target: &Target) {
        self.0.add(format!("connect {}", target.host));
    }
    fn connect_done(&self, _target: &Target, result: Result<Option<SocketAddr>, TraceError<'_>>) {
        self.0.add(format!("connected {}", result.is_ok()));
    }
    fn tls_handshake_start(&self) {
        self.0.add("tls");
    }
    fn tls_handshake_done(&self, result: Result<Option<&[u8]>, TraceError<'_>>) {
        self.0.add(format!("tls done {:?}", result.ok().map(|name| name.map(<[u8]>::len))));
    }
    fn wrote_headers(&self) {
        self.0.add("wrote headers");
    }
    fn wait_100_continue(&self) {
        self.0.add("waits");
    }
    fn got_100_continue(&self) {
        self.0.add("got leave");
    }
    fn got_1xx(&self, status: StatusCode, _headers: &HeaderMap) -> std::ops::ControlFlow<()> {
        self.0.add(status.as_u16());
        std::ops::ControlFlow::Continue(())
    }
    fn wrote_request(&self, result: Result<(), TraceError<'_>>) {
        self.0.add(format!("wrote request {}", result.is_ok()));
    }
    fn got_first_response_byte(&self) {
        self.0.add("first byte");
    }
}

fn traced(mut request: Request<RequestBody>) -> (Log, Request<RequestBody>) {
    let told = Told::default();
    request.extensions_mut().insert(RequestTrace::new(Arc::new(told.clone())));
    (told.0, request)
}

async fn send(transport: &Transport, request: Request<RequestBody>) -> Log {
    let (log, request) = traced(request);
    if let Ok(response) = transport.round_trip(request).await {
        read(response).await.unwrap();
    }
    settle().await;
    log
}

fn answering() -> Builder {
    net(|mut peer| async move {
        while let Some(head) = peer.head().await {
            let len = if head.starts_with("POST") { "4\r\nbody\r\n0\r\n\r\n".len() } else { 0 };
            if head.contains("100-continue") {
                peer.write("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").await;
            }
            peer.read(len).await;
            peer.write(OK).await;
        }
    })
    .1
}

#[tokio::test(start_paused = true)]
async fn a_plain_request_is_told_from_the_dial_to_its_return_and_a_second_one_that_it_reuses() {
    let transport = answering().build();
    let log = send(&transport, get(URL)).await;
    let get_conn = "get http://host.test";
    let exchange = ["wrote headers", "wrote request true", "first byte", "put Ok(())"];
    let dial = [get_conn, "connect host.test", "connected true", "got fresh None"];
    assert_eq!(log.all(), [&dial[..], &exchange].concat());
    sleep(Duration::from_secs(3)).await;
    let log = send(&transport, get(URL)).await;
    assert_eq!(log.all(), [&[get_conn, "got reused Some(3)"][..], &exchange].concat());
}

#[tokio::test(start_paused = true)]
async fn a_body_in_many_frames_writes_its_head_once() {
    let transport = answering().build();
    let (log, request) = {
        let (feeder, body, _) = fed();
        let traced = traced(post(URL, RequestBody::stream(body)));
        tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            feeder.send(Ok("body".into())).unwrap();
            sleep(Duration::from_secs(1)).await;
        });
        traced
    };
    read(transport.round_trip(request).await.unwrap()).await.unwrap();
    let told = log.all();
    assert_eq!(told[4..], ["wrote headers", "wrote request true", "first byte", "put Ok(())"], "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn leave_to_send_is_told_with_the_informational_responses() {
    let transport = answering().build();
    let (feeder, body, _) = fed();
    feeder.send(Ok("body".into())).unwrap();
    drop(feeder);
    let mut request = post(URL, RequestBody::stream(body));
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    let told = send(&transport, request).await.all();
    let expected = [
        "waits",
        "wrote headers",
        "first byte",
        "103",
        "got leave",
        "100",
        "wrote request true",
        "put Ok(())",
    ];
    assert_eq!(told[4..], expected, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_is_told_with_its_protocol_and_its_failure_and_its_timeout() {
    let authority = Authority::new();
    for (host, speaks, expected) in [
        ("host.test", true, "tls done Some(Some(2))"),
        ("other.test", true, "tls done None"),
        ("host.test", false, "tls done None"),
    ] {
        let acceptor = authority.server(authority.sign(host, 2999), &["h2"], false);
        let (_net, builder) = net(move |peer| {
            let acceptor = acceptor.clone();
            async move {
                if speaks {
                    serve_tls(peer, acceptor, |_, _| async { text("ok") }).await;
                } else {
                    sleep(Duration::from_secs(60)).await;
                }
            }
        });
        let transport = builder.tls(authority.client(None)).build();
        let told = send(&transport, get(TLS_URL)).await.all();
        assert_eq!(told[2..5], ["connected true", "tls", expected], "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_is_told_to_each_request_and_never_put_back() {
    let (_net, builder) = net(|peer| serve_http2(peer.io, peer.index, (100, |_, _| async { text("ok") })));
    let transport = builder.protocols(Protocols::Http2PriorKnowledge).build();
    let told = send(&transport, get(URL)).await.all();
    assert_eq!(told[3..], ["got fresh None", "wrote request true", "first byte"], "{told:?}");
    sleep(Duration::from_secs(2)).await;
    let told = send(&transport, get(URL)).await.all();
    let expected = ["get http://host.test", "got reused Some(2)", "wrote request true", "first byte"];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_told_as_failed() {
    let failing =
        |_: dunlin_http::dial::DialContext| async { Err::<dunlin_http::dial::Connection, _>(Wanted) };
    let transport = Transport::builder().dial_context(failing).build();
    let told = send(&transport, get(URL)).await.all();
    assert_eq!(told, ["get http://host.test", "connect host.test", "connected false"]);

    let (_net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.closed().await;
    });
    let transport = builder.build();
    let (feeder, body, _) = fed();
    feeder.send(Err(Wanted.into())).unwrap();
    let told = send(&transport, post(URL, RequestBody::stream(body))).await.all();
    assert_eq!(told.last().unwrap(), "wrote request false", "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_kept_is_put_with_the_reason() {
    let transport = answering().disable_keep_alives(true).build();
    let told = send(&transport, get(URL)).await.all();
    assert!(told.last().unwrap().starts_with("put Err("), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_sent_again_is_told_for_each_attempt() {
    let (_net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write(OK).await;
        peer.head().await;
    });
    let transport = builder.build();
    fetch(&transport, URL).await.unwrap();
    let told = send(&transport, get(URL)).await.all();
    let attempts: Vec<_> = told.iter().filter(|what| what.starts_with("got ")).collect();
    assert_eq!(attempts, ["got reused Some(0)", "got fresh None"]);
    assert_eq!(told.iter().filter(|what| *what == "first byte").count(), 1);
    assert_eq!(told.iter().filter(|what| *what == "wrote request true").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_a_transport_is_told_unless_a_request_has_its_own() {
    let common = Told::default();
    let transport = answering().trace(Arc::new(common.clone())).build();
    let own = send(&transport, get(URL)).await;
    assert!(own.all().len() == 8 && common.0.all().is_empty());
    fetch(&transport, URL).await.unwrap();
    assert_eq!((own.all().len(), common.0.all().len()), (8, 6));
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_hears_nothing_changes_nothing() {
    struct Deaf;
    impl Trace for Deaf {}
    let transport = answering().trace(Arc::new(Deaf)).build();
    for _ in 0..2 {
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
    }
    assert_eq!(transport.stats().total.opened, 1);
}

//! Bodies that wait for leave, informational responses, and connections that stop being HTTP.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use dunlin_http::trace::{RequestTrace, Trace};
use dunlin_http::{ErrorKind, LimitKind, RequestBody, upgrade};
use http::{HeaderMap, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::bodies::fed;
use crate::support::{Log, OK, Peer, URL, fetch, get, net, post, read, settle, total};

fn expecting(body: &'static str) -> Request<RequestBody> {
    let mut request = post(URL, body);
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    request
}

/// Reads the head of a request whose body must not come by itself.
async fn head_alone(peer: &mut Peer) {
    let head = peer.head().await.unwrap();
    assert!(head.contains("expect: 100-continue"), "{head}");
    let early = tokio::time::timeout(Duration::from_millis(500), peer.read(1)).await;
    assert!(early.is_err(), "the body did not wait: {early:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_expects_leave_is_sent_when_it_is_given() {
    let (_net, builder) = net(|mut peer| async move {
        head_alone(&mut peer).await;
        peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
        let start = Instant::now();
        assert_eq!(peer.read(4).await.unwrap(), b"body");
        assert_eq!(start.elapsed(), Duration::ZERO);
        peer.write(OK).await;
        peer.closed().await;
    });
    let transport = builder.expect_continue_timeout(Duration::from_secs(60)).build();
    let response = transport.round_trip(expecting("body")).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "ok");
    settle().await;
    assert_eq!(total(&transport).idle, 1);
}

#[tokio::test(start_paused = true)]
async fn a_final_answer_without_leave_has_the_body_sent_if_the_connection_goes_on() {
    for status in ["200 OK", "500 Internal Server Error"] {
        let (net, builder) = net(move |mut peer| async move {
            head_alone(&mut peer).await;
            peer.write(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok")).await;
            assert_eq!(peer.read(4).await.unwrap(), b"body");
            peer.head().await.unwrap();
            peer.write(OK).await;
            peer.closed().await;
        });
        let transport = builder.expect_continue_timeout(Duration::from_secs(60)).build();
        let response = transport.round_trip(expecting("body")).await.unwrap();
        assert_eq!(read(response).await.unwrap(), "ok");
        settle().await;
        fetch(&transport, URL).await.unwrap();
        assert_eq!(net.dials(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_answer_that_closes_has_the_body_left_out() {
    for answer in [
        "HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.0 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno",
    ] {
        let (net, builder) = net(move |mut peer| async move {
            head_alone(&mut peer).await;
            peer.write(answer).await;
            let mut rest = Vec::new();
            peer.io.read_to_end(&mut rest).await.ok();
            assert_eq!(rest, b"", "the body was sent");
        });
        let transport = builder.expect_continue_timeout(Duration::from_secs(60)).build();
        let (feeder, body, seen) = fed();
        feeder.send(Ok("body".into())).unwrap();
        let mut request = post(URL, RequestBody::stream(body));
        request.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let response = transport.round_trip(request).await.unwrap();
        assert_eq!(response.status(), 417);
        assert_eq!(read(response).await.unwrap(), "no");
        settle().await;
        assert_eq!((seen.frames(), seen.drops(), net.open()), (0, 1, 0), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_sent_without_leave_when_the_time_is_up_and_at_once_if_none_is_set() {
    for (timeout, least) in [(Some(Duration::from_secs(3)), Duration::from_secs(3)), (None, Duration::ZERO)] {
        let (_net, builder) = net(move |mut peer| async move {
            peer.head().await.unwrap();
            let start = Instant::now();
            assert_eq!(peer.read(4).await.unwrap(), b"body");
            assert!(start.elapsed() >= least && start.elapsed() < least + Duration::from_millis(100));
            peer.write(OK).await;
            peer.closed().await;
        });
        let transport = builder.expect_continue_timeout(timeout).build();
        let response = transport.round_trip(expecting("body")).await.unwrap();
        assert_eq!(read(response).await.unwrap(), "ok");
    }
}

#[tokio::test(start_paused = true)]
async fn informational_responses_are_passed_over() {
    let (_net, builder) = net(|mut peer| async move {
        while peer.head().await.is_some() {
            for _ in 0..5 {
                peer.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
            }
            peer.write("HTTP/1.1 123 Who Knows\r\n\r\n").await;
            peer.write(OK).await;
        }
    });
    let transport = builder.build();
    for _ in 0..2 {
        let response = transport.round_trip(get(URL)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("link"));
        assert_eq!(read(response).await.unwrap(), "ok");
    }
}

/// Counts informational responses, and breaks off at one of them.
struct Informed {
    log: Log,
    last: usize,
}

impl Trace for Informed {
    fn got_1xx(&self, status: StatusCode, _headers: &HeaderMap) -> ControlFlow<()> {
        self.log.add(status.as_u16());
        if self.log.all().len() == self.last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn endless_informational_responses_are_too_long_a_head_unless_a_trace_takes_them() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(1000));
        for _ in 0..200 {
            peer.write(&hint).await;
            tokio::task::yield_now().await;
        }
        peer.write(OK).await;
    });
    let transport = builder.max_response_header_bytes(4000).build();
    let error = fetch(&transport, URL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::ResponseHeader));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(net.open(), 0);

    let log = Log::default();
    let mut request = get(URL);
    let trace = RequestTrace::new(Arc::new(Informed { log: log.clone(), last: usize::MAX }));
    request.extensions_mut().insert(trace);
    assert_eq!(read(transport.round_trip(request).await.unwrap()).await.unwrap(), "ok");
    assert_eq!(log.all().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_trace_can_end_a_request_at_an_informational_response() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        for _ in 0..3 {
            peer.write("HTTP/1.1 103 Early Hints\r\n\r\n").await;
            sleep(Duration::from_secs(1)).await;
        }
        peer.closed().await;
    });
    let log = Log::default();
    let transport = builder.trace(Arc::new(Informed { log: log.clone(), last: 2 })).build();
    let error = fetch(&transport, URL).await.unwrap_err();
    assert_eq!((error.kind(), log.all().len()), (ErrorKind::Cancelled, 2));
    sleep(Duration::from_secs(3)).await;
    assert_eq!((net.open(), total(&transport).open()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_switch_of_protocols_is_the_last_answer_and_leaves_a_byte_stream() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhi")
            .await;
        let (mut reads, mut writes) = tokio::io::split(peer.io);
        tokio::io::copy(&mut reads, &mut writes).await.ok();
    });
    let transport = builder.max_conns_per_host(1).build();
    let mut request = get(URL);
    request.headers_mut().insert("connection", "upgrade".parse().unwrap());
    request.headers_mut().insert("upgrade", "echo".parse().unwrap());
    let response = transport.round_trip(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut stream = upgrade(response).await.unwrap();
    stream.write_all(b" there").await.unwrap();
    let mut echo = [0; 8];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hi there");

    assert_eq!((total(&transport).active, total(&transport).idle), (1, 0), "its slot is taken");
    drop(stream);
    settle().await;
    assert_eq!((net.open(), total(&transport).open()), (0, 0));
}

fn connect_to(authority: &str) -> Request<RequestBody> {
    let builder = Request::builder().method("CONNECT").uri(URL).header("host", authority);
    builder.body(RequestBody::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_accepted_connect_is_a_tunnel_both_ways() {
    let (net, builder) = net(|mut peer| async move {
        let head = peer.head().await.unwrap();
        assert!(head.starts_with("CONNECT far.test:22 HTTP/1.1\r\n"), "{head}");
        peer.write("HTTP/1.1 200 OK\r\n\r\n").await;
        assert_eq!(peer.read(4).await.unwrap(), b"ping");
        peer.write("pong").await;
        peer.closed().await;
    });
    let transport = builder.build();
    let response = transport.round_trip(connect_to("far.test:22")).await.unwrap();
    let mut stream = upgrade(response).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut pong = [0; 4];
    stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"pong");
    stream.shutdown().await.unwrap();
    drop(stream);
    settle().await;
    assert_eq!((net.open(), total(&transport).open()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_connect_is_a_response_whose_connection_closes() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
        peer.closed().await;
    });
    let transport = builder.build();
    let response = transport.round_trip(connect_to("far.test:22")).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(read(response).await.unwrap(), "no");
    settle().await;
    assert_eq!((net.open(), total(&transport).open()), (0, 0));

    let response = transport.round_trip(connect_to("far.test:22")).await.unwrap();
    assert_eq!(upgrade(response).await.unwrap_err().kind(), ErrorKind::Protocol);
}

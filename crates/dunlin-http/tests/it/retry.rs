//! Connections that die: noticed while idle, survived by requests that may be sent again, and told by those that may not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dunlin_http::dial::{Connection, DialContext};
use dunlin_http::{Builder, Error, ErrorKind, RequestBody, Transport};
use http::Request;
use http_body_util::Full;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::bodies::{Breaks, Fragile, fed, is_caused_by_test};
use crate::support::{Net, OK, Peer, URL, fetch, net, post, read, settle, total};

/// How the first connection ends under its second request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Death {
    /// Not a byte of the request is taken.
    Unwritten,
    /// The request is read and the connection closed.
    Unanswered,
    /// So it is, after a few bytes of a response.
    HalfAnswered,
}

/// The first connection serves once and dies at the second request; the others say what they read.
fn dying(death: Death) -> (Arc<Net>, Builder) {
    let net = Arc::new(Net::default());
    let counted = net.clone();
    let builder = Transport::builder().dial_context(move |cx: DialContext| {
        let breaks = Arc::new(Breaks::default());
        let told = breaks.clone();
        let index = counted.dials();
        let (client, server) = tokio::io::duplex(64 * 1024);
        let serve = move |peer: Peer| serve_dying(Peer { io: server, ..peer }, death, told);
        let serve = std::sync::Mutex::new(Some(serve));
        // The pipe of the rig is replaced by one that can be broken from here.
        let start = |peer| {
            let serve = serve.lock().unwrap().take().unwrap();
            serve(peer)
        };
        drop(crate::support::connect(&counted, &cx, &start));
        let connection = if index == 0 {
            Connection::new(Fragile { io: client, breaks })
        } else {
            Connection::new(client)
        };
        async move { Ok::<_, Error>(connection) }
    });
    (net, builder)
}

async fn serve_dying(mut peer: Peer, death: Death, breaks: Arc<Breaks>) {
    if peer.index == 0 {
        peer.head().await.unwrap();
        if death == Death::Unwritten {
            breaks.break_writes();
        }
        peer.write(OK).await;
        if peer.head().await.is_some() && death == Death::HalfAnswered {
            peer.write("HTTP/1.1 2").await;
        }
        return;
    }
    while let Some(head) = peer.head().await {
        let head = head.to_lowercase();
        let len = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let body = match len {
            Some(len) => peer.read(len).await,
            None if head.contains("transfer-encoding") => peer.read("4\r\nbody\r\n0\r\n\r\n".len()).await,
            None => Some(Vec::new()),
        };
        let Some(body) = body else { return };
        let body = if body.starts_with(b"4\r\n") { b"body".to_vec() } else { body };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        // A response to HEAD has no body.
        peer.write([head.as_bytes(), &body].concat()).await;
    }
}

fn request(method: &str, header: Option<&'static str>, body: impl Into<RequestBody>) -> Request<RequestBody> {
    let mut builder = Request::builder().method(method).uri(URL);
    if let Some(name) = header {
        builder = builder.header(name, "1");
    }
    builder.body(body.into()).unwrap()
}

fn stream() -> RequestBody {
    RequestBody::stream(Full::new(Bytes::from_static(b"body")))
}

fn replay() -> RequestBody {
    RequestBody::replay(|| Full::new(Bytes::from_static(b"body")))
}

/// Sends it over a connection that has served and dies so; the body that the next one got, if it was sent again.
async fn second(death: Death, request: Request<RequestBody>) -> Result<String, Error> {
    let (net, builder) = dying(death);
    let transport = builder.build();
    fetch(&transport, URL).await.unwrap();
    let result = match transport.round_trip(request).await {
        Ok(response) => read(response).await,
        Err(error) => Err(error),
    };
    settle().await;
    let stats = total(&transport);
    assert_eq!((stats.active, stats.waiting, stats.dialing), (0, 0, 0));
    assert_eq!(stats.retries, u64::from(result.is_ok()));
    assert_eq!(net.dials(), 1 + usize::from(result.is_ok()));
    result
}

#[tokio::test(start_paused = true)]
async fn a_request_of_which_nothing_was_written_is_sent_again_whatever_its_method() {
    for request in [
        request("GET", None, ()),
        request("POST", None, ()),
        request("POST", None, "body"),
        request("PUT", None, replay()),
        request("DELETE", None, ()),
    ] {
        let what = format!("{request:?}");
        let expected = if request.body().can_be_made_again() && what.contains("Empty") { "" } else { "body" };
        assert_eq!(second(Death::Unwritten, request).await.unwrap(), expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_request_is_sent_again_after_it_was_written_if_its_body_can_be_made_again() {
    for (request, expected) in [
        (request("GET", None, ()), ""),
        (request("OPTIONS", None, ()), ""),
        (request("TRACE", None, ()), ""),
        (request("GET", None, "body"), "body"),
        (request("GET", None, replay()), "body"),
        (request("POST", Some("idempotency-key"), "body"), "body"),
        (request("POST", Some("x-idempotency-key"), replay()), "body"),
        (request("HEAD", None, ()), ""),
    ] {
        let what = format!("{request:?}");
        assert_eq!(second(Death::Unanswered, request).await.unwrap(), expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_requests_that_were_written_are_not_sent_again_and_say_so() {
    for request in [
        request("POST", None, ()),
        request("POST", None, "body"),
        request("PUT", None, "body"),
        request("DELETE", None, ()),
        request("PATCH", None, replay()),
        request("GET", None, stream()),
        request("POST", Some("idempotency-key"), stream()),
    ] {
        let what = format!("{request:?}");
        let error = second(Death::Unanswered, request).await.unwrap_err();
        assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::ClosedByPeer, true), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_response_began_is_never_sent_again() {
    for request in [request("GET", None, ()), request("POST", Some("idempotency-key"), "body")] {
        let error = second(Death::HalfAnswered, request).await.unwrap_err();
        assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::ClosedByPeer, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_read_from_is_not_sent_again_even_if_nothing_of_it_was_written() {
    let error = second(Death::Unwritten, request("POST", None, stream())).await.unwrap_err();
    assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::ClosedByPeer, false));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_not_read_from_is_left_to_the_next_attempt() {
    let mut request = request("POST", None, stream());
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    assert_eq!(second(Death::Unwritten, request).await.unwrap(), "body");
}

#[tokio::test(start_paused = true)]
async fn a_body_is_made_anew_for_each_attempt_and_for_no_other_reason() {
    let made = Arc::new(AtomicUsize::new(0));
    for (death, expected) in [(Death::Unanswered, 2), (Death::HalfAnswered, 1)] {
        made.store(0, Ordering::SeqCst);
        let counted = made.clone();
        let body = RequestBody::replay(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Full::new(Bytes::from_static(b"body"))
        });
        let result = second(death, request("POST", Some("idempotency-key"), body)).await;
        assert_eq!((made.load(Ordering::SeqCst), result.is_ok()), (expected, expected == 2), "{death:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_over_a_fresh_connection_is_not_sent_again() {
    let (net, builder) = net(|mut peer| async move { drop(peer.head().await) });
    let transport = builder.build();
    let error = fetch(&transport, URL).await.unwrap_err();
    assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::ClosedByPeer, true));
    assert_eq!((net.dials(), total(&transport).retries), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_post_never_meets_a_connection_that_was_closed_while_idle() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write(OK).await;
        sleep(Duration::from_secs(1)).await;
    });
    let transport = builder.build();
    fetch(&transport, URL).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let response = transport.round_trip(post(URL, stream())).await.unwrap();
    read(response).await.unwrap();
    assert_eq!((net.dials(), total(&transport).retries), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_get_survives_the_sudden_close_of_all_idle_connections() {
    for turns in 0..12 {
        let (closes, dead) = (CancellationToken::new(), Arc::new(AtomicUsize::new(3)));
        let told = closes.clone();
        let (_net, builder) = net(move |mut peer| {
            let closes = if peer.index < dead.load(Ordering::SeqCst) {
                told.clone()
            } else {
                CancellationToken::new()
            };
            async move {
                let serving = async {
                    while peer.head().await.is_some() {
                        sleep(Duration::from_millis(1)).await;
                        peer.write(OK).await;
                    }
                };
                closes.run_until_cancelled(serving).await;
            }
        });
        let transport = builder.max_idle_conns_per_host(3).build();
        let (a, b, c) = tokio::join!(fetch(&transport, URL), fetch(&transport, URL), fetch(&transport, URL));
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert_eq!(total(&transport).idle, 3);
        closes.cancel();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok", "after {turns} turns");
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_requests_to_a_server_that_keeps_closing_all_return() {
    let (net, builder) = net(|mut peer| async move {
        // Each serves from one to five requests; every other one closes before the next answer, the rest after one.
        for _ in 0..=peer.index * 7 % 5 {
            if peer.head().await.is_none() {
                return;
            }
            tokio::task::yield_now().await;
            peer.write(OK).await;
        }
        if peer.index % 2 == 0 {
            peer.head().await;
        }
    });
    let transport = builder.max_idle_conns_per_host(20).build();
    let workers = (0..20).map(|_| {
        let transport = transport.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    settle().await;
    let stats = total(&transport);
    assert!(stats.retries > 0 && net.dials() > 20, "nothing was closed under anybody");
    assert_eq!((stats.active, stats.waiting, stats.dialing), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_socket_is_told_unchanged() {
    let breaks = Arc::new(Breaks::default());
    let told = breaks.clone();
    let transport = Transport::builder()
        .dial_context(move |_: DialContext| {
            let (client, server) = tokio::io::duplex(1024);
            let breaks = told.clone();
            tokio::spawn(async move {
                let mut peer = Peer { io: server, index: 0, host: String::new() };
                peer.head().await;
                breaks.break_reads();
                peer.write("H").await;
                peer.closed().await;
            });
            let breaks = told.clone();
            async move { Ok::<_, Error>(Connection::new(Fragile { io: client, breaks })) }
        })
        .build();
    let error = fetch(&transport, URL).await.unwrap_err();
    assert!(is_caused_by_test(&error), "{error:?}");
    assert!(error.has_sent_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_nothing_drops_the_body_once_and_says_that_nothing_was_sent() {
    let breaks = Arc::new(Breaks::default());
    breaks.break_writes();
    let transport = Transport::builder()
        .dial_context(move |_: DialContext| {
            let (client, server) = tokio::io::duplex(1024);
            let breaks = breaks.clone();
            tokio::spawn(async move {
                sleep(Duration::from_secs(60)).await;
                drop(server);
            });
            async move { Ok::<_, Error>(Connection::new(Fragile { io: client, breaks })) }
        })
        .build();
    let (feeder, body, seen) = fed();
    let error = transport.round_trip(post(URL, RequestBody::stream(body))).await.unwrap_err();
    assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::ClosedByPeer, false));
    assert!(is_caused_by_test(&error), "{error:?}");
    settle().await;
    assert_eq!(seen.drops(), 1);
    assert!(feeder.is_closed());
    assert_eq!(total(&transport).open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_without_having_said_so_is_believed_its_response() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write(OK).await;
    });
    let transport = builder.build();
    for _ in 0..5 {
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
    }
    settle().await;
    assert_eq!((net.dials(), net.open(), total(&transport).open()), (5, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_get_through_a_dying_connection_goes_on_with_the_next_idle_one_before_it_dials() {
    let (net, builder) = net(|mut peer| async move {
        let (index, mut served) = (peer.index, 0);
        while peer.head().await.is_some() {
            served += 1;
            if index == 1 && served == 2 {
                return;
            }
            sleep(Duration::from_millis(1 + index as u64)).await;
            peer.write(OK).await;
        }
    });
    let transport = builder.build();
    let (a, b) = tokio::join!(fetch(&transport, URL), fetch(&transport, URL));
    assert!(a.is_ok() && b.is_ok());
    fetch(&transport, URL).await.unwrap();
    assert_eq!((net.dials(), total(&transport).retries), (2, 1));
}

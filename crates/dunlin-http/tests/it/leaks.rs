//! Nothing is left behind: connections, slots, places in the queue and tasks, wherever a request ends.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use dunlin_http::dial::DialContext;
use dunlin_http::{Builder, Error, OnCancelDial, Protocols, RequestBody, Transport};
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::servers::{serve_http1, serve_http2};
use crate::support::{Net, OK, Peer, URL, connect, fetch, net, post, scripted, settle, total};

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

async fn pause() {
    for _ in 0..3 {
        yield_now().await;
    }
}

/// Frames with a pause before each of them.
fn pieces(
    count: usize,
) -> StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static> {
    StreamBody::new(Box::pin(stream::unfold(0, move |index| async move {
        pause().await;
        (index < count).then(|| (Ok(Frame::data(Bytes::from_static(b"piece"))), index + 1))
    })))
}

#[tokio::test(start_paused = true)]
async fn connections_and_their_tasks_end_with_short_bodies_long_ones_and_none() {
    let before = tasks();
    for body in
        ["Content-Length: 0\r\n\r\n", "Content-Length: 8\r\n\r\nshort", "Connection: close\r\n\r\nrest"]
    {
        let (net, builder) = net(move |mut peer| async move {
            peer.head().await;
            peer.write(format!("HTTP/1.1 200 OK\r\n{body}")).await;
        });
        let transport = builder.build();
        for _ in 0..20 {
            // A body that is shorter than it said is an error, which is not what this is about.
            fetch(&transport, URL).await.ok();
        }
        settle().await;
        assert_eq!((net.dials(), net.open(), total(&transport).open()), (20, 0, 0), "{body}");
        drop(transport);
        settle().await;
        assert_eq!(tasks(), before, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_never_become_idle_leave_nothing() {
    let before = tasks();
    let (net, builder) = scripted(|_| OK.to_owned());
    let transport = builder.disable_keep_alives(true).build();
    for _ in 0..20 {
        fetch(&transport, URL).await.unwrap();
    }
    settle().await;
    assert_eq!((net.dials(), net.open(), tasks()), (20, 0, before));
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_of_a_transport_takes_its_idle_connections_and_tasks_with_it() {
    let before = tasks();
    let (net, builder) = scripted(|_| OK.to_owned());
    let transport = builder.build();
    fetch(&transport, URL).await.unwrap();
    let clone = transport.clone();
    drop(transport);
    settle().await;
    assert_eq!(net.open(), 1);
    drop(clone);
    sleep(Duration::from_secs(100)).await;
    assert_eq!((net.open(), tasks()), (0, before));
}

async fn serve_in_pieces(mut peer: Peer, is_http2: bool) {
    let answer = |request: Request<Incoming>| async {
        pause().await;
        // A client that is gone is what this is about.
        request.into_body().collect().await.ok();
        pause().await;
        Response::new(pieces(3))
    };
    if is_http2 {
        serve_http2(peer.io, 100, answer, std::future::pending()).await;
    } else if peer.index.is_multiple_of(2) {
        serve_http1(peer.io, answer).await;
    } else {
        // Heads in pieces, which hyper does not write.
        while let Some(head) = peer.head().await {
            let has_body = head.contains("chunked");
            while has_body && peer.read(1).await.is_some_and(|byte| byte != b"0") {}
            if has_body {
                peer.read(4).await;
            }
            for piece in ["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 4\r\n\r\n", "ab", "cd"] {
                pause().await;
                peer.write(piece).await;
            }
        }
    }
}

fn in_pieces(is_http2: bool) -> (Arc<Net>, Builder) {
    let net = Arc::new(Net::default());
    let counted = net.clone();
    let builder = Transport::builder().dial_context(move |cx: DialContext| {
        let counted = counted.clone();
        async move {
            pause().await;
            Ok::<_, Error>(connect(&counted, &cx, &|peer| serve_in_pieces(peer, is_http2)))
        }
    });
    let protocols = if is_http2 { Protocols::Http2PriorKnowledge } else { Protocols::Http1 };
    (net, builder.protocols(protocols).max_conns_per_host(1))
}

/// Polls a future so many times and drops it; `None` if it did not come to its end. `is_restless`: it is polled in
/// every turn of the runtime, not just when it was woken.
async fn poll_times<F: Future>(future: F, times: usize, is_restless: bool) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        if is_restless || left == 0 {
            cx.waker().wake_by_ref();
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

#[derive(Debug, Clone, Copy)]
struct Case {
    is_http2: bool,
    on_cancel: OnCancelDial,
    /// Another request has the only slot.
    is_busy: bool,
    /// The connection has served before.
    is_warm: bool,
    is_restless: bool,
}

/// Drops a request after so many polls; whether it had come to its end. Afterwards everything is as before it.
async fn cancel_after(polls: usize, case: Case) -> bool {
    let before = tasks();
    let (net, builder) = in_pieces(case.is_http2);
    let transport = builder.on_cancel_dial(case.on_cancel).build();
    if case.is_warm {
        fetch(&transport, URL).await.unwrap();
    }
    let busy = case.is_busy.then(|| {
        let transport = transport.clone();
        tokio::spawn(async move { fetch(&transport, URL).await })
    });
    if case.is_busy {
        yield_now().await;
    }
    let exchange = async {
        let body = RequestBody::stream(pieces(2));
        let response = transport.round_trip(post(URL, body)).await.unwrap();
        response.into_body().collect().await.unwrap();
    };
    let is_over = poll_times(exchange, polls, case.is_restless).await.is_some();
    assert!(total(&transport).open() <= 1, "{polls} polls, {case:?}");
    let later = timeout(Duration::from_secs(60), fetch(&transport, URL)).await;
    later.unwrap_or_else(|_| panic!("a slot was lost after {polls} polls, {case:?}")).unwrap();
    if let Some(busy) = busy {
        busy.await.unwrap().unwrap();
    }
    // A drain may be left, and a server that still answers.
    sleep(Duration::from_millis(100)).await;
    let stats = total(&transport);
    let left = (stats.active, stats.dialing, stats.closing, stats.waiting);
    assert_eq!(left, (0, 0, 0, 0), "{polls} polls, {case:?}");
    assert_eq!((stats.idle, net.open()), (1, 1), "{polls} polls, {case:?}");
    drop(transport);
    sleep(Duration::from_secs(100)).await;
    assert_eq!((net.open(), tasks()), (0, before), "{polls} polls, {case:?}");
    is_over
}

#[tokio::test(start_paused = true)]
async fn a_request_dropped_at_any_of_its_polls_leaks_nothing() {
    for flags in 0..32_u8 {
        let is = |bit: u8| flags & (1 << bit) != 0;
        let on_cancel = if is(1) { OnCancelDial::Keep } else { OnCancelDial::Abort };
        let case = Case { is_http2: is(0), on_cancel, is_busy: is(2), is_warm: is(3), is_restless: is(4) };
        let mut polls = 0;
        while !cancel_after(polls, case).await {
            polls += 1;
            assert!(polls < 1000, "it never ends: {case:?}");
        }
        assert!(polls > 3, "{polls} polls, {case:?}");
    }
}

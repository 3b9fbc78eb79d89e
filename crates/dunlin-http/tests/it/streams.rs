//! HTTP/2: what ends one stream and what ends the connection.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use dunlin_http::{Builder, CancelOn, CloseCause, Protocols};
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::servers::serve_http2;
use crate::support::{Net, URL, fetch, get, net, read, settle, total};

/// A server whose `/slow` takes ten seconds to begin and ten to end; it leaves when it is asked for `/leave`.
fn streaming() -> (std::sync::Arc<Net>, Builder) {
    let (net, builder) = net(|peer| async move {
        let leaves = Notify::new();
        let answer = |request: http::Request<hyper::body::Incoming>| {
            let path = request.uri().path().to_owned();
            if path == "/leave" {
                leaves.notify_one();
            }
            let pause = Duration::from_secs(if path == "/slow" { 10 } else { 0 });
            async move {
                sleep(pause).await;
                let frames = stream::unfold(0, move |index| async move {
                    sleep(pause / 2).await;
                    let frame = Frame::data(Bytes::from_static(b"x"));
                    (index < 2).then_some((Ok::<_, std::convert::Infallible>(frame), index + 1))
                });
                Response::new(StreamBody::new(frames))
            }
        };
        serve_http2(peer.io, 100, answer, leaves.notified()).await;
    });
    (net, builder.protocols(Protocols::Http2PriorKnowledge).max_conns_per_host(2))
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_stream_leaves_the_connection_to_the_others_and_to_the_next() {
    let (net, builder) = streaming();
    let transport = builder.build();
    let slow = tokio::spawn({
        let transport = transport.clone();
        async move { fetch(&transport, "http://host.test/slow").await }
    });
    settle().await;
    // Before the head, and while the body is read.
    for seconds in [5, 12] {
        for is_by_token in [true, false] {
            let token = CancellationToken::new();
            let mut request = get("http://host.test/slow");
            request.extensions_mut().insert(CancelOn(token.clone()));
            let whole = async { read(transport.round_trip(request).await?).await };
            let limit = Duration::from_secs(seconds);
            if is_by_token {
                let (result, ()) = tokio::join!(whole, async {
                    sleep(limit).await;
                    token.cancel();
                });
                assert!(result.unwrap_err().is_cancelled());
            } else {
                assert!(timeout(limit, whole).await.is_err());
            }
            assert_eq!(fetch(&transport, URL).await.unwrap(), "xx");
            assert_eq!(net.dials(), 1, "after {seconds} s, by token: {is_by_token}");
        }
    }
    assert_eq!(slow.await.unwrap().unwrap(), "xx");
    assert_eq!((net.dials(), total(&transport).idle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_server_says_goodbye_finishes_its_streams_and_takes_no_more() {
    let (net, builder) = streaming();
    let transport = builder.build();
    let asking = transport.clone();
    let mut slow = Box::pin(async move { fetch(&asking, "http://host.test/slow").await });
    // One that waits for the same dial, and finds out only after all others.
    let mut late = pin!(fetch(&transport, "http://host.test/late"));
    assert!(poll_fn(|cx| Poll::Ready(slow.as_mut().poll(cx).is_pending())).await);
    assert!(poll_fn(|cx| Poll::Ready(late.as_mut().poll(cx).is_pending())).await);
    let slow = tokio::spawn(slow);
    settle().await;
    fetch(&transport, "http://host.test/leave").await.unwrap();
    settle().await;
    assert_eq!(fetch(&transport, URL).await.unwrap(), "xx");
    assert_eq!(late.await.unwrap(), "xx");
    assert_eq!((net.dials(), net.open()), (2, 2));
    assert_eq!(slow.await.unwrap().unwrap(), "xx", "the stream that was there goes on");
    settle().await;
    assert_eq!((net.open(), total(&transport).open()), (1, 1));
    assert_eq!(total(&transport).closed.count(CloseCause::Peer), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_peer_has_stopped_reading_is_closed_all_the_same() {
    let (net, builder) = net(|peer| async move {
        // A peer that never reads: the pipe fills and stays full.
        let _held = peer.io;
        sleep(Duration::from_secs(3600)).await;
    });
    let transport = builder.protocols(Protocols::Http2PriorKnowledge).max_conns_per_host(1).build();
    let body = "x".repeat(1 << 20);
    let asked = transport.round_trip(crate::support::post(URL, body));
    assert!(timeout(Duration::from_secs(1), asked).await.is_err());
    assert_eq!((net.open(), total(&transport).open()), (1, 1));
    transport.close_idle();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(total(&transport).open(), 0, "its slot is free");
}

#[tokio::test(start_paused = true)]
async fn a_body_of_a_stream_that_is_dropped_leaves_the_connection() {
    let (net, builder) = streaming();
    let transport = builder.build();
    for _ in 0..3 {
        let mut body = transport.round_trip(get("http://host.test/slow")).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
    }
    assert_eq!((net.dials(), total(&transport).idle), (1, 1));
}

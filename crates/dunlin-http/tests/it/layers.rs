//! The transport among tower's services: as a service, with a deadline, with retries by policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dunlin_http::dial::{Connection, DialContext};
use dunlin_http::layer::{DeadlineLayer, RetryPolicy};
use dunlin_http::{Error, ErrorKind, RequestBody, ResponseBody, RoundTripper, TimeoutKind, Transport};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};
use tower::retry::RetryLayer;
use tower::{Layer, Service, ServiceExt};

use crate::bodies::{Wanted, fed};
use crate::support::{OK, URL, get, net, numbered, post, read, total};

#[tokio::test(start_paused = true)]
async fn the_transport_is_a_service_and_always_ready() {
    let (net, builder) = numbered();
    let mut service = builder.build();
    for _ in 0..2 {
        let response = service.ready().await.unwrap().call(get(URL)).await.unwrap();
        assert_eq!(read(response).await.unwrap(), "0");
    }
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_for_a_head_and_the_reading_of_a_body_and_nothing_else() {
    let (net, builder) = net(|mut peer| async move {
        while let Some(head) = peer.head().await {
            match head.split(' ').nth(1) {
                Some("/silent") => sleep(Duration::from_secs(60)).await,
                Some("/half") => {
                    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await;
                    sleep(Duration::from_secs(60)).await;
                }
                _ => peer.write(OK).await,
            }
        }
    });
    let transport = builder.build();
    let mut service = DeadlineLayer::new(Duration::from_secs(5)).layer(transport.clone());
    let start = Instant::now();
    let error = service.call(get("http://host.test/silent")).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout(TimeoutKind::Deadline), 5));

    let start = Instant::now();
    let mut body = service.call(get("http://host.test/half")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "o");
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout(TimeoutKind::Deadline), 5));
    assert!(body.frame().await.is_none());

    let response = service.call(get(URL)).await.unwrap();
    sleep(Duration::from_secs(9)).await;
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "ok", "what has come is not taken away");
    sleep(Duration::from_secs(60)).await;
    assert_eq!((net.dials(), net.open(), total(&transport).idle), (3, 1, 1));
}

/// Dials that fail so many times and then lead to a server that answers.
fn failing(times: usize) -> (Arc<AtomicUsize>, Transport) {
    let dials = Arc::new(AtomicUsize::new(0));
    let counted = dials.clone();
    let transport = Transport::builder()
        .dial_context(move |_: DialContext| {
            let is_failing = counted.fetch_add(1, Ordering::SeqCst) < times;
            async move {
                if is_failing {
                    return Err(Wanted);
                }
                let (client, server) = tokio::io::duplex(1024);
                tokio::spawn(async move {
                    let mut peer = crate::support::Peer { io: server, index: 0, host: String::new() };
                    peer.head().await;
                    peer.write(OK).await;
                });
                Ok(Connection::new(client))
            }
        })
        .build();
    (dials, transport)
}

#[tokio::test(start_paused = true)]
async fn a_policy_tries_again_what_was_not_sent_with_growing_pauses_and_then_gives_up() {
    for (failures, dials_expected) in [(2, 3), (9, 4)] {
        let (dials, transport) = failing(failures);
        let policy = RetryPolicy::new(3, Duration::from_secs(1));
        let mut service = RetryLayer::new(policy).layer(transport);
        let start = Instant::now();
        let result = service.ready().await.unwrap().call(post(URL, "body")).await;
        assert_eq!((dials.load(Ordering::SeqCst), result.is_ok()), (dials_expected, failures == 2));
        // Of pauses of 1, 2 and 4 seconds up to the half is left out.
        let most = if failures == 2 { 3.0 } else { 7.0 };
        let took = start.elapsed().as_secs_f64();
        assert!((most / 2.0..=most + 0.1).contains(&took), "{took}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_does_not_try_again_a_stream_nor_what_left() {
    let policy = RetryPolicy::new(3, Duration::from_secs(1));
    let (dials, transport) = failing(1);
    let mut service = RetryLayer::new(policy.clone()).layer(transport);
    let (_feeder, body, _) = fed();
    let result = service.ready().await.unwrap().call(post(URL, RequestBody::stream(body))).await;
    assert_eq!((result.unwrap_err().kind(), dials.load(Ordering::SeqCst)), (ErrorKind::Dial, 1));

    let (net, builder) = net(|mut peer| async move { drop(peer.head().await) });
    let mut service = RetryLayer::new(policy).layer(builder.build());
    let error = service.ready().await.unwrap().call(get(URL)).await.unwrap_err();
    assert_eq!((error.kind(), net.dials()), (ErrorKind::ClosedByPeer, 1));
}

#[tokio::test(start_paused = true)]
async fn a_policy_tries_again_on_a_status_if_it_is_told_to() {
    for (is_told, expected) in [(true, 200), (false, 503)] {
        let (_net, builder) = net(|mut peer| async move {
            for _ in 0..2 {
                peer.head().await;
                peer.write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
            }
            peer.head().await;
            peer.write(OK).await;
        });
        let mut policy = RetryPolicy::new(5, Duration::from_millis(10));
        if is_told {
            policy = policy.on_status(|status| status == 503);
        }
        let mut service = RetryLayer::new(policy).layer(builder.build());
        let response = service.ready().await.unwrap().call(get(URL)).await.unwrap();
        assert_eq!(response.status(), expected);
    }
}

/// What code that is written against the trait is tested with.
struct Played;

impl RoundTripper for Played {
    async fn round_trip(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Error> {
        let path = request.uri().path().to_owned();
        Ok(Response::new(bytes::Bytes::from(path).into()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_can_be_played() {
    let played = Arc::new(Played);
    let response = played.round_trip(get("http://host.test/path")).await.unwrap();
    assert!(response.body().conn().is_none());
    assert_eq!(read(response).await.unwrap(), "/path");
    played.close_idle();
}

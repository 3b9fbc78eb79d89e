//! Times that are up: each is told by its kind, and costs one connection and nothing else.

use std::time::Duration;

use dunlin_http::{CloseCause, ErrorKind, LimitKind, RequestBody, TimeoutKind};
use tokio::time::{Instant, sleep};

use crate::bodies::fed;
use crate::support::{OK, URL, fetch, get, http, net, post, read, settle, text, total};

#[tokio::test(start_paused = true)]
async fn a_response_that_does_not_begin_in_time_fails_its_request_alone() {
    let (net, builder) = http(|request, index| async move {
        if request.uri().path() == "/slow" {
            sleep(Duration::from_secs(60)).await;
        }
        text(index)
    });
    let transport = builder.response_header_timeout(Duration::from_secs(5)).build();
    assert_eq!(fetch(&transport, URL).await.unwrap(), "0");
    let start = Instant::now();
    let error = fetch(&transport, "http://host.test/slow").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutKind::ResponseHeader));
    assert!(error.is_timeout() && error.has_sent_bytes());
    assert_eq!(start.elapsed().as_secs(), 5);
    settle().await;
    assert_eq!((net.open(), total(&transport).closed.count(CloseCause::Timeout)), (0, 1));
    assert_eq!(fetch(&transport, URL).await.unwrap(), "1");
    assert_eq!(total(&transport).retries, 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_response_begins_when_the_request_is_fully_written() {
    let (_net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.read("4\r\nslow\r\n0\r\n\r\n".len()).await;
        sleep(Duration::from_secs(4)).await;
        peer.write(OK).await;
        peer.closed().await;
    });
    let transport = builder.response_header_timeout(Duration::from_secs(5)).build();
    let (feeder, body, _) = fed();
    let (response, ()) = tokio::join!(transport.round_trip(post(URL, RequestBody::stream(body))), async {
        sleep(Duration::from_secs(20)).await;
        feeder.send(Ok("slow".into())).unwrap();
        drop(feeder);
    });
    assert_eq!(read(response.unwrap()).await.unwrap(), "ok");
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_response_does_not_bound_its_body() {
    let (_net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
        sleep(Duration::from_secs(60)).await;
        peer.write("ok").await;
        peer.closed().await;
    });
    let transport = builder.response_header_timeout(Duration::from_secs(5)).build();
    assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_long_is_a_limit_of_its_own_kind() {
    for many in [false, true] {
        let (net, builder) = net(move |mut peer| async move {
            peer.head().await;
            peer.write("HTTP/1.1 200 OK\r\n").await;
            let line = if many { "A: b\r\n".repeat(200) } else { format!("A: {}\r\n", "b".repeat(100_000)) };
            peer.write(line).await;
            peer.write("\r\n").await;
            peer.closed().await;
        });
        let transport = builder.max_response_header_bytes(8000).max_response_headers(150).build();
        let error = fetch(&transport, URL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::ResponseHeader), "many: {many}");
        settle().await;
        assert_eq!((net.open(), total(&transport).open()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_within_the_limits_is_taken_and_a_longer_body_too() {
    let (_net, builder) = net(|mut peer| async move {
        peer.head().await;
        let line = "a".repeat(7000);
        peer.write(format!("HTTP/1.1 200 OK\r\nA: {line}\r\nContent-Length: 200000\r\n\r\n")).await;
        peer.write("x".repeat(200_000)).await;
        peer.closed().await;
    });
    let transport = builder.max_response_header_bytes(8000).build();
    assert_eq!(fetch(&transport, URL).await.unwrap().len(), 200_000);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_silent_or_takes_nothing_for_too_long_is_a_timeout() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        sleep(Duration::from_secs(60)).await;
    });
    let transport =
        builder.read_timeout(Duration::from_secs(5)).write_timeout(Duration::from_secs(3)).build();
    let start = Instant::now();
    let error = fetch(&transport, URL).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout(TimeoutKind::Read), 5));

    let start = Instant::now();
    let error = transport.round_trip(post(URL, vec![b'x'; 1 << 20])).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout(TimeoutKind::Write), 3));
    assert!(error.has_sent_bytes());
    sleep(Duration::from_secs(60)).await;
    assert_eq!((net.open(), total(&transport).open()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_pauses_longer_than_the_read_timeout_ends_with_it() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await;
        for text in ["a", "b"] {
            sleep(Duration::from_secs(4)).await;
            peer.write(text).await;
        }
        peer.closed().await;
    });
    let transport = builder.read_timeout(Duration::from_secs(5)).build();
    let start = Instant::now();
    let error = fetch(&transport, URL).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout(TimeoutKind::Read), 13));
    settle().await;
    assert_eq!(net.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_too_long_for_a_connection_is_told_so_and_leaves_the_queue() {
    let (_net, builder) = http(|_, index| async move {
        sleep(Duration::from_secs(10)).await;
        text(index)
    });
    let transport = builder.max_conns_per_host(1).wait_timeout(Duration::from_secs(2)).build();
    let (served, late) = tokio::join!(fetch(&transport, URL), async {
        tokio::task::yield_now().await;
        transport.round_trip(get(URL)).await
    });
    assert_eq!(served.unwrap(), "0");
    let error = late.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutKind::Wait));
    assert!(!error.has_sent_bytes());
    assert_eq!((total(&transport).waiting, total(&transport).idle), (0, 1));
}

//! What becomes of a body that is not read to its end, and of its connection.

use std::time::Duration;

use dunlin_http::{CloseCause, ErrorKind};
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};

use crate::support::{OK, URL, fetch, get, net, read, scripted, settle, total};

const KIB: usize = 1024;

fn sized(len: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{}", "x".repeat(len))
}

fn chunked(len: usize, trailers: &str) -> String {
    let chunk = format!("400\r\n{}\r\n", "x".repeat(KIB));
    format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{}0\r\n{trailers}\r\n",
        chunk.repeat(len / KIB)
    )
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_is_drained_if_it_is_short_and_else_closes_its_connection() {
    for (answer, dials) in [
        (sized(200 * KIB), 1),
        (sized(256 * KIB), 1),
        (sized(256 * KIB + 1), 2),
        (sized(500 * KIB), 2),
        (chunked(200 * KIB, ""), 1),
        (chunked(256 * KIB, ""), 1),
        (chunked(257 * KIB, ""), 2),
        (chunked(500 * KIB, ""), 2),
    ] {
        let head = answer.get(..60).unwrap().to_owned() + &answer.len().to_string();
        let (net, builder) = scripted(move |_| answer.clone());
        let transport = builder.build();
        for _ in 0..2 {
            drop(transport.round_trip(get(URL)).await.unwrap());
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(net.dials(), dials, "{head}");
        let stats = total(&transport);
        let closed = if dials == 1 { 0 } else { 2 };
        assert_eq!((stats.closed.count(CloseCause::Cancelled), stats.active), (closed, 0), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_before_the_end_of_a_drain_does_not_wait_for_it() {
    let (net, builder) = scripted(|_| sized(200 * KIB));
    let transport = builder.build();
    drop(transport.round_trip(get(URL)).await.unwrap());
    drop(transport.round_trip(get(URL)).await.unwrap());
    assert_eq!(net.dials(), 2);
    settle().await;
    assert_eq!((net.open(), total(&transport).idle), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_needs_no_drain_whatever_length_it_names() {
    let (net, builder) = scripted(|_| "HTTP/1.1 200 OK\r\nContent-Length: 512000\r\n\r\n".to_owned());
    let transport = builder.build();
    for _ in 0..3 {
        let mut request = get(URL);
        *request.method_mut() = Method::HEAD;
        drop(transport.round_trip(request).await.unwrap());
        assert_eq!(total(&transport).idle, 1);
    }
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_dropped_in_its_middle_is_drained_from_there() {
    let (net, builder) = scripted(|_| sized(300 * KIB));
    let transport = builder.build();
    let mut body = transport.round_trip(get(URL)).await.unwrap().into_body();
    let mut len = 0;
    while len < 100 * KIB {
        len += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    drop(body);
    settle().await;
    assert_eq!((net.open(), total(&transport).idle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_cut_short_tells_its_reader_and_loses_its_connection() {
    let (net, builder) = net(|mut peer| async move {
        while peer.head().await.is_some() {
            if peer.index == 0 {
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
                return;
            }
            peer.write(OK).await;
        }
    });
    let transport = builder.build();
    let mut body = transport.round_trip(get(URL)).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ClosedByPeer);
    assert!(body.frame().await.is_none(), "it is told once");
    drop(body);
    settle().await;
    assert_eq!((net.open(), total(&transport).open()), (0, 0));
    assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
    assert_eq!(net.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_cut_short_loses_its_connection() {
    for rest in ["", "GARBAGE\r\n"] {
        let (net, builder) = net(move |mut peer| async move {
            peer.head().await;
            peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await;
            sleep(Duration::from_millis(10)).await;
            peer.write(rest).await;
        });
        let transport = builder.build();
        drop(transport.round_trip(get(URL)).await.unwrap());
        settle().await;
        assert_eq!(total(&transport).active, 1, "its drain goes on");
        sleep(Duration::from_millis(20)).await;
        assert_eq!((net.open(), total(&transport).open()), (0, 0), "{rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_of_a_drained_body_are_consumed_and_those_of_a_read_one_arrive() {
    let (net, builder) = scripted(|_| chunked(4 * KIB, "X-Sum: 5\r\n"));
    let transport = builder.build();
    drop(transport.round_trip(get(URL)).await.unwrap());
    settle().await;
    let response = transport.round_trip(get(URL)).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "5");
    assert_eq!(collected.to_bytes().len(), 4 * KIB);
    assert_eq!((net.dials(), total(&transport).idle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_that_is_dropped_closes_its_connection_within_the_drain_timeout() {
    for pause in [1, 1000] {
        let (net, builder) = net(move |mut peer| async move {
            peer.head().await;
            peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            loop {
                tokio::select! {
                    () = peer.closed() => return,
                    () = sleep(Duration::from_millis(pause)) => {}
                }
                peer.write("1\r\nx\r\n").await;
            }
        });
        let transport = builder.build();
        let response = transport.round_trip(get(URL)).await.unwrap();
        let dropped_at = Instant::now();
        drop(response);
        assert_eq!(dropped_at.elapsed(), Duration::ZERO, "the caller does not wait");
        while net.open() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(dropped_at.elapsed() <= Duration::from_millis(52), "{:?}", dropped_at.elapsed());
        assert_eq!(total(&transport).closed.count(CloseCause::Cancelled), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_body_that_is_dropped_closes_its_connection_at_once() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx").await;
        peer.closed().await;
    });
    let transport = builder.build();
    drop(transport.round_trip(get(URL)).await.unwrap());
    settle().await;
    assert_eq!((net.open(), total(&transport).open()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_response_is_its_callers_while_the_body_is_drained() {
    let (net, builder) = scripted(|_| sized(200 * KIB));
    let transport = builder.build();
    let (mut head, body) = transport.round_trip(get(URL)).await.unwrap().into_parts();
    drop(body);
    head.headers.insert("x-mine", HeaderValue::from_static("yes"));
    settle().await;
    assert_eq!((head.headers.len(), net.dials(), total(&transport).idle), (2, 1, 1));
    assert_eq!(read(transport.round_trip(get(URL)).await.unwrap()).await.unwrap().len(), 200 * KIB);
}

#[tokio::test(start_paused = true)]
async fn how_much_and_how_long_is_drained_can_be_set() {
    for (len_max, timeout, idle) in [(KIB as u64, 1000, 0), (2 * KIB as u64, 1000, 1), (2 * KIB as u64, 1, 0)]
    {
        let (_net, builder) = net(|mut peer| async move {
            peer.head().await;
            peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 * KIB)).await;
            sleep(Duration::from_millis(100)).await;
            peer.write("x".repeat(2 * KIB)).await;
            peer.closed().await;
        });
        let transport = builder.drain(len_max, Duration::from_millis(timeout)).build();
        drop(transport.round_trip(get(URL)).await.unwrap());
        sleep(Duration::from_millis(200)).await;
        assert_eq!(total(&transport).open(), idle, "{len_max} bytes, {timeout} ms");
    }
}

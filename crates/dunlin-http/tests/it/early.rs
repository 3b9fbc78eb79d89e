//! Answers that come before the request is complete, writers that die, and what reaches the wire when.

use std::sync::Arc;
use std::time::Duration;

use dunlin_http::dial::{Connection, DialContext};
use dunlin_http::{Error, ErrorKind, RequestBody, Transport};
use tokio::time::{Instant, sleep};

use crate::bodies::{Breaks, Fragile, Wanted, endless, fed, given_up_after, is_caused_by_test};
use crate::support::{OK, Peer, URL, fetch, net, post, read, settle, total};

#[tokio::test(start_paused = true)]
async fn a_connection_whose_answer_came_before_the_end_of_the_request_is_not_used_again() {
    for answer in [OK, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"] {
        let (net, builder) = net(move |mut peer| async move {
            peer.head().await;
            peer.write(answer).await;
            peer.closed().await;
        });
        let transport = builder.build();
        let (feeder, body, seen) = fed();
        feeder.send(Ok("half".into())).unwrap();
        let start = Instant::now();
        let response = transport.round_trip(post(URL, RequestBody::stream(body))).await.unwrap();
        read(response).await.unwrap();
        // Small bodies end with their head; then the moment of grace is over at the latest here.
        sleep(Duration::from_millis(100)).await;
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!((total(&transport).idle, net.open(), seen.drops()), (0, 0, 1), "{answer}");
        assert!(feeder.is_closed());
        fetch(&transport, URL).await.unwrap();
        assert_eq!(net.dials(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_ends_in_the_moment_of_grace_leaves_a_connection_that_serves_again() {
    let (net, builder) = net(|mut peer| async move {
        while let Some(head) = peer.head().await {
            peer.write(OK).await;
            if head.starts_with("POST") {
                peer.read("4\r\nhalf\r\n4\r\nrest\r\n0\r\n\r\n".len()).await;
            }
        }
    });
    let transport = builder.build();
    let (feeder, body, _) = fed();
    feeder.send(Ok("half".into())).unwrap();
    let response = transport.round_trip(post(URL, RequestBody::stream(body))).await.unwrap();
    let (text, ()) = tokio::join!(read(response), async {
        sleep(Duration::from_millis(30)).await;
        feeder.send(Ok("rest".into())).unwrap();
        drop(feeder);
    });
    assert_eq!(text.unwrap(), "ok");
    settle().await;
    fetch(&transport, URL).await.unwrap();
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_a_big_body_and_closes_is_heard_every_time() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.read(1000).await;
        peer.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 7\r\n\r\nrefused").await;
    });
    let transport = builder.build();
    let big = vec![b'x'; 4 << 20];
    for _ in 0..100 {
        let response = transport.round_trip(post(URL, big.clone())).await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(read(response).await.unwrap(), "refused");
    }
    settle().await;
    assert_eq!((net.dials(), net.open(), total(&transport).open()), (100, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_a_moment_after_the_write_failed_is_heard_and_a_later_one_is_not_awaited() {
    for (pause, is_heard) in [(20, true), (200, false)] {
        let breaks = Arc::new(Breaks::default());
        let transport = Transport::builder()
            .dial_context(move |_: DialContext| {
                let (client, server) = tokio::io::duplex(1024);
                let (breaking, breaks) = (breaks.clone(), breaks.clone());
                tokio::spawn(async move {
                    let mut peer = Peer { io: server, index: 0, host: String::new() };
                    peer.head().await;
                    breaking.break_writes();
                    sleep(Duration::from_millis(500 + pause)).await;
                    peer.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno").await;
                    peer.closed().await;
                });
                async move { Ok::<_, Error>(Connection::new(Fragile { io: client, breaks })) }
            })
            .build();
        let (feeder, body, seen) = fed();
        let (result, ()) = tokio::join!(transport.round_trip(post(URL, RequestBody::stream(body))), async {
            sleep(Duration::from_millis(500)).await;
            feeder.send(Ok("late".into())).unwrap();
        });
        assert_eq!(result.is_ok(), is_heard, "after {pause} ms");
        match result {
            Ok(response) => assert_eq!(read(response).await.unwrap(), "no"),
            Err(error) => assert!(is_caused_by_test(&error) && error.has_sent_bytes(), "{error:?}"),
        }
        settle().await;
        assert_eq!((seen.drops(), total(&transport).open()), (1, 0), "after {pause} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_refusal_of_an_endless_body_can_be_read_and_stops_the_upload() {
    let refusal = "no".repeat(100_000);
    let told = refusal.clone();
    let (net, builder) = net(move |mut peer| {
        let refusal = told.clone();
        async move {
            peer.head().await;
            let head = format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n", refusal.len());
            let (mut reads, mut writes) = tokio::io::split(peer.io);
            let reading = async { tokio::io::copy(&mut reads, &mut tokio::io::sink()).await };
            let writing = async {
                tokio::io::AsyncWriteExt::write_all(&mut writes, (head + &refusal).as_bytes()).await.ok();
            };
            tokio::join!(reading, writing).0.ok();
        }
    });
    let transport = builder.build();
    let (feeder, body, seen) = fed();
    let feeding = tokio::spawn(async move {
        while feeder.send(Ok(vec![b'x'; 8192].into())).is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    let response = transport.round_trip(post(URL, RequestBody::stream(body))).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(read(response).await.unwrap(), refusal);
    feeding.await.unwrap();
    settle().await;
    assert_eq!((seen.drops(), net.open(), total(&transport).open()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_is_stopped_by_its_answer_though_nobody_reads_it() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write(OK).await;
        sleep(Duration::from_secs(1)).await;
        peer.closed().await;
    });
    let transport = builder.build();
    let (body, seen) = endless();
    let response = transport.round_trip(post(URL, RequestBody::stream(body))).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "ok");
    sleep(Duration::from_millis(100)).await;
    assert_eq!((seen.drops(), total(&transport).open()), (1, 0));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(net.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_fails_its_request_with_its_own_error_and_closes_the_connection() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.closed().await;
    });
    let transport = builder.build();
    for frames in 0..3 {
        let (feeder, body, seen) = fed();
        for _ in 0..frames {
            feeder.send(Ok("some".into())).unwrap();
        }
        feeder.send(Err(Wanted.into())).unwrap();
        let error = transport.round_trip(post(URL, RequestBody::stream(body))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Body, "after {frames} frames");
        assert!(is_caused_by_test(&error), "{error:?}");
        settle().await;
        assert_eq!((seen.drops(), net.open(), total(&transport).open()), (1, 0, 0));
    }
    assert_eq!(total(&transport).closed.total(), 3);
}

#[tokio::test(start_paused = true)]
async fn whenever_a_server_dies_under_an_upload_the_request_ends_and_nothing_is_left() {
    for read_len in (0..400).step_by(7) {
        let (net, builder) = net(move |mut peer| async move {
            peer.read(read_len).await;
        });
        let transport = builder.build();
        let (feeder, body, seen) = fed();
        let feeding = tokio::spawn(async move {
            for _ in 0..40 {
                feeder.send(Ok("0123456789".into())).ok();
                tokio::task::yield_now().await;
            }
        });
        let error = transport.round_trip(post(URL, RequestBody::stream(body))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClosedByPeer, "after {read_len} bytes: {error:?}");
        feeding.await.unwrap();
        settle().await;
        assert_eq!((seen.drops(), net.open(), total(&transport).open()), (1, 0, 0), "after {read_len} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_a_server_dies_in_its_answer_the_reader_gets_an_error_and_nothing_is_left() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for len in 0..answer.len() {
        let (net, builder) = net(move |mut peer| async move {
            peer.head().await;
            peer.write(&answer[..len]).await;
        });
        let transport = builder.build();
        let error = fetch(&transport, URL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClosedByPeer, "after {len} bytes: {error:?}");
        assert!(error.has_sent_bytes());
        settle().await;
        assert_eq!((net.open(), total(&transport).open()), (0, 0), "after {len} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_an_upload_is_given_up_its_body_is_dropped_and_its_slot_is_free() {
    for polls in 0..24 {
        let (net, builder) = net(|mut peer| async move {
            while peer.head().await.is_some() {
                peer.read(8).await;
                peer.write(OK).await;
            }
        });
        let transport = builder.max_conns_per_host(1).build();
        let (feeder, body, seen) = fed();
        feeder.send(Ok("12345678".into())).unwrap();
        let sending = transport.round_trip(post(URL, RequestBody::stream(body)));
        drop(given_up_after(polls, sending).await);
        // What had been dialed meanwhile may serve; what was under way is closed.
        sleep(Duration::from_millis(100)).await;
        assert_eq!((seen.drops(), total(&transport).active), (1, 0), "after {polls} polls");
        let next = transport.round_trip(post(URL, "12345678")).await.unwrap();
        assert_eq!(read(next).await.unwrap(), "ok", "after {polls} polls");
        assert!(net.dials() <= 2);
    }
}

#[tokio::test(start_paused = true)]
async fn head_and_frames_of_a_body_reach_the_wire_one_by_one() {
    let (_net, builder) = net(|mut peer| async move {
        peer.head().await;
        for text in ["1\r\na\r\n", "2\r\nbc\r\n", "0\r\n\r\n"] {
            let read = peer.read(text.len()).await.unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), text);
            peer.write("HTTP/1.1 103 Early Hints\r\n\r\n").await;
        }
        peer.write(OK).await;
        peer.closed().await;
    });
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let transport = builder.trace(Arc::new(Hints(heard))).build();
    let (feeder, body, _) = fed();
    let sending =
        tokio::spawn(
            async move { read(transport.round_trip(post(URL, RequestBody::stream(body))).await?).await },
        );
    for frame in ["a", "bc"] {
        // Nothing more is fed before the server has said that this one came.
        feeder.send(Ok(frame.into())).unwrap();
        hears.recv().await.unwrap();
    }
    drop(feeder);
    assert_eq!(sending.await.unwrap().unwrap(), "ok");
}

struct Hints(tokio::sync::mpsc::UnboundedSender<()>);

impl dunlin_http::trace::Trace for Hints {
    fn got_1xx(&self, _status: http::StatusCode, _headers: &http::HeaderMap) -> std::ops::ControlFlow<()> {
        self.0.send(()).ok();
        std::ops::ControlFlow::Continue(())
    }
}

//! HTTP/2 connections that end: with a goodbye, without a word, or before they began; and streams that are refused.

use std::time::Duration;

use bytes::Bytes;
use dunlin_http::{CloseCause, ErrorKind, Http2Ping, Protocols};
use http::Response;
use tokio::time::{Instant, sleep};

use crate::http2::{SLOW_URL, numbered};
use crate::secure::serve_http2;
use crate::support::{Log, URL, fetch, net, post, read, settle, total};

/// What a server made by hand does to a request.
type Respond = h2::server::SendResponse<Bytes>;

fn answer(mut respond: Respond, body: &'static str) {
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_is_sent_again_and_again_but_not_for_ever() {
    for refused in [1, usize::MAX] {
        let log = Log::default();
        let told = log.clone();
        let (net, builder) = net(move |peer| {
            let told = told.clone();
            async move {
                let mut server = h2::server::handshake(peer.io).await.unwrap();
                let mut left = None;
                while let Some(Ok((request, mut respond))) = server.accept().await {
                    told.add(request.method());
                    match left {
                        Some(0) | None => answer(respond, "ok"),
                        Some(_) => respond.send_reset(h2::Reason::REFUSED_STREAM),
                    }
                    left = Some(left.map_or(refused, |left: usize| left.saturating_sub(1)));
                }
            }
        });
        let transport = builder.protocols(Protocols::Http2PriorKnowledge).build();
        fetch(&transport, URL).await.unwrap();
        let result = transport.round_trip(post(URL, "body")).await;
        if refused == 1 {
            assert_eq!(read(result.unwrap()).await.unwrap(), "ok");
            assert_eq!((log.all().len(), total(&transport).retries), (3, 1));
        } else {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ClosedByPeer);
            assert!(log.all().len() < 20, "{} attempts", log.all().len());
        }
        assert_eq!(net.dials(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_goodbye_finishes_what_it_is_at_and_takes_nothing_more() {
    let (net, builder) = net(|peer| async move {
        let index = peer.index;
        let mut server = h2::server::handshake(peer.io).await.unwrap();
        while let Some(Ok((request, respond))) = server.accept().await {
            match request.uri().path() {
                "/slow" => drop(tokio::spawn(async move {
                    sleep(Duration::from_secs(1)).await;
                    answer(respond, "slow");
                })),
                "/last" => {
                    answer(respond, "last");
                    server.graceful_shutdown();
                }
                _ => answer(respond, if index == 0 { "0" } else { "1" }),
            }
        }
    });
    let transport = builder.protocols(Protocols::Http2PriorKnowledge).build();
    fetch(&transport, URL).await.unwrap();
    let (slow, next) = tokio::join!(fetch(&transport, SLOW_URL), async {
        fetch(&transport, "http://host.test/last").await.unwrap();
        sleep(Duration::from_millis(100)).await;
        let next = fetch(&transport, URL).await;
        (next, total(&transport))
    });
    assert_eq!(next.0.unwrap(), "1");
    assert_eq!(slow.unwrap(), "slow", "the connection was closed under it");
    assert!(next.1.retries <= 1, "it may have been the one to hear of it");
    sleep(Duration::from_secs(1)).await;
    assert_eq!((net.dials(), net.open(), total(&transport).idle), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_goodbye_has_left_out_is_sent_again_whatever_its_method() {
    let (net, builder) = net(|peer| async move {
        let index = peer.index;
        let mut server = h2::server::handshake(peer.io).await.unwrap();
        while let Some(Ok((_, respond))) = server.accept().await {
            answer(respond, "ok");
            if index == 0 {
                // It says at once that it has seen no more than this one, and means it.
                for _ in 0..3 {
                    std::future::poll_fn(|cx| std::task::Poll::Ready(server.poll_closed(cx).is_ready()))
                        .await;
                    tokio::task::yield_now().await;
                }
                sleep(Duration::from_secs(1)).await;
                server.abrupt_shutdown(h2::Reason::NO_ERROR);
            }
        }
    });
    let transport = builder.protocols(Protocols::Http2PriorKnowledge).build();
    fetch(&transport, URL).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    let response = transport.round_trip(post(URL, "body")).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "ok");
    assert_eq!((net.dials(), total(&transport).retries), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_no_ping_is_dead_busy_or_idle() {
    for is_idle in [false, true] {
        let (net, builder) = net(move |peer| async move {
            let mut server = h2::server::handshake(peer.io).await.unwrap();
            if let Some(Ok((_, respond))) = server.accept().await
                && is_idle
            {
                answer(respond, "ok");
                let serve = async { while server.accept().await.is_some() {} };
                tokio::time::timeout(Duration::from_secs(1), serve).await.ok();
            }
            sleep(Duration::from_secs(60)).await;
        });
        let ping = Http2Ping { interval: Duration::from_secs(5), timeout: Duration::from_secs(3) };
        let transport = builder.protocols(Protocols::Http2PriorKnowledge).http2_ping(ping).build();
        let start = Instant::now();
        let result = fetch(&transport, URL).await;
        if is_idle {
            assert_eq!((result.unwrap().as_str(), total(&transport).idle), ("ok", 1));
            sleep(Duration::from_secs(20)).await;
        } else {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ClosedByPeer);
            assert!((8..10).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
            settle().await;
        }
        assert_eq!((total(&transport).open(), net.dials()), (0, 1), "idle: {is_idle}");
        assert_eq!(total(&transport).closed.count(CloseCause::Peer), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn broken_connections_are_not_kept_and_the_one_that_works_is() {
    let (net, builder) = net(|peer| async move {
        if peer.index == 4 {
            serve_http2(peer.io, peer.index, (100, numbered)).await;
        }
    });
    let transport = builder.protocols(Protocols::Http2PriorKnowledge).build();
    for _ in 0..4 {
        let error = fetch(&transport, URL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClosedByPeer);
        assert_eq!(total(&transport).idle, 0);
    }
    for _ in 0..2 {
        assert_eq!(fetch(&transport, URL).await.unwrap(), "4");
    }
    assert_eq!((net.dials(), total(&transport).idle), (5, 1));
}

//! Connections that die while idle, under many requests at once, or by an error of their socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dunlin_http::dial::{Connection, DialContext};
use dunlin_http::{Error, ErrorKind, RequestBody, Transport};
use http_body_util::Full;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::bodies::{Breaks, Fragile, fed, is_caused_by_test};
use crate::support::{OK, Peer, URL, fetch, net, post, read, settle, total};

fn stream() -> RequestBody {
    RequestBody::stream(Full::new(Bytes::from_static(b"body")))
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

//! Who waits for a connection, what that costs, and that nobody is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dunlin_http::dial::{Connection, DialContext};
use dunlin_http::{Builder, CancelOn, Error, RequestBody, Transport};
use futures_util::future::join_all;
use http_body_util::Full;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::servers::{serve_http1, serve_http2, trust};
use crate::support::{
    Net, URL, connect, fetch, fetch_all, get, net, post, read, serve_http, settle, slow, text, total,
};

#[tokio::test(start_paused = true)]
async fn ten_requests_at_a_limit_of_one_share_a_dial_and_a_handshake_and_its_death_costs_one_more() {
    for protocol in ["http/1.1", "h2"] {
        let (client, acceptor) = trust(&[protocol]);
        let handshakes = Arc::new(AtomicUsize::new(0));
        let dies = Arc::new(Notify::new());
        let (counted, killed) = (handshakes.clone(), dies.clone());
        let (net, builder) = net(move |peer| {
            let (acceptor, counted, killed) = (acceptor.clone(), counted.clone(), killed.clone());
            async move {
                let io = acceptor.accept(peer.io).await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = |_| async {
                    sleep(Duration::from_millis(5)).await;
                    text("ok")
                };
                tokio::select! {
                    () = async {
                        if protocol == "h2" {
                            serve_http2(io, 3, answer, std::future::pending()).await;
                        } else {
                            serve_http1(io, answer).await;
                        }
                    } => {}
                    () = killed.notified() => {}
                }
            }
        });
        let transport = builder.tls(client).max_conns_per_host(1).build();
        for dials in 1..=3 {
            fetch_all(&transport, &["https://host.test/"; 10]).await;
            assert_eq!((net.dials(), handshakes.load(Ordering::SeqCst)), (dials, dials), "{protocol}");
            dies.notify_one();
            settle().await;
            assert_eq!((net.open(), total(&transport).open()), (0, 0), "{protocol}");
        }
    }
}

/// A builder whose dials take a second, and as many requests a connection as it lives.
fn slow_dial() -> (Arc<Net>, Builder) {
    let net = Arc::new(Net::default());
    let counted = net.clone();
    let builder = Transport::builder().dial_context(move |cx: DialContext| {
        let counted = counted.clone();
        async move {
            sleep(Duration::from_secs(1)).await;
            Ok::<_, Error>(connect(&counted, &cx, &|peer| serve_http(peer, |_, _| async { text("ok") })))
        }
    });
    (net, builder)
}

#[tokio::test(start_paused = true)]
async fn a_dial_counts_against_the_limit_while_it_goes_on() {
    let (net, builder) = slow_dial();
    let transport = builder.max_conns_per_host(1).build();
    let all = async { fetch_all(&transport, &[URL; 5]).await };
    let look = async {
        sleep(Duration::from_millis(500)).await;
        let stats = total(&transport);
        assert_eq!((stats.dialing, stats.waiting, stats.open()), (1, 5, 1));
    };
    tokio::join!(all, look);
    assert_eq!((net.dials(), total(&transport).opened), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_cancelled_in_the_queue_or_in_its_dial_loses_no_slot() {
    for is_first_cancelled in [true, false] {
        let (net, builder) = slow_dial();
        let transport = builder.max_conns_per_host(1).build();
        let token = CancellationToken::new();
        let asked: Vec<_> = (0..3)
            .map(|index| {
                let mut request = get(URL);
                if (index == 0) == is_first_cancelled {
                    request.extensions_mut().insert(CancelOn(token.clone()));
                }
                let transport = transport.clone();
                tokio::spawn(async move { transport.round_trip(request).await })
            })
            .collect();
        sleep(Duration::from_millis(500)).await;
        token.cancel();
        let mut cancelled = 0;
        for asked in asked {
            match asked.await.unwrap() {
                Ok(response) => assert_eq!(read(response).await.unwrap(), "ok"),
                Err(error) => {
                    assert!(error.is_cancelled() && !error.has_sent_bytes());
                    cancelled += 1;
                }
            }
        }
        assert_eq!(cancelled, if is_first_cancelled { 1 } else { 2 });
        transport.close_idle();
        settle().await;
        assert_eq!((net.dials(), total(&transport).open()), (1, 0));
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok", "the slot is there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_frees_its_request_while_others_wait_on() {
    let (_net, builder) = slow();
    let transport = builder.max_conns_per_host(1).build();
    let busy = tokio::spawn({
        let transport = transport.clone();
        async move { fetch(&transport, "http://host.test/10").await.unwrap() }
    });
    settle().await;
    let token = CancellationToken::new();
    let held = Arc::new(());
    let waiting = |ends_by_token: bool| {
        let in_body = held.clone();
        let body = RequestBody::replay(move || {
            Full::new(Bytes::copy_from_slice(&[u8::from(Arc::strong_count(&in_body) > 0)]))
        });
        let mut request = post("http://host.test/0", body);
        request.extensions_mut().insert(held.clone());
        if ends_by_token {
            request.extensions_mut().insert(CancelOn(token.clone()));
        }
        let transport = transport.clone();
        tokio::spawn(async move { transport.round_trip(request).await.map(drop) })
    };
    let by_token = waiting(true);
    let by_drop = waiting(false);
    let other = tokio::spawn({
        let transport = transport.clone();
        async move { fetch(&transport, "http://host.test/0").await.unwrap() }
    });
    settle().await;
    assert_eq!(total(&transport).waiting, 3);
    assert!(Arc::strong_count(&held) >= 5, "bodies and extensions are held while they wait");
    token.cancel();
    by_drop.abort();
    settle().await;
    assert!(by_token.await.unwrap().unwrap_err().is_cancelled());
    assert_eq!((total(&transport).waiting, Arc::strong_count(&held)), (1, 1));
    assert_eq!((busy.await.unwrap(), other.await.unwrap()), ("0".to_owned(), "0".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_on_record_as_waiting_after_all_were_served_failed_or_gone() {
    let (_net, builder) = slow();
    let transport = builder.max_conns_per_host(1).wait_timeout(Duration::from_secs(5)).build();
    let urls = ["http://host.test/2"; 4];
    let served = join_all(urls.iter().map(|url| fetch(&transport, url))).await;
    assert_eq!(served.iter().filter(|served| served.is_ok()).count(), 3);
    assert!(served.iter().all(|served| served.as_ref().err().is_none_or(Error::is_timeout)));
    settle().await;
    let stats = transport.stats();
    assert_eq!((stats.total.waiting, stats.total.idle, stats.total.open()), (0, 1, 1));
    assert!(stats.hosts.iter().all(|(_, host)| host.waiting == 0));

    let failing = Transport::builder()
        .dial_context(|_cx: DialContext| async { Err::<Connection, _>(std::io::Error::other("no")) })
        .max_conns_per_host(1)
        .build();
    let failed = join_all(urls.iter().map(|url| fetch(&failing, url))).await;
    assert!(failed.iter().all(|failed| failed.as_ref().unwrap_err().is_connect()));
    assert_eq!((total(&failing).waiting, total(&failing).open(), total(&failing).dials_failed), (0, 0, 4));
}

/// Looks at the transport when it is dropped, as a guard that reports does.
#[derive(Clone)]
struct Looks(Transport);

impl Drop for Looks {
    fn drop(&mut self) {
        drop(self.0.stats());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_request_carries_is_dropped_outside_of_the_lock() {
    let (_net, builder) = slow();
    let transport = builder.max_conns_per_host(1).build();
    let asked: Vec<_> = (0..4)
        .map(|_| {
            let mut request = get("http://host.test/1");
            request.extensions_mut().insert(Looks(transport.clone()));
            let transport = transport.clone();
            tokio::spawn(async move { read(transport.round_trip(request).await?).await })
        })
        .collect();
    settle().await;
    asked[3].abort();
    for asked in asked.into_iter().take(3) {
        assert_eq!(asked.await.unwrap().unwrap(), "0");
    }
    assert_eq!((total(&transport).waiting, total(&transport).reused), (0, 2));
}

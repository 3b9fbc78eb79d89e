//! Dials beside idle connections: what comes first serves, and no dial is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dunlin_http::dial::{Connection, DialContext, Target};
use dunlin_http::{
    Builder, CancelOn, CloseCause, Error, ErrorKind, OnCancelDial, RequestBody, TimeoutKind, Transport,
};
use http::Uri;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::bodies::{Wanted, fed, is_caused_by_test};
use crate::support::{
    Net, OK, URL, connect, fetch, get, net, numbered, post, read, serve_http, settle, text, total,
};

const SLOW: Duration = Duration::from_secs(10);

/// Dials that take `delay` each, but for the first `quick` ones; a request to `/slow` takes a second to answer.
/// Counted is what was begun.
fn delayed(quick: usize, delay: Duration) -> (Arc<Net>, Arc<AtomicUsize>, Builder) {
    let (net, begun) = (Arc::new(Net::default()), Arc::new(AtomicUsize::new(0)));
    let (dialed, counted) = (net.clone(), begun.clone());
    let builder = Transport::builder().dial_context(move |cx: DialContext| {
        let (net, number) = (dialed.clone(), counted.fetch_add(1, Ordering::SeqCst));
        async move {
            if number >= quick {
                sleep(delay).await;
            }
            let serve = |peer| {
                serve_http(peer, |request, index| async move {
                    if request.uri().path() == "/slow" {
                        sleep(Duration::from_secs(1)).await;
                    }
                    text(index)
                })
            };
            Ok::<_, Error>(connect(&net, &cx, &serve))
        }
    });
    (net, begun, builder)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_frees_during_a_dial_serves_the_request_that_dials_and_the_dial_serves_the_third() {
    let (_net, begun, builder) = delayed(1, SLOW);
    let transport = builder.build();
    let start = Instant::now();
    let (slow, late) = tokio::join!(fetch(&transport, "http://host.test/slow"), async {
        sleep(Duration::from_millis(100)).await;
        fetch(&transport, URL).await
    });
    assert_eq!((slow.unwrap().as_str(), late.unwrap().as_str()), ("0", "0"));
    assert!(start.elapsed() < Duration::from_secs(2), "the second waited for its own dial");
    assert_eq!(begun.load(Ordering::SeqCst), 2);

    sleep(SLOW).await;
    assert_eq!(total(&transport).idle, 2);
    let (slow, third) =
        tokio::join!(fetch(&transport, "http://host.test/slow"), async { fetch(&transport, URL).await });
    let mut served = [slow.unwrap(), third.unwrap()];
    served.sort();
    assert_eq!(served, ["0", "1"]);
    assert_eq!(begun.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn the_dial_of_a_cancelled_request_serves_the_next_one() {
    for by_token in [false, true] {
        let (_net, begun, builder) = delayed(0, SLOW);
        let transport = builder.build();
        let token = CancellationToken::new();
        let mut request = get(URL);
        request.extensions_mut().insert(CancelOn(token.clone()));
        if by_token {
            let (result, ()) = tokio::join!(transport.round_trip(request), async {
                sleep(Duration::from_secs(1)).await;
                token.cancel();
            });
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
        } else {
            let given_up = tokio::time::timeout(Duration::from_secs(1), transport.round_trip(request)).await;
            assert!(given_up.is_err());
        }
        let start = Instant::now();
        assert_eq!(fetch(&transport, URL).await.unwrap(), "0");
        assert!(start.elapsed() < SLOW, "the dial was begun anew");
        sleep(SLOW).await;
        let stats = total(&transport);
        assert_eq!((stats.dialing, stats.active, stats.waiting), (0, 0, 0), "by token: {by_token}");
        assert_eq!((begun.load(Ordering::SeqCst), stats.idle), (2, 2), "by token: {by_token}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_finished_dial_of_a_cancelled_request_waits_for_the_next_one() {
    let (_net, begun, builder) = delayed(0, SLOW);
    let transport = builder.build();
    let given_up = tokio::time::timeout(Duration::from_secs(1), transport.round_trip(get(URL))).await;
    assert!(given_up.is_err());
    sleep(SLOW).await;
    assert_eq!(total(&transport).idle, 1);
    assert_eq!(fetch(&transport, URL).await.unwrap(), "0");
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn without_keep_alives_the_dial_of_a_cancelled_request_is_thrown_away() {
    let (net, begun, builder) = delayed(0, SLOW);
    let transport = builder.disable_keep_alives(true).build();
    let given_up = tokio::time::timeout(Duration::from_secs(1), transport.round_trip(get(URL))).await;
    assert!(given_up.is_err());
    sleep(SLOW).await;
    assert_eq!((total(&transport).idle, net.dials(), net.open()), (0, 1, 0));
    assert_eq!(fetch(&transport, URL).await.unwrap(), "1");
    assert_eq!(begun.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_dial_is_dropped_if_so_set() {
    let (net, begun, builder) = delayed(0, SLOW);
    let transport = builder.on_cancel_dial(OnCancelDial::Abort).build();
    let given_up = tokio::time::timeout(Duration::from_secs(1), transport.round_trip(get(URL))).await;
    assert!(given_up.is_err());
    settle().await;
    assert_eq!(total(&transport).dialing, 0);
    sleep(SLOW * 2).await;
    assert_eq!((begun.load(Ordering::SeqCst), net.dials()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_in_the_moment_of_the_idle_timeout_is_served_by_the_old_connection_or_a_new_one() {
    for early in [2, 1, 0] {
        let (_net, builder) = numbered();
        let transport = builder.idle_conn_timeout(SLOW).build();
        assert_eq!(transport.warm(&Uri::from_static(URL), 1).await.unwrap(), 1);
        sleep(SLOW - Duration::from_millis(early)).await;
        let (feeder, body, _) = fed();
        feeder.send(Ok("once".into())).unwrap();
        drop(feeder);
        let response = transport.round_trip(post(URL, RequestBody::stream(body))).await.unwrap();
        read(response).await.unwrap();
        assert_eq!(total(&transport).retries, 0, "{early} ms before");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_in_the_moment_a_never_used_connection_is_closed_by_its_peer_does_not_fail() {
    for polls in 0..12 {
        let closes = CancellationToken::new();
        let told = closes.clone();
        let (net, builder) = net(move |mut peer| {
            let told = told.clone();
            async move {
                if peer.index == 0 {
                    return told.cancelled().await;
                }
                while peer.head().await.is_some() {
                    peer.write(OK).await;
                }
            }
        });
        let transport = builder.build();
        transport.warm(&Uri::from_static(URL), 1).await.unwrap();
        closes.cancel();
        for _ in 0..polls {
            tokio::task::yield_now().await;
        }
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok", "after {polls} turns");
        assert_eq!(net.dials(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_after_close_idle_is_closed_until_another_request_asks() {
    let (net, builder) = numbered();
    let transport = builder.build();
    let response = transport.round_trip(get(URL)).await.unwrap();
    // The body of so short a response came with its head, so the connection is idle already or will be at once.
    let other = transport.round_trip(get("http://other.test/")).await.unwrap();
    transport.close_idle();
    read(response).await.unwrap();
    read(other).await.unwrap();
    settle().await;
    assert_eq!((total(&transport).idle, net.open()), (0, 0));
    assert_eq!(total(&transport).closed.count(CloseCause::CloseIdle), 2);
    fetch(&transport, URL).await.unwrap();
    assert_eq!(total(&transport).idle, 1);
}

#[tokio::test(start_paused = true)]
async fn close_idle_gives_up_dials_that_nobody_waits_for() {
    let (net, _begun, builder) = delayed(0, SLOW);
    let transport = builder.build();
    let given_up = tokio::time::timeout(Duration::from_secs(1), transport.round_trip(get(URL))).await;
    assert!(given_up.is_err());
    assert_eq!(total(&transport).dialing, 1);
    transport.close_idle();
    settle().await;
    assert_eq!(total(&transport).dialing, 0);
    sleep(SLOW * 2).await;
    assert_eq!(net.dials(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_serves_until_its_timeout_and_is_closed_at_it() {
    let (net, builder) = numbered();
    let transport = builder.idle_conn_timeout(SLOW).build();
    fetch(&transport, URL).await.unwrap();
    sleep(SLOW - Duration::from_millis(5)).await;
    assert_eq!(fetch(&transport, URL).await.unwrap(), "0");
    assert_eq!(net.open(), 1);
    sleep(SLOW + Duration::from_millis(5)).await;
    settle().await;
    assert_eq!((net.open(), total(&transport).closed.count(CloseCause::IdleTimeout)), (0, 1));
    assert_eq!(fetch(&transport, URL).await.unwrap(), "1");
}

#[derive(Debug, Clone, PartialEq)]
struct Tenant(&'static str);

#[tokio::test(start_paused = true)]
async fn a_dial_is_told_the_values_of_its_request_and_where_to() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = seen.clone();
    let transport = Transport::builder()
        .dial(|_: Target| async { Err::<Connection, _>("the plain hook was asked") })
        .dial_context(move |cx: DialContext| {
            let tenant = cx.values.get::<Tenant>().cloned();
            told.lock().unwrap().push((tenant, cx.target.host.clone(), cx.target.port));
            async { Err::<Connection, _>(Wanted) }
        })
        .build();
    let mut request = get("http://[::1]:8080/");
    request.extensions_mut().insert(Tenant("ann"));
    let error = transport.round_trip(request).await.unwrap_err();
    assert!(is_caused_by_test(&error), "the hook without context was asked");
    let expected = (Some(Tenant("ann")), "::1".to_owned(), 8080);
    assert_eq!(*seen.lock().unwrap(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_dial_is_told_with_its_source_and_that_nothing_was_sent() {
    let failing = || |_: DialContext| async { Err::<Connection, _>(Wanted) };
    let plain = Transport::builder().dial_context(failing()).build();
    let tls = Transport::builder().dial_tls(failing()).build();
    for (transport, url) in [(plain, URL), (tls, "https://host.test/")] {
        let error = transport.round_trip(get(url)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Dial);
        assert!(error.is_connect() && !error.has_sent_bytes() && is_caused_by_test(&error));
        assert_eq!(error.target(), Some(&transport.key(&url.parse().unwrap()).unwrap()));
        let stats = total(&transport);
        assert_eq!((stats.dials_failed, stats.dialing, stats.open()), (1, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_takes_too_long_is_a_timeout_and_its_socket_is_dropped() {
    let (net, _begun, builder) = delayed(0, SLOW);
    let transport = builder.dial_timeout(Duration::from_secs(3)).build();
    let start = Instant::now();
    let error = transport.round_trip(get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutKind::Dial));
    assert!(start.elapsed() < Duration::from_secs(4));
    sleep(SLOW).await;
    assert_eq!(net.dials(), 0);

    let refused =
        |_: DialContext| async { Err::<Connection, _>(std::io::Error::from(std::io::ErrorKind::TimedOut)) };
    let transport = Transport::builder().dial_context(refused).build();
    let error = transport.round_trip(get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutKind::Dial), "the system's own timeout is one too");
}

//! How many connections there are, idle ones and all of them, and when a slot is free again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dunlin_http::{CancelOn, CloseCause, MaxIdlePerHost, Protocols};
use futures_util::future::join_all;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::servers::serve_http2;
use crate::support::{
    OK, URL, fetch, fetch_all, get, http, net, numbered, post, read, scripted, settle, slow, text, total,
};

#[tokio::test(start_paused = true)]
async fn a_third_connection_to_a_host_is_not_kept_by_default() {
    let (net, builder) = slow();
    let transport = builder.build();
    fetch_all(&transport, &["http://host.test/1"; 3]).await;
    settle().await;
    let stats = total(&transport);
    assert_eq!((net.dials(), net.open(), stats.idle), (3, 2, 2));
    assert_eq!(stats.closed.count(CloseCause::MaxIdlePerHost), 1);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_idle_limit_of_a_host_the_last_returned_goes_and_other_hosts_keep_theirs() {
    let (net, builder) = slow();
    let transport = builder.max_idle_conns_per_host(2).build();
    fetch(&transport, "http://other.test/0").await.unwrap();
    let urls = ["http://host.test/3", "http://host.test/1", "http://host.test/2"];
    assert_eq!(fetch_all(&transport, &urls).await, ["1", "2", "3"]);
    settle().await;
    assert_eq!((net.open(), total(&transport).idle), (3, 3));
    let kept = fetch_all(&transport, &["http://host.test/1", "http://host.test/1"]).await;
    assert_eq!(kept, ["3", "2"], "the first one came back last");
    assert_eq!(fetch(&transport, "http://other.test/0").await.unwrap(), "0");
}

#[tokio::test(start_paused = true)]
async fn beyond_the_idle_limit_of_all_the_host_idle_for_longest_loses_its_connection() {
    let (net, builder) = numbered();
    let transport = builder.max_idle_conns(4).build();
    for host in ["a", "b", "c", "d", "e"] {
        fetch(&transport, &format!("http://{host}.test/")).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!((net.open(), total(&transport).closed.count(CloseCause::MaxIdle)), (4, 1));
    for (host, expected) in [("b", "1"), ("c", "2"), ("d", "3"), ("e", "4"), ("a", "5")] {
        assert_eq!(fetch(&transport, &format!("http://{host}.test/")).await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn no_idle_connection_is_kept_where_that_is_set_and_the_server_is_not_told() {
    let (net, builder) = scripted(|head| {
        assert!(!head.to_lowercase().contains("close"), "{head}");
        OK.to_owned()
    });
    let transport = builder.max_idle_conns_per_host(MaxIdlePerHost::Never).build();
    for dials in 1..=2 {
        fetch(&transport, URL).await.unwrap();
        settle().await;
        assert_eq!((net.dials(), net.open()), (dials, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_whose_time_is_up_frees_its_slot() {
    let (net, builder) = numbered();
    let transport = builder.max_conns_per_host(1).idle_conn_timeout(Duration::from_secs(10)).build();
    for (seconds, expected) in [(9, "0"), (9, "0"), (11, "0"), (0, "1")] {
        assert_eq!(fetch(&transport, URL).await.unwrap(), expected);
        sleep(Duration::from_secs(seconds)).await;
    }
    assert_eq!((net.dials(), net.open(), total(&transport).open()), (2, 1, 1));
    assert_eq!(total(&transport).closed.count(CloseCause::IdleTimeout), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_by_its_peer_frees_its_slot() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write(OK).await;
    });
    let transport = builder.max_conns_per_host(1).build();
    for dials in 1..=3 {
        // A POST is not sent again, so no retry can hide a connection that is gone.
        let response = transport.round_trip(post(URL, "")).await.unwrap();
        assert_eq!(read(response).await.unwrap(), "ok");
        settle().await;
        assert_eq!((net.dials(), total(&transport).open(), total(&transport).retries), (dials, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_by_its_peer_gives_its_slot_to_who_waits() {
    let (net, builder) =
        scripted(|_| "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".to_owned());
    let transport = builder.max_conns_per_host(1).build();
    fetch_all(&transport, &[URL; 10]).await;
    settle().await;
    assert_eq!((net.dials(), net.open(), total(&transport).open()), (10, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn three_hundred_streams_at_a_limit_of_one_free_one_slot_for_each_connection() {
    let (net, builder) = net(|peer| async move {
        let answered = AtomicUsize::new(0);
        let leaves = Notify::new();
        let answer = |_| {
            if answered.fetch_add(1, Ordering::SeqCst) == 150 {
                leaves.notify_one();
            }
            async {
                sleep(Duration::from_millis(5)).await;
                text("ok")
            }
        };
        serve_http2(peer.io, 100, answer, leaves.notified()).await;
    });
    let transport = builder.protocols(Protocols::Http2PriorKnowledge).max_conns_per_host(1).build();
    // A goodbye comes while streams are on their way. They are sent again, a POST too: the server says it has not seen them.
    let requests = (0..300).map(|number| if number % 2 == 0 { get(URL) } else { post(URL, "body") });
    let answers =
        join_all(requests.map(|request| async { read(transport.round_trip(request).await?).await }));
    let answers = timeout(Duration::from_secs(60), answers).await.unwrap();
    assert!(answers.into_iter().all(|answer| answer.unwrap() == "ok"));
    settle().await;
    let stats = total(&transport);
    assert_eq!(net.dials() as u64, stats.opened);
    assert_eq!(stats.opened, stats.closed.total() + stats.open() as u64, "each slot is freed once");
    assert!(net.dials() > 1 && stats.open() <= 1, "{stats:?}");
    assert_eq!((net.open(), stats.active, stats.waiting), (stats.open(), 0, 0));
    assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
}

#[tokio::test(start_paused = true)]
async fn a_user_of_a_connection_who_is_cancelled_does_not_disturb_the_one_before_or_after() {
    let (net, builder) = scripted(|head| {
        let is_silent = head.contains("/silent");
        if is_silent { String::new() } else { OK.to_owned() }
    });
    let transport = builder.max_conns_per_host(1).build();
    let tokens = [CancellationToken::new(), CancellationToken::new()];
    let mut first = get(URL);
    first.extensions_mut().insert(CancelOn(tokens[0].clone()));
    let mut first = transport.round_trip(first).await.unwrap().into_body();
    assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
    assert_eq!(total(&transport).idle, 1, "its last bytes gave the connection back");

    // The earlier one cancels what is over.
    let second = transport.round_trip(get(URL)).await.unwrap();
    tokens[0].cancel();
    assert_eq!(read(second).await.unwrap(), "ok");

    // The later one is cancelled while the earlier one is still held.
    let mut third = get("http://host.test/silent");
    third.extensions_mut().insert(CancelOn(tokens[1].clone()));
    let third = tokio::spawn({
        let transport = transport.clone();
        async move { transport.round_trip(third).await.map(drop) }
    });
    settle().await;
    tokens[1].cancel();
    assert!(third.await.unwrap().unwrap_err().is_cancelled());
    assert!(first.frame().await.is_none());
    assert_eq!(net.dials(), 1);
    assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
}

#[tokio::test(start_paused = true)]
async fn five_hundred_requests_of_32_workers_get_each_their_own_answer() {
    for max in [0, 4] {
        let (net, builder) = http(|request, _| async move {
            tokio::task::yield_now().await;
            let bytes = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(Full::new(bytes))
        });
        let transport = builder.max_conns_per_host(max).max_idle_conns_per_host(32).build();
        let next = AtomicUsize::new(0);
        let worker = || async {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= 500 {
                    return;
                }
                let text = format!("{number} {}", "x".repeat(number * 7));
                let response = transport.round_trip(post(URL, text.clone())).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(read(response).await.unwrap(), text);
            }
        };
        join_all((0..32).map(|_| worker())).await;
        assert!(net.dials() <= if max == 0 { 32 } else { max }, "{} dials", net.dials());
        assert_eq!(total(&transport).active, 0);
    }
}

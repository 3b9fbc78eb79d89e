//! When a connection serves again, and when it must not.

use dunlin_http::CloseCause;
use http::HeaderValue;
use http::header::CONNECTION;

use crate::support::{OK, URL, fetch, get, net, numbered, read, settle, total};

#[tokio::test(start_paused = true)]
async fn two_requests_share_a_connection() {
    let (net, builder) = numbered();
    let transport = builder.build();
    for _ in 0..2 {
        assert_eq!(fetch(&transport, URL).await.unwrap(), "0");
    }
    assert_eq!(net.dials(), 1);
    let stats = total(&transport);
    assert_eq!((stats.idle, stats.active, stats.opened, stats.reused), (1, 0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn without_keep_alives_each_request_has_its_own_connection_and_says_close_once() {
    let (net, builder) = net(|mut peer| async move {
        let head = peer.head().await.unwrap().to_lowercase();
        assert_eq!(head.matches("connection: close").count(), 1, "{head}");
        peer.write(OK).await;
        peer.closed().await;
    });
    let transport = builder.disable_keep_alives(true).build();
    for _ in 0..2 {
        fetch(&transport, URL).await.unwrap();
    }
    let mut request = get(URL);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    read(transport.round_trip(request).await.unwrap()).await.unwrap();
    settle().await;
    assert_eq!((net.dials(), net.open()), (3, 0));
    assert_eq!(total(&transport).closed.total(), 3);
}

#[tokio::test(start_paused = true)]
async fn three_thousand_sequential_requests_whose_end_comes_late_use_one_connection() {
    let (net, builder) = net(|mut peer| async move {
        while peer.head().await.is_some() {
            peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await;
            tokio::task::yield_now().await;
            peer.write("0\r\n\r\n").await;
        }
    });
    let transport = builder.build();
    for _ in 0..3000 {
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
    }
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_close_of_an_idle_connection_is_noticed_without_any_request() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write(OK).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    });
    let transport = builder.build();
    fetch(&transport, URL).await.unwrap();
    assert_eq!(total(&transport).idle, 1);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!((total(&transport).idle, net.open()), (0, 0));
    assert_eq!(total(&transport).closed.count(CloseCause::Peer), 1);
}

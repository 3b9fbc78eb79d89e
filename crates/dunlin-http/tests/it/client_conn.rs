//! A connection of one's own: what it takes, what it refuses, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use dunlin_http::{
    Builder, ClientConn, CloseCause, ErrorKind, LimitKind, Protocol, Protocols, RoundTripper, Transport,
};
use http::Uri;
use tokio::time::sleep;

use crate::bodies::given_up_after;
use crate::secure::serve_http2;
use crate::support::{Net, OK, URL, get, net, numbered, read, settle, text, total};

async fn open(transport: &Transport) -> ClientConn {
    transport.client_conn(&Uri::from_static(URL)).await.unwrap()
}

fn http2(streams_max: u32) -> (Arc<Net>, Builder) {
    let (net, builder) = net(move |peer| {
        let answer = |_, index| async move {
            sleep(Duration::from_secs(1)).await;
            text(index)
        };
        serve_http2(peer.io, peer.index, (streams_max, answer))
    });
    (net, builder.protocols(Protocols::Http2PriorKnowledge))
}

#[tokio::test(start_paused = true)]
async fn it_serves_one_request_after_another_outside_of_the_pool() {
    let (net, builder) = numbered();
    let transport = builder.max_conns_per_host(1).build();
    let conn = open(&transport).await;
    for _ in 0..3 {
        assert_eq!(read(conn.round_trip(get(URL)).await.unwrap()).await.unwrap(), "0");
    }
    assert_eq!((net.dials(), total(&transport).open(), total(&transport).opened), (1, 0, 0));
    assert_eq!(conn.info().unwrap().protocol, Protocol::Http1);
    let other = open(&transport).await;
    assert_eq!(read(RoundTripper::round_trip(&other, get(URL)).await.unwrap()).await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn http1_takes_one_request_until_its_body_is_read_and_refuses_a_second() {
    let (_net, builder) = net(|mut peer| async move {
        while peer.head().await.is_some() {
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
            sleep(Duration::from_secs(1)).await;
            peer.write("ok").await;
        }
    });
    let conn = open(&builder.build()).await;
    assert_eq!((conn.state().in_flight, conn.state().available, conn.state().closed), (0, 1, None));
    let response = conn.round_trip(get(URL)).await.unwrap();
    assert_eq!((conn.state().in_flight, conn.state().available), (1, 0));
    let error = conn.round_trip(get(URL)).await.unwrap_err();
    assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::Limit(LimitKind::InFlight), false));
    read(response).await.unwrap();
    assert_eq!((conn.state().in_flight, conn.state().available), (0, 1));
    assert!(conn.round_trip(get(URL)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_reserved_is_taken_and_free_again_when_it_is_dropped() {
    let (net, builder) = numbered();
    let conn = open(&builder.build()).await;
    for _ in 0..3 {
        let place = conn.reserve().unwrap();
        assert_eq!((conn.state().in_flight, conn.state().available), (1, 0));
        assert_eq!(conn.reserve().unwrap_err().kind(), ErrorKind::Limit(LimitKind::InFlight));
        drop(place);
        assert_eq!((conn.state().in_flight, conn.state().available), (0, 1));
    }
    let place = conn.reserve().unwrap();
    assert_eq!(read(place.round_trip(get(URL)).await.unwrap()).await.unwrap(), "0");
    settle().await;
    assert_eq!((conn.state().closed, net.open()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn http2_takes_as_many_requests_as_its_server_does() {
    let (_net, builder) = http2(3);
    let conn = open(&builder.build()).await;
    settle().await;
    assert_eq!(conn.state().available, 3);
    let (a, b, c, refused) = tokio::join!(
        conn.round_trip(get(URL)),
        conn.round_trip(get(URL)),
        conn.round_trip(get(URL)),
        async {
            assert_eq!((conn.state().in_flight, conn.state().available), (3, 0));
            conn.round_trip(get(URL)).await
        }
    );
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Limit(LimitKind::InFlight));
    for response in [a, b, c] {
        assert_eq!(read(response.unwrap()).await.unwrap(), "0");
    }
    assert_eq!((conn.state().in_flight, conn.state().available), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn it_says_when_and_why_it_is_closed() {
    let (_net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write(OK).await;
        sleep(Duration::from_secs(1)).await;
    });
    let transport = builder.build();
    let conn = open(&transport).await;
    let mut states = conn.watch();
    read(conn.round_trip(get(URL)).await.unwrap()).await.unwrap();
    assert_eq!(conn.closed().await, CloseCause::Peer);
    assert_eq!(states.borrow_and_update().closed, Some(CloseCause::Peer));
    assert!(conn.info().is_none());
    assert_eq!(conn.round_trip(get(URL)).await.unwrap_err().kind(), ErrorKind::ClosedByPeer);

    let conn = open(&transport).await;
    conn.close();
    assert_eq!(conn.closed().await, CloseCause::Cancelled);
    assert_eq!(conn.reserve().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn dropped_it_closes_but_for_the_response_that_is_being_read() {
    for (builder, net) in [numbered(), http2(10)].map(|(net, builder)| (builder, net)) {
        let transport = builder.build();
        drop(open(&transport).await);
        sleep(Duration::from_millis(100)).await;
        assert_eq!((net.dials(), net.open()), (1, 0));

        let conn = open(&transport).await;
        let response = conn.round_trip(get(URL)).await.unwrap();
        drop(conn);
        assert_eq!(read(response).await.unwrap(), "1");
        sleep(Duration::from_millis(100)).await;
        assert_eq!(net.open(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn wherever_its_request_is_dropped_it_is_closed_or_free() {
    for polls in 0..16 {
        let (net, builder) = numbered();
        let conn = open(&builder.build()).await;
        let sending = async { read(conn.round_trip(get(URL)).await?).await };
        drop(given_up_after(polls, sending).await);
        sleep(Duration::from_millis(100)).await;
        let state = conn.state();
        let is_closed = state.closed.is_some();
        assert_eq!((state.in_flight, state.available), (0, usize::from(!is_closed)), "after {polls} polls");
        assert_eq!(net.open(), usize::from(!is_closed), "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_made_says_why() {
    let (_net, builder) = net(|_| async {});
    let transport = builder.protocols(Protocols::Http2PriorKnowledge).build();
    match transport.client_conn(&Uri::from_static(URL)).await {
        Err(error) => assert_eq!(error.kind(), ErrorKind::ClosedByPeer),
        Ok(conn) => assert_eq!(conn.closed().await, CloseCause::Peer),
    }
    let error = transport.client_conn(&Uri::from_static("/path")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidRequest(_)));
}

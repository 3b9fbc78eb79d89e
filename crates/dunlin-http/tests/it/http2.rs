//! Connections that many requests share: how many there are, and how one request leaves the others alone.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_http::{Builder, CancelOn, ErrorKind, Http2AtLimit, Protocols, RequestBody, Transport};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::bodies::fed;
use crate::secure::serve_http2;
use crate::support::{Log, Net, Peer, URL, connect, fetch, get, net, post, read, settle, text, total};

pub(crate) const SLOW_URL: &str = "http://host.test/slow";

fn http2<F, Fut>(streams_max: u32, answer: F) -> (Arc<Net>, Builder)
where
    F: Fn(Request<Incoming>, usize) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let (net, builder) = net(move |peer| serve_http2(peer.io, peer.index, (streams_max, answer.clone())));
    (net, builder.protocols(Protocols::Http2PriorKnowledge))
}

/// Answers with the number of the connection, to `/slow` after a second.
pub(crate) async fn numbered(request: Request<Incoming>, index: usize) -> Response<Full<Bytes>> {
    if request.uri().path() == "/slow" {
        sleep(Duration::from_secs(1)).await;
    }
    text(index)
}

#[tokio::test(start_paused = true)]
async fn requests_share_a_connection_at_the_same_time() {
    let (net, builder) = http2(100, numbered);
    let transport = builder.build();
    fetch(&transport, URL).await.unwrap();
    let start = Instant::now();
    let all = (0..50).map(|_| fetch(&transport, SLOW_URL));
    for result in futures_util::future::join_all(all).await {
        assert_eq!(result.unwrap(), "0");
    }
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!((net.dials(), total(&transport).idle, total(&transport).active), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_at_a_cold_start_dials_too_and_both_use_the_first_connection() {
    let net = Arc::new(Net::default());
    let (dialed, begun) = (net.clone(), Arc::new(std::sync::atomic::AtomicU64::new(0)));
    let counted = begun.clone();
    let transport = Transport::builder()
        .protocols(Protocols::Http2PriorKnowledge)
        .dial_context(move |cx| {
            let net = dialed.clone();
            let number = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async move {
                sleep(Duration::from_secs(1 + 9 * number)).await;
                let serve = |peer: Peer| serve_http2(peer.io, peer.index, (100, numbered));
                Ok::<_, dunlin_http::Error>(connect(&net, &cx, &serve))
            }
        })
        .build();
    let start = Instant::now();
    let (first, second) = tokio::join!(fetch(&transport, URL), fetch(&transport, URL));
    assert_eq!((first.unwrap().as_str(), second.unwrap().as_str()), ("0", "0"));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(begun.load(std::sync::atomic::Ordering::SeqCst), 2);
    sleep(Duration::from_secs(10)).await;
    assert_eq!((net.dials(), total(&transport).dialing), (2, 0));
    assert_eq!(fetch(&transport, URL).await.unwrap(), "0", "the oldest with room serves");
}

#[tokio::test(start_paused = true)]
async fn at_the_stream_limit_another_connection_is_dialed() {
    let (net, builder) = http2(2, numbered);
    let transport = builder.max_idle_conns_per_host(10).build();
    fetch(&transport, URL).await.unwrap();
    settle().await;
    let mut served = Vec::new();
    let all = (0..6).map(|_| fetch(&transport, SLOW_URL));
    for result in futures_util::future::join_all(all).await {
        served.push(result.unwrap());
    }
    served.sort();
    assert_eq!(served[..2], ["0", "0"]);
    assert!(net.dials() >= 3, "{served:?}");
    assert_eq!(fetch(&transport, URL).await.unwrap(), "0", "the oldest with room serves");
}

#[tokio::test(start_paused = true)]
async fn at_the_stream_limit_a_stream_is_awaited_if_so_set() {
    let (net, builder) = http2(2, numbered);
    let transport = builder.http2_at_limit(Http2AtLimit::Wait).build();
    fetch(&transport, URL).await.unwrap();
    settle().await;
    let start = Instant::now();
    let all = (0..6).map(|_| fetch(&transport, SLOW_URL));
    for result in futures_util::future::join_all(all).await {
        assert_eq!(result.unwrap(), "0");
    }
    assert_eq!((net.dials(), start.elapsed().as_secs()), (1, 3));
}

/// Tells when it is dropped.
struct Told(Log);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.add("dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_resets_its_stream_and_harms_no_other() {
    for by_token in [false, true] {
        let log = Log::default();
        let told = log.clone();
        let (net, builder) = http2(100, move |request, index| {
            let told = told.clone();
            async move {
                if request.uri().path() != "/hang" {
                    return numbered(request, index).await;
                }
                let _told = Told(told);
                request.into_body().collect().await.ok();
                std::future::pending().await
            }
        });
        let transport = builder.build();
        fetch(&transport, URL).await.unwrap();
        let token = CancellationToken::new();
        let (_feeder, body, seen) = fed();
        let mut hanging = post("http://host.test/hang", RequestBody::stream(body));
        hanging.extensions_mut().insert(CancelOn(token.clone()));
        let hang = async {
            if by_token {
                tokio::join!(transport.round_trip(hanging), async {
                    sleep(Duration::from_millis(300)).await;
                    token.cancel();
                })
                .0
                .unwrap_err();
            } else {
                let limit = Duration::from_millis(300);
                tokio::time::timeout(limit, transport.round_trip(hanging)).await.unwrap_err();
            }
        };
        let (other, ()) = tokio::join!(fetch(&transport, SLOW_URL), hang);
        assert_eq!(other.unwrap(), "0");
        settle().await;
        assert_eq!((log.all().len(), seen.drops()), (1, 1), "by token: {by_token}");
        assert_eq!(fetch(&transport, URL).await.unwrap(), "0");
        assert_eq!((net.dials(), total(&transport).active), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_given_up_resets_its_stream_and_leaves_the_connection() {
    for by_token in [false, true] {
        // A window's worth of body, more than the client takes unread.
        let (net, builder) = http2(100, |_, index| async move { text(index.to_string().repeat(1 << 20)) });
        let transport = builder.build();
        let token = CancellationToken::new();
        let (feeder, body, seen) = fed();
        let mut request = post(URL, RequestBody::stream(body));
        request.extensions_mut().insert(CancelOn(token.clone()));
        let mut response = transport.round_trip(request).await.unwrap();
        response.body_mut().frame().await.unwrap().unwrap();
        if by_token {
            token.cancel();
            let error = response.into_body().collect().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
        } else {
            drop(response);
        }
        settle().await;
        assert_eq!((seen.drops(), feeder.is_closed()), (1, true), "by token: {by_token}");
        assert_eq!(fetch(&transport, URL).await.unwrap().len(), 1 << 20);
        assert_eq!((net.dials(), total(&transport).active), (1, 0), "by token: {by_token}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_stops_the_upload_and_leaves_the_connection() {
    let (net, builder) = http2(100, numbered);
    let transport = builder.build();
    let (feeder, body, seen) = fed();
    feeder.send(Ok("some".into())).unwrap();
    let response = transport.round_trip(post(URL, RequestBody::stream(body))).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "0");
    settle().await;
    assert_eq!((seen.drops(), feeder.is_closed()), (1, true));
    assert_eq!(fetch(&transport, URL).await.unwrap(), "0");
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_authority_of_a_request_is_its_host_header_and_never_has_a_password() {
    let (_net, builder) = http2(100, |request, _| async move { text(request.uri().authority().unwrap()) });
    let transport = builder.build();
    let with_password = "http://ann:secret@host.test:8080/";
    assert_eq!(fetch(&transport, with_password).await.unwrap(), "host.test:8080");
    let mut request = get(URL);
    request.headers_mut().insert("host", "virtual.test".parse().unwrap());
    let response = transport.round_trip(request).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "virtual.test");
}

//! Connections that die under a request: survived by those that may be sent again, and told by those that may not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dunlin_http::dial::{Connection, DialContext};
use dunlin_http::{Builder, Error, ErrorKind, RequestBody, Transport};
use http::Request;
use http_body_util::Full;

use crate::bodies::{Breaks, Fragile};
use crate::support::{Net, OK, Peer, URL, fetch, net, read, settle, total};

/// How the first connection ends under its second request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Death {
    /// Not a byte of the request is taken.
    Unwritten,
    /// The request is read and the connection closed.
    Unanswered,
    /// So it is, after a few bytes of a response.
    HalfAnswered,
}

/// The first connection serves once and dies at the second request; the others say what they read.
fn dying(death: Death) -> (Arc<Net>, Builder) {
    let net = Arc::new(Net::default());
    let counted = net.clone();
    let builder = Transport::builder().dial_context(move |cx: DialContext| {
        let breaks = Arc::new(Breaks::default());
        let told = breaks.clone();
        let index = counted.dials();
        let (client, server) = tokio::io::duplex(64 * 1024);
        let serve = move |peer: Peer| serve_dying(Peer { io: server, ..peer }, death, told);
        let serve = std::sync::Mutex::new(Some(serve));
        // The pipe of the rig is replaced by one that can be broken from here.
        let start = |peer| {
            let serve = serve.lock().unwrap().take().unwrap();
            serve(peer)
        };
        drop(crate::support::connect(&counted, &cx, &start));
        let connection = if index == 0 {
            Connection::new(Fragile { io: client, breaks })
        } else {
            Connection::new(client)
        };
        async move { Ok::<_, Error>(connection) }
    });
    (net, builder)
}

async fn serve_dying(mut peer: Peer, death: Death, breaks: Arc<Breaks>) {
    if peer.index == 0 {
        peer.head().await.unwrap();
        if death == Death::Unwritten {
            breaks.break_writes();
        }
        peer.write(OK).await;
        if peer.head().await.is_some() && death == Death::HalfAnswered {
            peer.write("HTTP/1.1 2").await;
        }
        return;
    }
    while let Some(head) = peer.head().await {
        let head = head.to_lowercase();
        let len = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let body = match len {
            Some(len) => peer.read(len).await,
            None if head.contains("transfer-encoding") => peer.read("4\r\nbody\r\n0\r\n\r\n".len()).await,
            None => Some(Vec::new()),
        };
        let Some(body) = body else { return };
        let body = if body.starts_with(b"4\r\n") { b"body".to_vec() } else { body };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        // A response to HEAD has no body.
        peer.write([head.as_bytes(), &body].concat()).await;
    }
}

fn request(method: &str, header: Option<&'static str>, body: impl Into<RequestBody>) -> Request<RequestBody> {
    let mut builder = Request::builder().method(method).uri(URL);
    if let Some(name) = header {
        builder = builder.header(name, "1");
    }
    builder.body(body.into()).unwrap()
}

fn stream() -> RequestBody {
    RequestBody::stream(Full::new(Bytes::from_static(b"body")))
}

fn replay() -> RequestBody {
    RequestBody::replay(|| Full::new(Bytes::from_static(b"body")))
}

/// Sends it over a connection that has served and dies so; the body that the next one got, if it was sent again.
async fn second(death: Death, request: Request<RequestBody>) -> Result<String, Error> {
    let (net, builder) = dying(death);
    let transport = builder.build();
    fetch(&transport, URL).await.unwrap();
    let result = match transport.round_trip(request).await {
        Ok(response) => read(response).await,
        Err(error) => Err(error),
    };
    settle().await;
    let stats = total(&transport);
    assert_eq!((stats.active, stats.waiting, stats.dialing), (0, 0, 0));
    assert_eq!(stats.retries, u64::from(result.is_ok()));
    assert_eq!(net.dials(), 1 + usize::from(result.is_ok()));
    result
}

#[tokio::test(start_paused = true)]
async fn a_request_of_which_nothing_was_written_is_sent_again_whatever_its_method() {
    for request in [
        request("GET", None, ()),
        request("POST", None, ()),
        request("POST", None, "body"),
        request("PUT", None, replay()),
        request("DELETE", None, ()),
    ] {
        let what = format!("{request:?}");
        let expected = if request.body().can_be_made_again() && what.contains("Empty") { "" } else { "body" };
        assert_eq!(second(Death::Unwritten, request).await.unwrap(), expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_request_is_sent_again_after_it_was_written_if_its_body_can_be_made_again() {
    for (request, expected) in [
        (request("GET", None, ()), ""),
        (request("OPTIONS", None, ()), ""),
        (request("TRACE", None, ()), ""),
        (request("GET", None, "body"), "body"),
        (request("GET", None, replay()), "body"),
        (request("POST", Some("idempotency-key"), "body"), "body"),
        (request("POST", Some("x-idempotency-key"), replay()), "body"),
        (request("HEAD", None, ()), ""),
    ] {
        let what = format!("{request:?}");
        assert_eq!(second(Death::Unanswered, request).await.unwrap(), expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_requests_that_were_written_are_not_sent_again_and_say_so() {
    for request in [
        request("POST", None, ()),
        request("POST", None, "body"),
        request("PUT", None, "body"),
        request("DELETE", None, ()),
        request("PATCH", None, replay()),
        request("GET", None, stream()),
        request("POST", Some("idempotency-key"), stream()),
    ] {
        let what = format!("{request:?}");
        let error = second(Death::Unanswered, request).await.unwrap_err();
        assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::ClosedByPeer, true), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_response_began_is_never_sent_again() {
    for request in [request("GET", None, ()), request("POST", Some("idempotency-key"), "body")] {
        let error = second(Death::HalfAnswered, request).await.unwrap_err();
        assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::ClosedByPeer, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_read_from_is_not_sent_again_even_if_nothing_of_it_was_written() {
    let error = second(Death::Unwritten, request("POST", None, stream())).await.unwrap_err();
    assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::ClosedByPeer, false));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_not_read_from_is_left_to_the_next_attempt() {
    let mut request = request("POST", None, stream());
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    assert_eq!(second(Death::Unwritten, request).await.unwrap(), "body");
}

#[tokio::test(start_paused = true)]
async fn a_body_is_made_anew_for_each_attempt_and_for_no_other_reason() {
    let made = Arc::new(AtomicUsize::new(0));
    for (death, expected) in [(Death::Unanswered, 2), (Death::HalfAnswered, 1)] {
        made.store(0, Ordering::SeqCst);
        let counted = made.clone();
        let body = RequestBody::replay(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Full::new(Bytes::from_static(b"body"))
        });
        let result = second(death, request("POST", Some("idempotency-key"), body)).await;
        assert_eq!((made.load(Ordering::SeqCst), result.is_ok()), (expected, expected == 2), "{death:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_over_a_fresh_connection_is_not_sent_again() {
    let (net, builder) = net(|mut peer| async move { drop(peer.head().await) });
    let transport = builder.build();
    let error = fetch(&transport, URL).await.unwrap_err();
    assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::ClosedByPeer, true));
    assert_eq!((net.dials(), total(&transport).retries), (1, 0));
}

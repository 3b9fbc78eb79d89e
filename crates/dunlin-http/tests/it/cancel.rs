//! Requests that are given up, at every point and by every means: the right error, and nothing left behind.

use std::time::Duration;

use dunlin_http::layer::DeadlineLayer;
use dunlin_http::{
    CancelOn, CloseCause, Error, ErrorKind, InvalidRequest, RequestBody, TimeoutKind, Transport,
};
use http::{Request, Uri};
use http_body_util::BodyExt;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

use crate::bodies::{fed, given_up_after};
use crate::support::{OK, Peer, URL, fetch, get, net, numbered, post, read, settle, total};

/// The three ways to give a request up.
#[derive(Debug, Clone, Copy)]
enum Means {
    Token,
    Drop,
    Deadline,
}

const ALL: [Means; 3] = [Means::Token, Means::Drop, Means::Deadline];
const LATER: Duration = Duration::from_secs(1);

/// Sends a request, reads its response, and gives up a second later; the error there was, if there could be one.
async fn give_up(means: Means, transport: &Transport, mut request: Request<RequestBody>) -> Option<Error> {
    match means {
        Means::Token => {
            let token = CancellationToken::new();
            request.extensions_mut().insert(CancelOn(token.clone()));
            let (result, ()) =
                tokio::join!(async { read(transport.round_trip(request).await?).await }, async {
                    sleep(LATER).await;
                    token.cancel();
                });
            Some(result.unwrap_err())
        }
        Means::Drop => {
            let sending = async { read(transport.round_trip(request).await?).await };
            assert!(timeout(LATER, sending).await.is_err());
            None
        }
        Means::Deadline => {
            let mut service = DeadlineLayer::new(LATER).layer(transport.clone());
            let result = match service.call(request).await {
                Ok(response) => response.into_body().collect().await.map(drop),
                Err(error) => Err(error),
            };
            Some(result.unwrap_err())
        }
    }
}

fn check(means: Means, error: Option<&Error>) {
    let kind = error.map(Error::kind);
    match means {
        Means::Token => assert_eq!(kind, Some(ErrorKind::Cancelled)),
        Means::Drop => assert!(error.is_none()),
        Means::Deadline => assert_eq!(kind, Some(ErrorKind::Timeout(TimeoutKind::Deadline))),
    }
}

/// What a server does to the first request; those after it are answered.
type Script = &'static [&'static str];

const NO_ANSWER: Script = &[];
const HALF_A_HEAD: Script = &["HTTP/1.1 200 OK\r\nContent-"];
const HALF_A_BODY: Script = &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "o"];

async fn serve(mut peer: Peer, script: Script) {
    peer.head().await;
    if peer.index > 0 {
        return peer.write(OK).await;
    }
    for part in script {
        peer.write(part).await;
    }
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_closes_its_connection_and_the_server_sees_it() {
    for means in ALL {
        for script in [NO_ANSWER, HALF_A_HEAD, HALF_A_BODY] {
            let (net, builder) = net(move |peer| serve(peer, script));
            let transport = builder.max_conns_per_host(1).build();
            let error = give_up(means, &transport, get(URL)).await;
            check(means, error.as_ref());
            if let (Means::Token, Some(error)) = (means, &error) {
                assert!(error.has_sent_bytes() && error.is_cancelled());
            }
            // A dropped body may be read on for a moment.
            sleep(Duration::from_millis(60)).await;
            assert_eq!((net.open(), total(&transport).open()), (0, 0), "{means:?} {script:?}");
            assert_eq!(total(&transport).closed.count(CloseCause::Cancelled), 1, "{means:?} {script:?}");
            assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_given_up_drops_its_body() {
    for means in ALL {
        let (net, builder) = net(move |peer| serve(peer, NO_ANSWER));
        let transport = builder.build();
        let (feeder, body, seen) = fed();
        feeder.send(Ok("some".into())).unwrap();
        let error = give_up(means, &transport, post(URL, RequestBody::stream(body))).await;
        check(means, error.as_ref());
        settle().await;
        assert_eq!((seen.drops(), net.open(), total(&transport).open()), (1, 0, 0), "{means:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_while_it_waits_leaves_the_queue_and_nobody_else() {
    for means in ALL {
        let (net, builder) = net(|mut peer| async move {
            while peer.head().await.is_some() {
                sleep(Duration::from_secs(3)).await;
                peer.write(OK).await;
            }
        });
        let transport = builder.max_conns_per_host(1).build();
        let (first, error, third) = tokio::join!(
            fetch(&transport, URL),
            async {
                tokio::task::yield_now().await;
                let (_feeder, body, seen) = fed();
                let error = give_up(means, &transport, post(URL, RequestBody::stream(body))).await;
                assert_eq!(seen.drops(), 1);
                error
            },
            async {
                sleep(Duration::from_millis(10)).await;
                fetch(&transport, URL).await
            },
        );
        check(means, error.as_ref());
        assert!(first.is_ok() && third.is_ok(), "{means:?}");
        assert_eq!((net.dials(), total(&transport).waiting), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_given_up_before_dials_nothing_and_drops_its_body() {
    let (net, builder) = numbered();
    let transport = builder.build();
    let token = CancellationToken::new();
    token.cancel();
    let (_feeder, body, seen) = fed();
    let mut request = post(URL, RequestBody::stream(body));
    request.extensions_mut().insert(CancelOn(token));
    let error = transport.round_trip(request).await.unwrap_err();
    assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::Cancelled, false));
    assert_eq!((net.dials(), seen.drops(), total(&transport).open()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_cancelled_after_the_end_harms_nobody_on_the_connection() {
    let (net, builder) = net(|mut peer| async move {
        while peer.head().await.is_some() {
            sleep(Duration::from_secs(1)).await;
            peer.write(OK).await;
        }
    });
    let transport = builder.build();
    let token = CancellationToken::new();
    let mut request = get(URL);
    request.extensions_mut().insert(CancelOn(token.clone()));
    read(transport.round_trip(request).await.unwrap()).await.unwrap();
    let (next, ()) = tokio::join!(fetch(&transport, URL), async {
        sleep(Duration::from_millis(500)).await;
        token.cancel();
    });
    assert_eq!(next.unwrap(), "ok");
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn wherever_a_request_is_dropped_nothing_is_left_and_the_next_one_is_served() {
    for polls in 0..32 {
        let (net, builder) = net(|mut peer| async move {
            while peer.head().await.is_some() {
                peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                tokio::task::yield_now().await;
                peer.write("2\r\nok\r\n0\r\n\r\n").await;
            }
        });
        let transport = builder.max_conns_per_host(1).build();
        drop(given_up_after(polls, fetch(&transport, URL)).await);
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok", "after {polls} polls");
        settle().await;
        let stats = total(&transport);
        assert_eq!((stats.active, stats.waiting, stats.idle), (0, 0, 1), "after {polls} polls");
        assert!(net.dials() <= 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_cancelled_at_any_moment_gives_the_response_or_cancelled_and_nothing_else() {
    let (mut answered, mut cancelled) = (0, 0);
    for turns in 0..32 {
        let (_net, builder) = net(|mut peer| async move {
            peer.head().await;
            peer.write(OK).await;
            peer.closed().await;
        });
        let transport = builder.build();
        let token = CancellationToken::new();
        let mut request = get(URL);
        request.extensions_mut().insert(CancelOn(token.clone()));
        let (result, ()) = tokio::join!(async { read(transport.round_trip(request).await?).await }, async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            token.cancel();
        });
        match result {
            Ok(text) => answered += usize::from(text == "ok"),
            Err(error) => cancelled += usize::from(error.is_cancelled()),
        }
    }
    assert_eq!(answered + cancelled, 32);
    assert!(answered > 0 && cancelled > 0, "{answered} were answered, {cancelled} cancelled");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_request_is_refused_before_anything_is_dialed_and_its_body_dropped() {
    let (net, builder) = numbered();
    let transport = builder.build();
    for (method, uri, header, expected) in [
        ("POST", "/path", None, InvalidRequest::Scheme),
        ("POST", "ftp://host.test/", None, InvalidRequest::Scheme),
        ("POST", "host.test:80", None, InvalidRequest::Scheme),
        ("POST", "http://:80/", None, InvalidRequest::Host),
        ("POST", URL, Some(("content-length", "many")), InvalidRequest::ContentLength),
        ("POST", URL, Some(("content-length", "-1")), InvalidRequest::ContentLength),
        ("CONNECT", URL, Some(("host", "not a host")), InvalidRequest::Authority),
    ] {
        let Ok(uri) = uri.parse::<Uri>() else { panic!("{uri} is no URI, so it says nothing") };
        let (_feeder, body, seen) = fed();
        let mut builder = Request::builder().method(method).uri(uri.clone());
        if let Some((name, value)) = header {
            builder = builder.header(name, value);
        }
        let error = transport.round_trip(builder.body(RequestBody::stream(body)).unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest(expected), "{uri} {header:?}");
        assert_eq!((seen.drops(), seen.frames(), error.has_sent_bytes()), (1, 0, false));
    }
    let mut request = post(URL, "four");
    request.headers_mut().insert("content-length", "5".parse().unwrap());
    let error = transport.round_trip(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest(InvalidRequest::ContentLength));
    assert_eq!((net.dials(), total(&transport).dialing), (0, 0));
}

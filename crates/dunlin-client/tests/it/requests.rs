//! Requests and notifications: answers, errors, time-outs, cancelling, bounds.

use std::time::Duration;

use dunlin_client::{Client, NotifyError, RequestError};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::server::{Behaviour, Seen, Server, serve};

/// A client and a server joined by a pipe, for tests under a paused clock.
async fn piped(
    configure: impl FnOnce(dunlin_client::ClientBuilder) -> dunlin_client::ClientBuilder,
) -> Client {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (seen, _) = mpsc::unbounded_channel();
    tokio::spawn(serve(theirs, Behaviour::TCP, seen));
    configure(Client::builder("tcp://pipe:1")).connect_over(ours).await.unwrap()
}

#[tokio::test]
async fn many_requests_at_once_each_get_their_own_answer() {
    let server = Server::start(Behaviour::WEBSOCKET).await;
    let client = Client::connect(&server.url("ws")).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..500_u32 {
        let client = client.clone();
        asking.spawn(async move { (n, client.request::<_, u32>("Echo.echo", &n).await.unwrap()) });
    }
    let answers = asking.join_all().await;
    assert!(answers.iter().all(|(asked, answered)| asked == answered) && answers.len() == 500);
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    for (behaviour, scheme) in [(Behaviour::WEBSOCKET, "ws"), (Behaviour::TCP, "tcp")] {
        let server = Server::start(behaviour).await;
        let client = Client::connect(&server.url(scheme)).await.unwrap();
        let payload: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
        let answer = client.request_raw("Echo.echo", payload.clone()).await.unwrap();
        assert!(answer == payload);
    }
}

#[tokio::test]
async fn error_answer_is_typed() {
    let server = Server::start(Behaviour::WEBSOCKET).await;
    let client = Client::connect(&server.url("ws")).await.unwrap();
    let error = client.request::<_, Value>("Echo.fail", &()).await.unwrap_err();
    let server_error = error.server().unwrap();
    assert_eq!((server_error.code, server_error.message.as_str()), (409, "taken"));
    assert_eq!(server_error.details, Some(json!({"seat": 3})));
    assert!(!error.is_unsent());
}

#[tokio::test]
async fn empty_answer_reads_as_null_and_wrong_json_is_an_error_that_names_the_route() {
    let server = Server::start(Behaviour::TCP).await;
    let client = Client::connect(&server.url("tcp")).await.unwrap();
    client.request::<_, ()>("Echo.empty", &()).await.unwrap();
    let error = client.request::<_, u32>("Echo.echo", "text").await.unwrap_err();
    assert!(matches!(&error, RequestError::Deserialize { route, .. } if route == "Echo.echo"), "{error:?}");
}

#[tokio::test]
async fn route_in_the_dictionary_is_sent_as_its_code() {
    let behaviour = Behaviour { dictionary: &[("Echo.route", 7)], ..Behaviour::WEBSOCKET };
    let server = Server::start(behaviour).await;
    let client = Client::connect(&server.url("ws")).await.unwrap();
    assert_eq!(client.request_raw("Echo.route", "").await.unwrap(), "#Echo.route");
}

#[tokio::test]
async fn notifications_arrive_in_order() {
    let mut server = Server::start(Behaviour::WEBSOCKET).await;
    let client = Client::connect(&server.url("ws")).await.unwrap();
    for n in 0..100 {
        client.notify("Log.line", &n).await.unwrap();
    }
    for n in 0..100 {
        let payload = server.wait_for(|seen| match seen {
            Seen::Notified { payload, .. } => Some(payload),
            _ => None,
        });
        assert_eq!(payload.await, n.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn unanswered_request_times_out_exactly_then() {
    let client = piped(|builder| builder.request_timeout(Duration::from_secs(3))).await;
    let before = Instant::now();
    let error = client.request_raw("Echo.silent", "").await.unwrap_err();
    assert!(matches!(error, RequestError::TimedOut { .. }) && !error.is_unsent(), "{error:?}");
    assert_eq!(before.elapsed(), Duration::from_secs(3));
    let own = Duration::from_millis(1500);
    let before = Instant::now();
    client.request_raw_timeout("Echo.silent", "", own).await.unwrap_err();
    assert_eq!(before.elapsed(), own);
    // The connection is none the worse.
    assert_eq!(client.request_raw("Echo.echo", "x").await.unwrap(), "x");
}

#[tokio::test(start_paused = true)]
async fn request_beyond_the_in_flight_limit_is_refused_unsent() {
    let client = piped(|builder| builder.in_flight_max(2)).await;
    let unanswered = || {
        let client = client.clone();
        tokio::spawn(async move { client.request_raw("Echo.silent", "").await })
    };
    let (first, second) = (unanswered(), unanswered());
    tokio::task::yield_now().await;
    let error = client.request_raw("Echo.echo", "").await.unwrap_err();
    assert!(
        matches!(error, RequestError::TooManyInFlight { in_flight_max: 2 }) && error.is_unsent(),
        "{error:?}"
    );
    first.await.unwrap().unwrap_err();
    second.await.unwrap().unwrap_err();
    client.request_raw("Echo.echo", "").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn cancelled_request_makes_room_at_once() {
    let client = piped(|builder| builder.in_flight_max(1)).await;
    let before = Instant::now();
    for _ in 0..5 {
        let unanswered = client.request_raw("Echo.silent", "");
        assert!(tokio::time::timeout(Duration::from_millis(1), unanswered).await.is_err());
        assert_eq!(client.request_raw("Echo.echo", "x").await.unwrap(), "x");
    }
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn request_cancelled_before_it_was_taken_is_never_sent() {
    let client = piped(|builder| builder).await;
    // Polled once, so that it is queued, and dropped before the task of the connection runs.
    let dropping = client.request_raw("Bye.drop", "");
    assert!(tokio::time::timeout(Duration::ZERO, dropping).await.is_err());
    assert_eq!(client.request_raw("Echo.echo", "x").await.unwrap(), "x");
}

#[tokio::test]
async fn many_calls_over_a_narrow_pipe_arrive_whole() {
    for (behaviour, url) in [(Behaviour::WEBSOCKET, "ws://pipe/"), (Behaviour::TCP, "tcp://pipe:1")] {
        // Much narrower than what waits, so that the output is always partly written.
        let (ours, theirs) = tokio::io::duplex(64);
        let (seen, _keep) = mpsc::unbounded_channel();
        tokio::spawn(serve(theirs, behaviour, seen));
        let client = Client::builder(url).connect_over(ours).await.unwrap();
        let mut asking = tokio::task::JoinSet::new();
        for n in 0..200_usize {
            let client = client.clone();
            asking.spawn(async move {
                let payload = vec![n as u8; 10 + 7 * n];
                // Spread out, so that calls come while others are being written.
                for _ in 0..n {
                    tokio::task::yield_now().await;
                }
                assert_eq!(client.request_raw("Echo.echo", payload.clone()).await.unwrap(), payload);
            });
        }
        asking.join_all().await;
    }
}

#[tokio::test]
async fn message_over_a_limit_is_refused_unsent() {
    let client = piped(|builder| builder.send_body_len_max(100)).await;
    let route = "r".repeat(256);
    for (route, payload) in [("Echo.echo", vec![0; 100]), (&route, Vec::new())] {
        let error = client.request_raw(route, payload.clone()).await.unwrap_err();
        assert!(matches!(error, RequestError::TooLong(_)) && error.is_unsent(), "{error:?}");
        let error = client.notify_raw(route, payload).await.unwrap_err();
        assert!(matches!(error, NotifyError::TooLong(_)), "{error:?}");
    }
    client.request_raw("Echo.echo", vec![0; 80]).await.unwrap();
}

#[tokio::test]
async fn answers_longer_than_the_read_buffer_arrive_whole() {
    for len in [0, 1, 100] {
        let client = piped(|builder| builder.read_buffer(len)).await;
        assert_eq!(client.request_raw("Echo.echo", vec![7; 1000]).await.unwrap(), vec![7; 1000]);
    }
}

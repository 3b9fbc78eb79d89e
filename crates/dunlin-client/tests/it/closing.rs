//! The end of a connection: each reason, and what becomes of what was under way.

use std::time::Duration;

use dunlin_client::{Client, CloseReason, NotifyError, RequestError, State};
use dunlin_wire::ws::CloseFrame;

use crate::server::{Behaviour, Seen, Server};

async fn connect(behaviour: Behaviour) -> (Server, Client) {
    let scheme = if behaviour.is_websocket { "ws" } else { "tcp" };
    let server = Server::start(behaviour).await;
    let client = Client::connect(&server.url(scheme)).await.unwrap();
    (server, client)
}

/// Calls a route that ends the connection, and gives the reason.
async fn end_by(client: &Client, route: &str) -> CloseReason {
    let error = client.request_raw(route, "").await.unwrap_err();
    assert!(matches!(error, RequestError::Disconnected), "{error:?}");
    tokio::time::timeout(Duration::from_secs(10), client.closed()).await.expect("closed in time")
}

#[tokio::test]
async fn kick_says_its_reason() {
    for behaviour in [Behaviour::WEBSOCKET, Behaviour::TCP] {
        let (_server, client) = connect(behaviour).await;
        let reason = end_by(&client, "Bye.kick").await;
        assert!(
            matches!(&reason, CloseReason::Kicked { reason } if reason == "logged in elsewhere"),
            "{reason:?}"
        );
        assert!(!reason.is_retryable());
    }
}

#[tokio::test]
async fn close_of_the_server_says_code_and_reason_and_is_answered_with_the_same_code() {
    let (mut server, client) = connect(Behaviour::WEBSOCKET).await;
    let reason = end_by(&client, "Bye.close").await;
    let CloseReason::ByServer { code: Some(4001), reason } = reason else { panic!("{reason:?}") };
    assert_eq!(reason, "good night");
    let answered = server.wait_for(|seen| match seen {
        Seen::Closed(frame) => Some(frame),
        _ => None,
    });
    assert_eq!(answered.await, Some(CloseFrame { code: 4001, reason: String::new() }));
}

#[tokio::test]
async fn close_that_comes_with_the_handshake_is_heard_after_the_push_before_it() {
    for (behaviour, scheme, expected) in
        [(Behaviour::WEBSOCKET, "ws", Some(4002)), (Behaviour::TCP, "tcp", None)]
    {
        let server = Server::start(Behaviour { greeting: Some("1"), is_brief: true, ..behaviour }).await;
        let mut builder = Client::builder(&server.url(scheme));
        let mut greetings = builder.subscribe("onGreeting");
        let client = builder.connect().await.unwrap();
        assert!(greetings.recv().await.is_some());
        let reason = tokio::time::timeout(Duration::from_secs(10), client.closed()).await.expect("in time");
        assert!(matches!(reason, CloseReason::ByServer { code, .. } if code == expected), "{reason:?}");
    }
}

#[tokio::test]
async fn end_without_a_word_is_by_the_server_without_a_code() {
    for behaviour in [Behaviour::WEBSOCKET, Behaviour::TCP] {
        let (_server, client) = connect(behaviour).await;
        let reason = end_by(&client, "Bye.drop").await;
        assert!(matches!(reason, CloseReason::ByServer { code: None, .. }), "{reason:?}");
    }
}

#[tokio::test]
async fn server_that_breaks_the_protocol_is_left() {
    for (behaviour, route) in [
        (Behaviour::WEBSOCKET, "Bye.garbage"),
        (Behaviour::WEBSOCKET, "Bye.text"),
        (Behaviour::TCP, "Bye.garbage"),
    ] {
        let (mut server, client) = connect(behaviour).await;
        let reason = end_by(&client, route).await;
        assert!(matches!(reason, CloseReason::Protocol(_)), "{reason:?}");
        server.wait_for(|seen| (seen == Seen::Gone).then_some(())).await;
    }
}

#[tokio::test]
async fn close_says_goodbye_after_what_was_asked_before() {
    // Both wait when the task looks; often enough that chance cannot hide a wrong order.
    for _ in 0..20 {
        let (mut server, client) = connect(Behaviour::WEBSOCKET).await;
        for n in 0..50 {
            client.notify("Log.line", &n).await.unwrap();
        }
        client.close().await;
        assert!(matches!(client.state(), State::Closed { reason: CloseReason::ByUs }));
        let mut notified = 0;
        let frame = server.wait_for(|seen| match seen {
            Seen::Notified { .. } => {
                notified += 1;
                None
            }
            Seen::Closed(frame) => Some(frame),
            _ => None,
        });
        assert_eq!(frame.await, Some(CloseFrame { code: 1000, reason: String::new() }));
        assert_eq!(notified, 50);
    }
}

#[tokio::test]
async fn last_handle_dropped_closes_the_connection() {
    for behaviour in [Behaviour::WEBSOCKET, Behaviour::TCP] {
        let (mut server, client) = connect(behaviour).await;
        let clone = client.clone();
        drop(client);
        clone.request_raw("Echo.echo", "x").await.unwrap();
        drop(clone);
        server.wait_for(|seen| (seen == Seen::Gone).then_some(())).await;
    }
}

#[tokio::test]
async fn request_under_way_at_our_close_fails_as_disconnected_and_later_calls_as_closed() {
    let (_server, client) = connect(Behaviour::WEBSOCKET).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.request_raw("Echo.silent", "").await }
    });
    // The silent request is in front of this one, so it was sent.
    client.request_raw("Echo.echo", "").await.unwrap();
    client.close().await;
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Disconnected), "{error:?}");
    let error = client.request_raw("Echo.echo", "").await.unwrap_err();
    assert!(
        matches!(error, RequestError::Closed { reason: CloseReason::ByUs }) && error.is_unsent(),
        "{error:?}"
    );
    let error = client.notify_raw("Echo.echo", "").await.unwrap_err();
    assert!(matches!(error, NotifyError::Closed { .. }), "{error:?}");
    client.close().await;
}

#[test]
fn runtime_that_goes_ends_the_client() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let (server, client) = first.block_on(connect(Behaviour::TCP));
    drop(first);
    let reason = second.block_on(client.closed());
    assert!(matches!(reason, CloseReason::RuntimeGone), "{reason:?}");
    let error = second.block_on(client.request_raw("Echo.echo", "")).unwrap_err();
    assert!(matches!(error, RequestError::Disconnected), "{error:?}");
    drop(server);
}

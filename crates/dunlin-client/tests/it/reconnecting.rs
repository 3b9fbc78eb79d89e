//! Coming back after a drop, and not coming back after a decision.

use std::time::Duration;

use dunlin_client::{Client, CloseReason, Reconnect, RequestError, State};
use tokio::net::TcpListener;

use crate::server::{Behaviour, Seen, Server, serve};

const SOON: Reconnect = Reconnect::full_jitter(Duration::from_millis(1), Duration::from_millis(20));

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("in time")
}

#[tokio::test]
async fn dropped_client_comes_back_and_its_subscriptions_live_on() {
    for (behaviour, scheme) in [(Behaviour::WEBSOCKET, "ws"), (Behaviour::TCP, "tcp")] {
        let server = Server::start(behaviour).await;
        let client = Client::builder(&server.url(scheme)).reconnect(SOON).connect().await.unwrap();
        let mut ticks = client.subscribe("onTick");
        let mut states = client.watch_state();
        for connection in 2..5 {
            let error = client.request_raw("Bye.drop", "").await.unwrap_err();
            assert!(matches!(error, RequestError::Disconnected), "{error:?}");
            let is_back =
                |state| matches!(state, State::Connected { connection: number } if number == connection);
            while !is_back(within(states.changed()).await.unwrap()) {}
            client.request::<_, ()>("Push.many", &1).await.unwrap();
            assert!(within(ticks.recv()).await.is_some());
        }
        client.close().await;
        while within(states.changed()).await.is_some() {}
    }
}

#[tokio::test]
async fn drop_and_its_reason_are_seen_in_the_state() {
    let server = Server::start(Behaviour::WEBSOCKET).await;
    // Slow enough for the state between to be seen.
    let slow = Reconnect::full_jitter(Duration::from_secs(1000), Duration::from_secs(1000));
    let client = Client::builder(&server.url("ws")).reconnect(slow).connect().await.unwrap();
    let mut states = client.watch_state();
    client.request_raw("Bye.drop", "").await.unwrap_err();
    let state = within(states.changed()).await.unwrap();
    let State::Reconnecting { reason, attempt: 1, .. } = state else { panic!("{state:?}") };
    assert!(matches!(reason, CloseReason::ByServer { code: None, .. }), "{reason:?}");
    let error = within(client.request_raw("Echo.echo", "")).await.unwrap_err();
    assert!(matches!(error, RequestError::NotConnected) && error.is_unsent(), "{error:?}");
    within(client.close()).await;
    assert!(matches!(client.state(), State::Closed { reason: CloseReason::ByUs }));
}

#[tokio::test]
async fn kicked_client_does_not_come_back() {
    let server = Server::start(Behaviour::WEBSOCKET).await;
    let client = Client::builder(&server.url("ws")).reconnect(SOON).connect().await.unwrap();
    client.request_raw("Bye.kick", "").await.unwrap_err();
    let reason = within(client.closed()).await;
    assert!(matches!(reason, CloseReason::Kicked { .. }), "{reason:?}");
}

#[tokio::test]
async fn client_refused_at_its_return_is_closed_with_the_code() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        for refusal in [None, Some((503, "full")), Some((403, "banned"))] {
            let (tcp, _) = listener.accept().await.unwrap();
            let (seen, _) = tokio::sync::mpsc::unbounded_channel();
            serve(tcp, Behaviour { refusal, ..Behaviour::TCP }, seen).await;
        }
    });
    let client = Client::builder(&url).reconnect(SOON).connect().await.unwrap();
    client.request_raw("Bye.drop", "").await.unwrap_err();
    let reason = within(client.closed()).await;
    let CloseReason::Refused { code: 403, message } = reason else { panic!("{reason:?}") };
    assert_eq!(message.as_deref(), Some("banned"));
    serving.await.unwrap();
}

#[tokio::test]
async fn client_gives_up_after_the_tries_it_was_allowed() {
    let mut server = Server::start(Behaviour::TCP).await;
    let client = Client::builder(&server.url("tcp")).reconnect(SOON.attempts_max(3)).connect().await.unwrap();
    server.wait_for(|seen| matches!(seen, Seen::Handshake { .. }).then_some(())).await;
    server.stop().await;
    let reason = within(client.closed()).await;
    assert!(matches!(reason, CloseReason::GaveUp { attempts: 3, .. }), "{reason:?}");
}

#[tokio::test]
async fn connections_that_drop_at_once_count_as_failed_tries() {
    let server = Server::start(Behaviour { is_brief: true, ..Behaviour::TCP }).await;
    let policy = Reconnect::full_jitter(Duration::from_millis(1), Duration::from_secs(1000)).attempts_max(3);
    let client = Client::builder(&server.url("tcp")).reconnect(policy).connect().await.unwrap();
    let reason = within(client.closed()).await;
    assert!(matches!(reason, CloseReason::ByServer { code: None, .. }), "{reason:?}");
}

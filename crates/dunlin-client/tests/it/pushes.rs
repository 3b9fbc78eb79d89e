//! Pushes: none is missed from the start, none holds up the connection.

use dunlin_client::Client;

use crate::server::{Behaviour, Server};

#[tokio::test]
async fn push_that_comes_with_the_handshake_reaches_who_subscribed_before_connecting() {
    for (behaviour, scheme) in [(Behaviour::WEBSOCKET, "ws"), (Behaviour::TCP, "tcp")] {
        let server = Server::start(Behaviour { greeting: Some("\"hi\""), ..behaviour }).await;
        let mut builder = Client::builder(&server.url(scheme));
        let mut greetings = builder.subscribe("onGreeting");
        let mut all = builder.subscribe_all();
        let _client = builder.connect().await.unwrap();
        assert_eq!(greetings.recv().await.unwrap().json::<String>().unwrap(), "hi");
        assert_eq!(&*all.recv().await.unwrap().route, "onGreeting");
    }
}

#[tokio::test]
async fn pushes_come_in_order() {
    let server = Server::start(Behaviour::WEBSOCKET).await;
    let client = Client::connect(&server.url("ws")).await.unwrap();
    let mut ticks = client.subscribe("onTick");
    client.request::<_, ()>("Push.many", &1000).await.unwrap();
    for n in 0..1000 {
        assert_eq!(ticks.recv().await.unwrap().json::<u32>().unwrap(), n);
    }
    assert_eq!(ticks.dropped(), 0);
}

#[tokio::test]
async fn slow_subscriber_loses_the_newest_counted_and_holds_up_nobody() {
    let server = Server::start(Behaviour::WEBSOCKET).await;
    let client = Client::builder(&server.url("ws")).push_queue(10).connect().await.unwrap();
    let mut ticks = client.subscribe("onTick");
    // The answer comes behind all pushes, which nobody takes.
    client.request::<_, ()>("Push.many", &25).await.unwrap();
    assert_eq!(ticks.dropped(), 15);
    for n in 0..10 {
        assert_eq!(ticks.recv().await.unwrap().json::<u32>().unwrap(), n);
    }
    assert_eq!(ticks.try_recv(), None);
}

#[tokio::test]
async fn subscription_ends_with_the_client_and_does_not_keep_it() {
    let server = Server::start(Behaviour::WEBSOCKET).await;
    let client = Client::connect(&server.url("ws")).await.unwrap();
    let mut ticks = client.subscribe("onTick");
    drop(client);
    assert_eq!(ticks.recv().await, None);
}

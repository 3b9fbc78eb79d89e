//! Two people talk: inside the process without sockets, and over real ones.

use dunlin_client::Client;

use super::{Join, Line, app};

fn join(name: &str) -> Join {
    Join { room: "pond".to_owned(), name: name.to_owned() }
}

#[tokio::test]
async fn what_one_says_the_other_hears() {
    let app = app();
    let (ann, bob) = (app.connect().await.unwrap(), app.connect().await.unwrap());
    let _: Vec<String> = ann.request("Chat.join", join("ann")).await.unwrap();
    let mut members: Vec<String> = bob.request("Chat.join", join("bob")).await.unwrap();
    members.sort();
    assert_eq!(members, ["ann", "bob"]);

    bob.notify("Chat.say", "hi").await.unwrap();
    let line: Line = ann.expect().await.unwrap();
    assert_eq!((line.from.as_str(), line.text.as_str()), ("bob", "hi"));
}

#[tokio::test]
async fn who_has_not_joined_is_not_heard() {
    let app = app();
    let (ann, eve) = (app.connect().await.unwrap(), app.connect().await.unwrap());
    let _: Vec<String> = ann.request("Chat.join", join("ann")).await.unwrap();

    let refused = eve.request::<()>("Chat.say", "let me in").await.unwrap_err();
    assert!(refused.to_string().contains("401"), "{refused}");
    assert_eq!(ann.try_push(), None);
}

#[tokio::test]
async fn over_a_real_socket_it_is_the_same_chat() {
    let node = app().listen("127.0.0.1:0").start().await.unwrap();
    let client = Client::connect(&format!("ws://{}/", node.addrs()[0])).await.unwrap();
    let members: Vec<String> = client.request("Chat.join", &join("ann")).await.unwrap();
    assert_eq!(members, ["ann"]);
    assert!(node.stop().await.is_clean);
}

//! The chat under test: real handlers, in-process clients, paused time.

use std::time::Duration;

use dunlin::{CallError, LocalClient};
use serde_json::{Value, json};

use super::*;

async fn join(app: &App, room: &str, name: &str) -> (LocalClient, Joined) {
    let client = app.connect().await.unwrap();
    let joined = client.request("Chat.join", json!({"room": room, "name": name})).await.unwrap();
    (client, joined)
}

async fn ask(client: &LocalClient, route: &str, body: Value) -> Result<Value, u32> {
    client.request(route, body).await.map_err(|error| match error {
        CallError::Server { code, .. } => code,
        other => panic!("no answer: {other}"),
    })
}

fn names(joined: &Joined) -> Vec<&str> {
    joined.members.iter().map(|member| &*member.name).collect()
}

#[tokio::test(start_paused = true)]
async fn two_people_talk_and_both_hear_every_line_once() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let (bob, joined) = join(&app, "lobby", "bob").await;
    assert_eq!((names(&joined), &*joined.you), (vec!["ann", "bob"], "bob"));
    assert_eq!(&*ann.expect::<Member>().await.unwrap().name, "bob");

    bob.notify("Chat.say", json!({"text": "  Grüße 🐦 "})).await.unwrap();
    for client in [&ann, &bob] {
        let line = client.expect::<Line>().await.unwrap();
        assert_eq!((&*line.from, &*line.text), ("bob", "Grüße 🐦"));
        assert!(line.at > 1_600_000_000_000, "unix milliseconds, not {}", line.at);
        assert!(client.try_push().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_refused_on_join_and_on_rename() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let (_bob, _) = join(&app, "lobby", "bob").await;
    let late = app.connect().await.unwrap();
    assert_eq!(ask(&late, "Chat.join", json!({"room": "lobby", "name": " ann "})).await, Err(409));
    assert_eq!(ask(&ann, "Chat.rename", json!({"name": "bob"})).await, Err(409));
    assert_eq!(ask(&late, "Chat.join", json!({"room": "cellar", "name": "ann"})).await.map(|_| ()), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_session_sits_in_one_room_only() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    assert_eq!(ask(&ann, "Chat.join", json!({"room": "cellar", "name": "ann"})).await, Err(409));
    let (_, joined) = join(&app, "cellar", "bob").await;
    assert_eq!(names(&joined), ["bob"]);
}

#[tokio::test(start_paused = true)]
async fn leaving_is_told_to_the_others_and_frees_the_name() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let (bob, _) = join(&app, "lobby", "bob").await;
    bob.close().await;
    assert_eq!(&*ann.expect::<Left>().await.unwrap().name, "bob");
    let (_bob, joined) = join(&app, "lobby", "bob").await;
    assert_eq!(names(&joined), ["ann", "bob"]);
}

#[tokio::test(start_paused = true)]
async fn somebody_renamed_speaks_and_leaves_under_the_new_name() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let (bob, _) = join(&app, "lobby", "bob").await;
    assert_eq!(ask(&bob, "Chat.rename", json!({"name": "eve"})).await, Ok(json!({"name": "eve"})));
    let renamed = ann.expect::<Renamed>().await.unwrap();
    assert_eq!((&*renamed.from, &*renamed.to), ("bob", "eve"));
    bob.notify("Chat.say", json!({"text": "hi"})).await.unwrap();
    assert_eq!(&*ann.expect::<Line>().await.unwrap().from, "eve");
    drop(bob);
    assert_eq!(&*ann.expect::<Left>().await.unwrap().name, "eve");
}

#[tokio::test(start_paused = true)]
async fn typing_is_told_to_the_others_and_not_to_the_typist() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let (bob, _) = join(&app, "lobby", "bob").await;
    bob.notify("Chat.typing", json!({})).await.unwrap();
    assert_eq!(&*ann.expect::<Typing>().await.unwrap().name, "bob");
    assert!(bob.try_push().is_none());
}

#[tokio::test(start_paused = true)]
async fn newcomers_are_shown_the_last_fifty_lines_and_no_more() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    for number in 1..=HISTORY_LINES_MAX + 3 {
        ask(&ann, "Chat.say", json!({"text": number.to_string()})).await.unwrap();
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    let (_bob, joined) = join(&app, "lobby", "bob").await;
    assert_eq!(joined.history.len(), 50);
    assert_eq!((&*joined.history[0].text, &*joined.history[49].text), ("4", "53"));
}

#[tokio::test(start_paused = true)]
async fn texts_and_names_are_bounded_by_characters_and_nothing_is_no_text() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let say = |text: String| ask(&ann, "Chat.say", json!({ "text": text }));
    assert_eq!(say("ü".repeat(500)).await.map(|_| ()), Ok(()));
    assert_eq!(say("ü".repeat(501)).await, Err(400));
    assert_eq!(say(" ".to_owned()).await, Err(400));
    assert_eq!(ask(&ann, "Chat.rename", json!({"name": "ü".repeat(25)})).await, Err(400));
    assert_eq!(ask(&ann, "Chat.rename", json!({"name": "ü".repeat(24)})).await.map(|_| ()), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn who_has_not_joined_is_refused_and_heard_by_nobody() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let stranger = app.connect().await.unwrap();
    assert_eq!(ask(&stranger, "Chat.say", json!({"text": "hi"})).await, Err(401));
    assert_eq!(ask(&stranger, "Chat.rename", json!({"name": "x"})).await, Err(401));
    assert!(ann.try_push().is_none());
}

#[tokio::test(start_paused = true)]
async fn rooms_do_not_hear_each_other() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let (bob, _) = join(&app, "cellar", "bob").await;
    ask(&bob, "Chat.say", json!({"text": "hi"})).await.unwrap();
    assert!(ann.try_push().is_none());
    assert_eq!(&*bob.expect::<Line>().await.unwrap().text, "hi");
}

#[tokio::test(start_paused = true)]
async fn a_room_is_forgotten_with_its_last_member() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let (bob, _) = join(&app, "attic", "bob").await;
    ask(&ann, "Chat.say", json!({"text": "hi"})).await.unwrap();
    drop(ann);
    let groups = app.local().await.unwrap().groups();
    while groups.get("lobby").is_some() {
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    let (_ann, joined) = join(&app, "lobby", "ann").await;
    assert!(joined.history.is_empty());
    assert!(bob.try_push().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_talks_too_fast_is_told_so() {
    let app = app();
    let (ann, _) = join(&app, "lobby", "ann").await;
    let mut refused = 0;
    for _ in 0..25 {
        refused += u32::from(ask(&ann, "Chat.say", json!({"text": "hi"})).await == Err(429));
    }
    assert_eq!(refused, 6);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(ask(&ann, "Chat.say", json!({"text": "hi"})).await.is_ok());
}

//! What of a session other nodes see, and how it ends for them.

use std::time::Duration;

use dunlin::{App, LocalEnd};
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep};

use super::{Line, room, with_gates};

#[tokio::test(start_paused = true)]
async fn what_a_backend_binds_and_shares_every_node_of_the_session_sees() {
    let (mut cluster, seen) = with_gates(&[]).await;
    let other = App::new().route("Other.whoami", |session: dunlin::Session| async move {
        Ok((session.uid().map(|uid| uid.to_string()), session.shared::<u32>("level")))
    });
    cluster.start("other", other).await.unwrap();
    let gate = App::new().route("Gate.whoami", |session: dunlin::Session| async move {
        session.share("level", &8_u32).map_err(|_| dunlin::Error::internal("no"))?;
        Ok(session.uid().map(|uid| uid.to_string()))
    });
    cluster.start("gate", gate).await.unwrap();
    let client = cluster.connect("gate").await.unwrap();
    type Seen = (Option<String>, Option<u32>);
    assert_eq!(client.request::<Seen>("Other.whoami", ()).await.unwrap(), (None, None));
    client.request::<IgnoredAny>("Room.login", "ann").await.unwrap();
    let expected = (Some("ann".to_owned()), Some(7));
    assert_eq!(client.request::<Seen>("Room.whoami", ()).await.unwrap(), expected);
    assert_eq!(
        client.request::<Seen>("Other.whoami", ()).await.unwrap(),
        expected,
        "it knew the session before"
    );
    assert_eq!(client.request::<Option<String>>("Gate.whoami", ()).await.unwrap(), expected.0);
    assert_eq!(client.request::<Seen>("Other.whoami", ()).await.unwrap().1, Some(8));
    assert_eq!(cluster.node("gate").sessions().of_uid("ann").len(), 1);
    assert_eq!(cluster.node("one").sessions().of_uid("ann").len(), 1);
    drop((client, seen));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.node("one").sessions().uid_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_backend_kicks_the_client_of_a_gate_with_its_reason_after_what_it_pushed() {
    let (cluster, seen) = with_gates(&["gate"]).await;
    let client = cluster.connect("gate").await.unwrap();
    client.request::<IgnoredAny>("Room.join", ()).await.unwrap();
    client.request::<IgnoredAny>("Room.push", "last words").await.unwrap();
    client.notify("Room.kick", "cheating").await.unwrap();
    assert_eq!(client.expect::<Line>().await.unwrap().text, "last words");
    assert_eq!(client.closed().await, LocalEnd::Kicked { reason: "cheating".into() });
    sleep(Duration::from_millis(100)).await;
    let ended = seen.ended.lock().unwrap().clone();
    assert_eq!(ended.iter().map(|(_, why)| &**why).collect::<Vec<_>>(), ["kicked: cheating"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_is_told_once_to_the_nodes_that_know_it_and_to_no_other() {
    let (mut cluster, seen) = with_gates(&["gate"]).await;
    let other_seen = std::sync::Arc::default();
    cluster.start("two", App::new().route("Other.name", || async { Ok("two") })).await.unwrap();
    let _ = room("unused", &other_seen);
    let client = cluster.connect("gate").await.unwrap();
    client.request::<IgnoredAny>("Room.join", ()).await.unwrap();
    assert_eq!(cluster.node("one").stats().visitors, 1);
    assert_eq!(cluster.node("two").stats().visitors, 0);
    assert_eq!(cluster.node("gate").stats().travellers, 1);
    drop(client);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.ended.lock().unwrap().len(), 1);
    assert_eq!(cluster.node("one").stats().visitors, 0);
    assert_eq!(cluster.node("gate").stats().travellers, 0);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(seen.ended.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_a_gate_dies_its_sessions_end_on_every_backend_once_and_soon() {
    let (mut cluster, seen) = with_gates(&["gate-1", "gate-2"]).await;
    let mut clients = Vec::new();
    for gate in ["gate-1", "gate-1", "gate-2"] {
        let client = cluster.connect(gate).await.unwrap();
        client.request::<IgnoredAny>("Room.join", ()).await.unwrap();
        clients.push(client);
    }
    let dead = Instant::now();
    cluster.kill("gate-1");
    while seen.ended.lock().unwrap().len() < 2 {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(dead.elapsed() <= Duration::from_millis(1_200), "{:?}", dead.elapsed());
    sleep(Duration::from_secs(30)).await;
    let ended = seen.ended.lock().unwrap().clone();
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert!(ended.iter().all(|(_, why)| why == "the node of the client is gone"), "{ended:?}");
    assert_eq!(cluster.node("one").stats().visitors, 1);
    assert_eq!(clients[2].request::<String>("Room.name", ()).await.unwrap(), "one");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_comes_back_in_time_finds_the_sessions_that_still_are_and_ends_those_that_are_not() {
    let (cluster, seen) = with_gates(&["gate"]).await;
    let (stays, goes) = (cluster.connect("gate").await.unwrap(), cluster.connect("gate").await.unwrap());
    stays.request::<IgnoredAny>("Room.login", "ann").await.unwrap();
    stays.request::<IgnoredAny>("Room.join", ()).await.unwrap();
    goes.request::<IgnoredAny>("Room.join", ()).await.unwrap();
    // What the gate hears is cut: it gives the link up, while the backend goes on hearing of it.
    cluster.cut_one_way("one", "gate");
    sleep(Duration::from_millis(2_100)).await;
    drop(goes);
    sleep(Duration::from_millis(200)).await;
    cluster.heal();
    cluster.settle().await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(seen.ended.lock().unwrap().len(), 1, "{:?}", seen.ended.lock().unwrap());
    assert_eq!(stays.request::<(usize, usize)>("Room.shout", "hi").await.unwrap(), (1, 0));
    type Who = (Option<String>, Option<u32>);
    assert_eq!(stays.request::<Who>("Room.whoami", ()).await.unwrap().0.as_deref(), Some("ann"));
    assert_eq!(cluster.node("one").stats().visitors, 1);
}

#[tokio::test(start_paused = true)]
async fn a_backend_whose_record_was_gone_for_a_moment_keeps_its_sessions_and_hears_of_their_end() {
    let (cluster, seen) = with_gates(&["gate"]).await;
    let client = cluster.connect("gate").await.unwrap();
    client.request::<IgnoredAny>("Room.join", ()).await.unwrap();
    cluster.expire("one").await.unwrap();
    // It notices, is announced again, and links are there as before. The client says nothing meanwhile.
    sleep(Duration::from_secs(10)).await;
    cluster.settle().await;
    assert_eq!(seen.ended.lock().unwrap().len(), 0, "the client is still there");
    drop(client);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.ended.lock().unwrap().len(), 1);
    assert_eq!((cluster.node("one").stats().visitors, cluster.node("gate").stats().travellers), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_stays_behind_after_a_hundred_thousand_sessions() {
    let (cluster, seen) = with_gates(&["gate"]).await;
    for _ in 0..1_000 {
        let clients = futures_util::future::join_all((0..100).map(|_| cluster.connect("gate"))).await;
        let joining = clients.iter().map(async |client| {
            client.as_ref().unwrap().request::<IgnoredAny>("Room.join", ()).await.unwrap();
        });
        futures_util::future::join_all(joining).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.ended.lock().unwrap().len(), 100_000);
    let (one, gate) = (cluster.node("one").stats(), cluster.node("gate").stats());
    assert_eq!((one.visitors, gate.travellers, gate.sessions()), (0, 0, 0));
    assert_eq!(cluster.node("one").groups().group("room").count(), 0);
}

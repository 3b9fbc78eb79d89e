//! Nodes of dunlin and stand-ins for Go nodes in one process, over links that can be cut, on time that is paused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::convert::ended;
use super::messages::{MemberInfo, NotifyMessage, RequestMessage};
use crate::Lost;
use crate::frame::{Answer, Call, Close, Outcome, Push, Said};

mod go;
mod joining;
mod rig;

use go::{Go, Heard};
use rig::{Rig, until};

fn request(gate: &Go, session_id: i64, id: u64, route: &str) -> RequestMessage {
    let data = id.to_be_bytes().to_vec().into();
    RequestMessage { gate_addr: gate.addr(), session_id, id, route: route.to_owned(), data }
}

fn call(session: u64, route: &str) -> Call {
    Call { session, route: route.to_owned(), body: "hi".into(), ..Call::default() }
}

fn body(outcome: &Outcome) -> &[u8] {
    match outcome {
        Outcome::Reply(reply) => &reply.body,
        Outcome::Refusal(refusal) => panic!("{refusal:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_go_node_is_told_of_all_but_itself_and_all_nodes_can_call_it() {
    let rig = Rig::new();
    let (master, gate) = (rig.node("master", &["Room"]).await, rig.node("gate", &[]).await);
    let go = Go::start(&rig, "go", &["Chat"]).await;
    let members = go.register(&master).await.unwrap();
    let labels: Vec<&str> = members.iter().map(|member| &*member.label).collect();
    assert_eq!(labels, ["master"]);
    for node in [&master, &gate] {
        let peer = node.peer_with("Chat").await;
        assert!(peer.takes_new());
        let answer = peer.call(call(5, "Chat.echo")).unwrap().await.unwrap();
        assert_eq!(body(&answer), b"hi");
        let refused = peer.call(call(5, "Chat.refuse")).unwrap().await.unwrap();
        assert!(matches!(refused, Outcome::Refusal(refusal) if refusal.code == 404));
        assert!(
            go.has_heard(|heard| matches!(heard, Heard::Request(asked) if asked.gate_addr == node.addr()))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_session_arrive_in_order_and_those_of_others_at_the_same_time() {
    let rig = Rig::new();
    let node = rig.node("node", &[]).await;
    let go = Go::start(&rig, "go", &["Chat"]).await;
    go.register(&node).await.unwrap();
    let peer = node.peer_with("Chat").await;
    for n in 0..1_000_u64 {
        let route = if n % 100 == 7 { "Chat.slow" } else { "Chat.say" };
        let call = Call { body: n.to_be_bytes().to_vec().into(), ..call(n % 10 + 1, route) };
        peer.send(call).unwrap();
    }
    let told = || go.heard(|heard| if let Heard::Notify(notify) = heard { Some(notify) } else { None });
    until(|| (told().len() == 1_000).then_some(())).await;
    let told = told();
    for session in 1..=10 {
        let bodies: Vec<u64> = told
            .iter()
            .filter(|notify| notify.session_id == session)
            .map(|notify| u64::from_be_bytes(notify.data[..].try_into().unwrap()))
            .collect();
        assert!(bodies.len() == 100 && bodies.is_sorted());
    }
    assert!(!told.iter().map(|notify| notify.session_id).is_sorted_by_key(|session| (session - 1) % 10));
}

#[tokio::test(start_paused = true)]
async fn clients_of_a_go_gate_are_answered_in_order_and_pushed_to() {
    let rig = Rig::new();
    let node = rig.node("node", &["Room"]).await;
    let go = Go::start(&rig, "go", &[]).await;
    go.register(&node).await.unwrap();
    for id in 1..=1_000 {
        go.handle_request(&node, request(&go, 5, id, "Room.echo")).await.unwrap();
    }
    let answered =
        || go.heard(|heard| if let Heard::Response(response) = heard { Some(response) } else { None });
    until(|| (answered().len() == 1_000).then_some(())).await;
    for (id, response) in (1_u64..).zip(answered()) {
        assert_eq!((response.session_id, response.id, &response.data[..]), (5, id, &id.to_be_bytes()[..]));
    }
    go.handle_request(&node, request(&go, 5, 1_001, "Room.refuse")).await.unwrap();
    let refusal = until(|| answered().into_iter().find(|response| response.id == 1_001)).await;
    assert_eq!(&refusal.data[..], br#"{"code":418,"message":"no"}"#);
    let link = node.notes.link().await;
    go.handle_request(&node, request(&go, 6, 1, "Room.echo")).await.unwrap();
    let [five, six] = node.notes.sessions()[..] else { panic!() };
    let (sessions, route) = (vec![five, 77, six], "onX".to_owned());
    link.send(Push { sessions, route, ..Push::default() }).unwrap();
    until(|| go.has_heard(|heard| matches!(heard, Heard::Push(push) if push.session_id == 6)).then_some(()))
        .await;
    let mut pushed =
        go.heard(|heard| if let Heard::Push(push) = heard { Some(push.session_id) } else { None });
    pushed.sort_unstable();
    assert_eq!(pushed, [5, 6]);
    link.send(Close { session: six, ..Close::default() }).unwrap();
    until(|| go.has_heard(|heard| matches!(heard, Heard::Close(6))).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_twice_of_a_node_that_comes_and_goes() {
    let rig = Rig::new();
    let master = rig.node("master", &[]).await;
    let (one, two) = (Go::start(&rig, "one", &["One"]).await, Go::start(&rig, "two", &["Two"]).await);
    one.register(&master).await.unwrap();
    let members = two.register(&master).await.unwrap();
    assert_eq!(members.len(), 2);
    let backend = rig.node("backend", &["Room"]).await;
    let news = |go: &Go| {
        go.heard(|heard| match heard {
            Heard::New(addr) => Some(format!("+{addr}")),
            Heard::Gone(addr) => Some(format!("-{addr}")),
            _ => None,
        })
    };
    until(|| (news(&one).len() == 2 && news(&two).len() == 1).then_some(())).await;
    // Its services are called only once it serves.
    backend.cluster.stop().await;
    two.unregister(&master).await.unwrap();
    until(|| (news(&one).len() == 4).then_some(())).await;
    sleep(Duration::from_secs(10)).await;
    let mut seen = news(&one);
    seen.sort();
    let (backend, other) = (backend.addr(), two.addr());
    let mut expected =
        vec![format!("+{other}"), format!("+{backend}"), format!("-{backend}"), format!("-{other}")];
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(news(&two), [format!("+{backend}"), format!("-{backend}")]);
}

#[tokio::test(start_paused = true)]
async fn a_registration_waits_for_no_other_go_node_and_fails_for_none() {
    let rig = Rig::new();
    let node = rig.node("node", &["Room"]).await;
    let (still, dead) = (Go::start(&rig, "still", &[]).await, Go::start(&rig, "dead", &[]).await);
    still.register(&node).await.unwrap();
    dead.register(&node).await.unwrap();
    rig.network.cut("node", "still");
    dead.kill();
    let begin = Instant::now();
    let go = Go::start(&rig, "go", &["Chat"]).await;
    go.register(&node).await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(100), "{:?}", begin.elapsed());
    rig.network.heal();
    until(|| still.has_heard(|heard| matches!(heard, Heard::New(addr) if *addr == go.addr())).then_some(()))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_go_node_that_takes_another_master_is_one_node_still() {
    let rig = Rig::new();
    let (one, two) = (rig.node("one", &[]).await, rig.node("two", &[]).await);
    let go = Go::start(&rig, "go", &["Chat"]).await;
    go.register(&one).await.unwrap();
    one.peer_with("Chat").await;
    go.register(&two).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    for node in [&one, &two] {
        assert_eq!(node.cluster.peers_with("Chat").len(), 1);
        assert!(node.peer_with("Chat").await.takes_new());
    }
    // So it is with one that says to another node that it lives.
    go.heartbeat(&one).await.unwrap();
    sleep(Duration::from_secs(200)).await;
    assert_eq!(two.cluster.peers_with("Chat").len(), 1);
    go.unregister(&one).await.unwrap();
    until(|| two.cluster.peers_with("Chat").is_empty().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_nodes_make_by_themselves_are_told_apart_and_so_are_lives_of_a_node() {
    let rig = Rig::new();
    let config = rig.config("one");
    let (one, two) = (rig.start(&config, &[]).await, rig.node("two", &[]).await);
    let go = Go::start(&rig, "go", &["Chat"]).await;
    go.register(&two).await.unwrap();
    for node in [&one, &two] {
        let answer = node.peer_with("Chat").await.call(call(0, "Chat.echo")).unwrap().await.unwrap();
        assert_eq!(body(&answer), b"hi");
    }
    drop(one);
    sleep(Duration::from_secs(1)).await;
    let one = rig.start(&config, &[]).await;
    one.peer_with("Chat").await.call(call(0, "Chat.echo")).unwrap().await.unwrap();
    let asked = go.heard(|heard| if let Heard::Request(asked) = heard { Some(asked) } else { None });
    let sessions: BTreeSet<i64> = asked.iter().map(|asked| asked.session_id).collect();
    let ids: BTreeSet<u64> = asked.iter().map(|asked| asked.id).collect();
    assert_eq!((sessions.len(), ids.len()), (3, 3));
    assert!(sessions.iter().all(|session| *session > 0));
}

#[tokio::test(start_paused = true)]
async fn a_master_that_drains_is_told_of_no_more() {
    let rig = Rig::new();
    let master = rig.node("master", &["Room"]).await;
    let go = Go::start(&rig, "go", &[]).await;
    assert_eq!(go.register(&master).await.unwrap().len(), 1);
    master.cluster.drain().await.unwrap();
    until(|| {
        go.has_heard(|heard| matches!(heard, Heard::Gone(addr) if *addr == master.addr())).then_some(())
    })
    .await;
    assert!(go.register(&master).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_for_a_go_node_is_refused_and_all_else_goes_on() {
    let rig = Rig::new();
    let node = rig.node("node", &["Room"]).await;
    let go = Go::start(&rig, "go", &["Chat"]).await;
    go.register(&node).await.unwrap();
    let peer = node.peer_with("Chat").await;
    let long = vec![0; crate::limits::NANO_MESSAGE_LEN_MAX + 1];
    let refused =
        peer.call(Call { body: long.clone().into(), ..call(5, "Chat.echo") }).unwrap().await.unwrap();
    assert!(matches!(refused, Outcome::Refusal(refusal) if refusal.code == 503));
    go.handle_request(&node, request(&go, 5, 1, "Room.never")).await.unwrap();
    let link = node.notes.link().await;
    let session = node.notes.sessions()[0];
    link.send(Push { sessions: vec![session], body: long.into(), ..Push::default() }).unwrap();
    link.send(Push { sessions: vec![session], route: "short".to_owned(), ..Push::default() }).unwrap();
    until(|| go.has_heard(|heard| matches!(heard, Heard::Push(push) if push.route == "short")).then_some(()))
        .await;
    assert!(peer.is_up() && node.notes.forgotten.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_go_node_that_dies_is_avoided_at_once_and_gone_soon_and_others_are_told() {
    let rig = Rig::new();
    let node = rig.node("node", &["Room"]).await;
    let (backend, other) = (Go::start(&rig, "backend", &["Chat"]).await, Go::start(&rig, "other", &[]).await);
    backend.register(&node).await.unwrap();
    other.register(&node).await.unwrap();
    let peer = node.peer_with("Chat").await;
    let waiting = peer.call(call(1, "Chat.never")).unwrap();
    until(|| backend.has_heard(|heard| matches!(heard, Heard::Request(_))).then_some(())).await;
    let dead = Instant::now();
    backend.kill();
    assert_eq!(waiting.await, Err(Lost));
    assert!(!peer.takes_new() && dead.elapsed() < Duration::from_millis(100));
    until(|| node.cluster.peers_with("Chat").is_empty().then_some(())).await;
    assert!(dead.elapsed() < Duration::from_secs(5), "{:?}", dead.elapsed());
    until(|| {
        other.has_heard(|heard| matches!(heard, Heard::Gone(addr) if *addr == backend.addr())).then_some(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_sessions_of_a_go_gate_that_dies_end_once() {
    let rig = Rig::new();
    let node = rig.node("node", &["Room"]).await;
    let gate = Go::start(&rig, "gate", &[]).await;
    gate.register(&node).await.unwrap();
    gate.handle_request(&node, request(&gate, 5, 1, "Room.echo")).await.unwrap();
    let link = node.notes.link().await;
    let dead = Instant::now();
    gate.kill();
    let forgotten = until(|| node.notes.forgotten.lock().unwrap().first().copied()).await;
    assert_eq!(forgotten.0, link.node());
    assert!(forgotten.1 - dead < Duration::from_secs(2), "{:?}", forgotten.1 - dead);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(node.notes.forgotten.lock().unwrap().len(), 1);
    assert_eq!(node.notes.links.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_go_gate_that_stands_still_delays_no_other_one() {
    let rig = Rig::new();
    let node = rig.node("node", &["Room"]).await;
    let (still, other) = (Go::start(&rig, "still", &[]).await, Go::start(&rig, "other", &[]).await);
    for gate in [&still, &other] {
        gate.register(&node).await.unwrap();
        gate.handle_request(&node, request(gate, 5, 1, "Room.echo")).await.unwrap();
        until(|| gate.has_heard(|heard| matches!(heard, Heard::Response(_))).then_some(())).await;
    }
    let frozen = Instant::now();
    rig.network.cut_one_way("node", "still");
    let links = node.notes.links.lock().unwrap().clone();
    let session = node.notes.sessions()[0];
    for _ in 0..5_000 {
        links[0].send(Push { sessions: vec![session], ..Push::default() }).unwrap();
    }
    other.handle_request(&node, request(&other, 5, 2, "Room.echo")).await.unwrap();
    until(|| {
        other.has_heard(|heard| matches!(heard, Heard::Response(response) if response.id == 2)).then_some(())
    })
    .await;
    assert!(frozen.elapsed() < Duration::from_millis(100), "{:?}", frozen.elapsed());
    // It is taken for dead like any other node, and begins anew when it is back.
    let forgotten = until(|| node.notes.forgotten.lock().unwrap().first().copied()).await;
    assert!(forgotten.1 - frozen < Duration::from_secs(5), "{:?}", forgotten.1 - frozen);
    rig.network.heal();
    still.handle_request(&node, request(&still, 5, 2, "Room.echo")).await.unwrap();
    until(|| {
        still.has_heard(|heard| matches!(heard, Heard::Response(response) if response.id == 2)).then_some(())
    })
    .await;
    assert_eq!(node.notes.forgotten.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_go_node_may_be_silent_for_four_intervals_and_no_longer() {
    let rig = Rig::new();
    let node = rig.node("node", &[]).await;
    let go = Go::start(&rig, "go", &["Chat"]).await;
    go.register(&node).await.unwrap();
    node.peer_with("Chat").await;
    rig.network.cut("node", "go");
    sleep(Duration::from_secs(105)).await;
    assert_eq!(node.cluster.peers_with("Chat").len(), 1);
    sleep(Duration::from_secs(30)).await;
    assert!(node.cluster.peers_with("Chat").is_empty());
    // It says that it lives as soon as it can, and is one of them again, and is told of all anew.
    rig.network.heal();
    go.heartbeat(&node).await.unwrap();
    node.peer_with("Chat").await;
    let addr = node.addr();
    let told = until(|| {
        let told = go.heard(|heard| match &heard {
            Heard::New(other) | Heard::Gone(other) if *other == addr => Some(heard),
            _ => None,
        });
        (told.len() == 2).then_some(told)
    })
    .await;
    assert!(matches!(told[..], [Heard::Gone(_), Heard::New(_)]));
}

#[tokio::test(start_paused = true)]
async fn a_master_that_is_started_anew_takes_over_the_go_nodes_of_its_life_before() {
    let rig = Rig::new();
    let config = rig.config("master");
    let (gate, master) = (rig.node("gate", &[]).await, rig.start(&config, &["Room"]).await);
    let go = Go::start(&rig, "go", &["Chat"]).await;
    go.register(&master).await.unwrap();
    let peer = gate.peer_with("Chat").await;
    master.cluster.abort();
    drop(master);
    sleep(Duration::from_secs(20)).await;
    let answer = peer.call(call(5, "Chat.echo")).unwrap().await.unwrap();
    assert_eq!(body(&answer), b"hi");
    let master = rig.start(&config, &["Room"]).await;
    assert_eq!(master.peer_with("Chat").await.id(), peer.id());
    // Also after what was left of its lease is over.
    sleep(Duration::from_secs(200)).await;
    assert!(peer.takes_new());
    go.kill();
    until(|| gate.cluster.peers_with("Chat").is_empty().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_is_that_of_the_gate_that_says_it() {
    let rig = Rig::new();
    let node = rig.node("node", &["Room"]).await;
    let (one, two) = (Go::start(&rig, "one", &[]).await, Go::start(&rig, "two", &[]).await);
    for gate in [&one, &two] {
        gate.handle_request(&node, request(gate, 5, 1, "Room.echo")).await.unwrap();
    }
    one.handle_request(&node, request(&one, 6, 1, "Room.echo")).await.unwrap();
    let ended = || {
        let frames = node.notes.frames.lock().unwrap();
        let ended = frames.iter().filter_map(|said| match said {
            Said::Ended(ended) => Some(ended.session),
            _ => None,
        });
        ended.collect::<Vec<_>>()
    };
    let [one_5, two_5, one_6] = node.notes.sessions()[..] else { panic!() };
    let stranger = Go::start(&rig, "stranger", &[]).await;
    sleep(Duration::from_secs(2)).await;
    stranger.session_closed(&node, 6).await;
    two.session_closed(&node, 6).await;
    one.session_closed(&node, 6).await;
    two.session_closed(&node, 5).await;
    two.session_closed(&node, 5).await;
    two.session_closed(&node, 7).await;
    assert_eq!(ended(), [one_6, two_5], "both have a 5, and others say of theirs what is true of theirs");
    let drawn = 1 << 60;
    one.handle_request(&node, request(&one, drawn, 1, "Room.echo")).await.unwrap();
    stranger.session_closed(&node, drawn).await;
    assert_eq!(ended().len(), 3, "no other gate has such a number");
    assert!(!ended().contains(&one_5));
    let late = NotifyMessage { gate_addr: two.addr(), session_id: 5, ..NotifyMessage::default() };
    assert!(two.handle_notify(&node, late).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_a_go_node_says_to_a_session_arrives_if_that_has_been_there_and_all_hear_when_it_has_ended() {
    let rig = Rig::new();
    let node = rig.node("node", &[]).await;
    let (one, two) = (Go::start(&rig, "one", &["One"]).await, Go::start(&rig, "two", &["Two"]).await);
    one.register(&node).await.unwrap();
    two.register(&node).await.unwrap();
    let (peer, _) = (node.peer_with("One").await, node.peer_with("Two").await);
    assert!(one.push(&node, 5).await.is_err());
    peer.send(call(5, "One.say")).unwrap();
    until(|| one.has_heard(|heard| matches!(heard, Heard::Notify(_))).then_some(())).await;
    let taken = peer.call(Call { is_notify: true, ..call(5, "One.say") }).unwrap().await.unwrap();
    assert_eq!(body(&taken), b"", "whoever counts what is on its way is told that it was taken");
    // The other one has it from the first.
    two.push(&node, 5).await.unwrap();
    two.close_session(&node, 5).await;
    let said: Vec<Said> = node.notes.peer_frames.lock().unwrap().clone();
    assert!(
        matches!(&said[..], [Said::Push(push), Said::Close(close)] if push.sessions == [5] && close.session == 5)
    );
    peer.send(ended(5)).unwrap();
    for go in [&one, &two] {
        until(|| go.has_heard(|heard| matches!(heard, Heard::Closed(5))).then_some(())).await;
    }
    assert!(one.push(&node, 5).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_while_a_go_node_was_not_reached_ends_there_when_it_is() {
    let rig = Rig::new();
    let node = rig.node("node", &[]).await;
    let go = Go::start(&rig, "go", &["Chat"]).await;
    go.register(&node).await.unwrap();
    let peer = node.peer_with("Chat").await;
    for session in [5, 6] {
        peer.call(call(session, "Chat.echo")).unwrap().await.unwrap();
    }
    rig.network.cut("node", "go");
    until(|| (!peer.is_up()).then_some(())).await;
    assert!(peer.send(ended(5)).is_err());
    *node.notes.alive.lock().unwrap() = vec![6];
    rig.network.heal();
    until(|| go.has_heard(|heard| matches!(heard, Heard::Closed(5))).then_some(())).await;
    assert!(!go.has_heard(|heard| matches!(heard, Heard::Closed(6))));
    assert!(peer.call(call(6, "Chat.echo")).unwrap().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_go_node_is_refused() {
    let rig = Rig::new();
    let node = rig.node("node", &["Room"]).await;
    let go = Go::start(&rig, "go", &[]).await;
    let says = |service_addr: String| MemberInfo { service_addr, ..MemberInfo::default() };
    assert!(go.register_as(&node, says(String::new())).await.is_err());
    assert!(go.register_as(&node, says(node.addr())).await.is_err());
    assert!(
        go.register_as(&node, MemberInfo { label: "x".repeat(100_000), ..says("go:1".to_owned()) })
            .await
            .is_err()
    );
    assert!(go.handle_request(&node, RequestMessage::default()).await.is_err());
    go.unregister(&node).await.unwrap();
    let link: Arc<crate::Accepted> = {
        go.handle_request(&node, request(&go, 1, 1, "Room.never")).await.unwrap();
        node.notes.link().await
    };
    // An answer to nothing is nobody's.
    link.send(Answer { id: 77, outcome: None }).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(!go.has_heard(|heard| matches!(heard, Heard::Response(_))));
}

//! What links promise.

use std::time::Duration;

use dunlin_cluster::frame::{Call, Outcome, Push, Said};
use dunlin_cluster::{Lost, Network as _, SendError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use crate::rig::{Rig, until};

fn call(route: &str, n: u64) -> Call {
    Call { session: 1, route: route.to_owned(), body: n.to_be_bytes().to_vec().into(), ..Call::default() }
}

#[tokio::test(start_paused = true)]
async fn calls_arrive_in_order_and_each_has_its_own_answer() {
    let rig = Rig::new();
    let (backend, gate) = (rig.node("backend", &["Echo"]).await, rig.node("gate", &[]).await);
    let peer = gate.peer(&backend).await;
    assert_eq!(gate.cluster.peers_with("Echo").len(), 1);
    let answers: Vec<_> = (0..1_000).map(|n| peer.call(call("Echo.say", n)).unwrap()).collect();
    for (n, answer) in (0_u64..).zip(answers) {
        let Outcome::Reply(reply) = answer.await.unwrap() else { panic!() };
        assert_eq!(reply.body, &n.to_be_bytes()[..]);
    }
    let frames = backend.notes.frames.lock().unwrap();
    let bodies = frames.iter().filter_map(|said| match said {
        Said::Call(call) => Some(call.body.clone()),
        _ => None,
    });
    assert!(bodies.eq((0..1_000_u64).map(|n| n.to_be_bytes().to_vec())));
    assert_eq!(peer.candidate().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn when_a_node_dies_every_call_that_waits_for_it_is_told_at_once() {
    let rig = Rig::new();
    let (backend, gate) = (rig.node("backend", &["Echo"]).await, rig.node("gate", &["Other"]).await);
    let peer = gate.peer(&backend).await;
    backend.peer(&gate).await;
    let waiting = peer.call(call("Echo.never", 1)).unwrap();
    until(|| (!backend.notes.frames.lock().unwrap().is_empty()).then_some(())).await;
    let dead = Instant::now();
    backend.cluster.abort();
    assert_eq!(waiting.await, Err(Lost));
    assert!(dead.elapsed() < Duration::from_secs(1), "{:?}", dead.elapsed());
    assert_eq!(peer.call(call("Echo.say", 1)).unwrap_err(), SendError::Unreachable);
    // What was linked with it the other way is forgotten once, when it does not come back.
    let forgotten = until(|| gate.notes.forgotten.lock().unwrap().first().copied()).await;
    assert_eq!(forgotten.0, backend.cluster.id());
    assert!(forgotten.1 - dead < Duration::from_millis(1_100), "{:?}", forgotten.1 - dead);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(gate.notes.forgotten.lock().unwrap().len(), 1);
    assert!(gate.cluster.peers_with("Echo").is_empty(), "it is gone with its lease");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_silent_is_avoided_within_three_seconds_and_taken_again_when_it_is_back() {
    let rig = Rig::new();
    let (backend, gate) = (rig.node("backend", &["Echo"]).await, rig.node("gate", &[]).await);
    let peer = gate.peer(&backend).await;
    let waiting = peer.call(call("Echo.never", 1)).unwrap();
    let cut_at = Instant::now();
    rig.network.cut_one_way("backend", "gate");
    assert_eq!(waiting.await, Err(Lost));
    assert!(cut_at.elapsed() <= Duration::from_secs(3), "{:?}", cut_at.elapsed());
    assert!(!peer.takes_new());
    rig.network.heal();
    timeout(Duration::from_secs(5), peer.wait_up()).await.unwrap();
    assert!(peer.call(call("Echo.say", 1)).unwrap().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_in_time_is_not_forgotten_and_says_who_is_still_alive() {
    let rig = Rig::new();
    let (backend, gate) = (rig.node("backend", &["Echo"]).await, rig.node("gate", &[]).await);
    let peer = gate.peer(&backend).await;
    *gate.notes.alive.lock().unwrap() = (1..=40_000).collect();
    backend.notes.frames.lock().unwrap().clear();
    rig.network.cut_one_way("backend", "gate");
    until(|| (!peer.is_up()).then_some(())).await;
    rig.network.heal();
    timeout(Duration::from_secs(5), peer.wait_up()).await.unwrap();
    peer.call(call("Echo.say", 1)).unwrap().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(backend.notes.forgotten.lock().unwrap().is_empty());
    let frames = backend.notes.frames.lock().unwrap();
    let alive: Vec<_> = frames
        .iter()
        .filter_map(|said| match said {
            Said::Alive(alive) => Some((alive.sessions.len(), alive.is_last)),
            _ => None,
        })
        .collect();
    assert_eq!(alive.iter().map(|(count, _)| count).sum::<usize>(), 40_000);
    assert!(alive.last().unwrap().1 && alive[..alive.len() - 1].iter().all(|(_, is_last)| !is_last));
    assert!(matches!(frames.last(), Some(Said::Call(_))), "calls come after it");
}

#[tokio::test(start_paused = true)]
async fn what_is_said_back_without_a_call_arrives_in_order() {
    let rig = Rig::new();
    let (backend, gate) = (rig.node("backend", &["Echo"]).await, rig.node("gate", &["Other"]).await);
    let peer = backend.peer(&gate).await;
    for n in 0..100 {
        peer.send(Push { sessions: vec![n], ..Push::default() }).unwrap();
    }
    until(|| (gate.notes.frames.lock().unwrap().len() >= 101).then_some(())).await;
    let frames = gate.notes.frames.lock().unwrap();
    let pushed = frames.iter().filter_map(|said| match said {
        Said::Push(push) => Some(push.sessions[0]),
        _ => None,
    });
    assert!(pushed.eq(0..100));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_drains_takes_nothing_new_and_one_that_stops_is_gone_at_once() {
    let rig = Rig::new();
    let (backend, gate) = (rig.node("backend", &["Echo"]).await, rig.node("gate", &[]).await);
    let peer = gate.peer(&backend).await;
    until(|| peer.takes_new().then_some(())).await;
    backend.cluster.drain().await.unwrap();
    until(|| (!peer.takes_new()).then_some(())).await;
    assert!(peer.call(call("Echo.say", 1)).unwrap().await.is_ok(), "what it has goes on");
    let begin = Instant::now();
    backend.cluster.stop().await;
    until(|| gate.cluster.peers_with("Echo").is_empty().then_some(())).await;
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_cluster_is_refused() {
    let rig = Rig::new();
    let backend = rig.node("backend", &["Echo"]).await;
    let mut config = rig.config("stranger");
    "other".clone_into(&mut config.cluster);
    let stranger = rig.start(&config, &[]).await;
    let peer = stranger.cluster.peer(backend.cluster.id()).unwrap();
    assert!(timeout(Duration::from_secs(30), peer.wait_up()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_takes_nothing_costs_bounded_bytes_and_refuses_what_is_more() {
    let rig = Rig::new();
    let (backend, gate) = (rig.node("backend", &["Echo"]).await, rig.node("gate", &[]).await);
    let peer = gate.peer(&backend).await;
    rig.network.cut_one_way("gate", "backend");
    let body = vec![0; 1 << 20];
    let push = || Push { sessions: vec![1], body: body.clone().into(), ..Push::default() };
    let taken = (0..100).take_while(|_| peer.send(push()).is_ok()).count();
    assert!((10..=30).contains(&taken), "{taken}");
    assert_eq!(peer.send(push()), Err(SendError::Overloaded));
}

#[tokio::test(start_paused = true)]
async fn a_link_knows_how_long_the_way_there_and_back_takes_and_a_cut_one_does_not() {
    let rig = Rig::new();
    let (backend, gate) = (rig.node("backend", &["Echo"]).await, rig.node("gate", &[]).await);
    let peer = gate.peer(&backend).await;
    let round_trip = until(|| peer.round_trip()).await;
    assert!(round_trip < Duration::from_millis(100), "{round_trip:?}");
    backend.cluster.abort();
    until(|| peer.round_trip().is_none().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn the_next_life_of_a_node_at_its_address_keeps_its_link_while_the_record_of_the_last_one_lasts() {
    let rig = Rig::new();
    let config = rig.config("backend");
    let (first, gate) = (rig.start(&config, &["Echo"]).await, rig.node("gate", &[]).await);
    gate.peer(&first).await;
    first.cluster.abort();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = rig.start(&config, &["Echo"]).await;
    let peer = gate.peer(&second).await;
    assert!(gate.cluster.peer(first.cluster.id()).is_some(), "the last life is still in the registry");
    let waiting = peer.call(call("Echo.never", 1)).unwrap();
    let lost = timeout(Duration::from_secs(10), waiting).await;
    assert!(lost.is_err(), "the call waits on: {lost:?}");
    assert_eq!(peer.links(), 1);
    assert!(gate.cluster.peer(first.cluster.id()).is_none(), "by now it is not");
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_says_nothing_or_half_a_word_does_not_keep_its_place() {
    let rig = Rig::new();
    let node = rig.node("node", &["Echo"]).await;
    let addr = node.cluster.record().urls[0].trim_start_matches("http://").to_owned();
    for words in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stranger = rig.network.dial("stranger", &addr).await.unwrap();
        stranger.write_all(words).await.unwrap();
        let begun = Instant::now();
        let mut heard = Vec::new();
        timeout(Duration::from_secs(60), stranger.read_to_end(&mut heard)).await.expect("it is closed").ok();
        assert!(begun.elapsed() < Duration::from_secs(7), "{words:?}: {:?}", begun.elapsed());
    }
    // Who has said its first words may be silent.
    let gate = rig.node("gate", &[]).await;
    let peer = gate.peer(&node).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(peer.call(call("Echo.say", 1)).unwrap().await.is_ok());
}

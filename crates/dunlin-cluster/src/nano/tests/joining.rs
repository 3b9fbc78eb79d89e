//! This node as a member of a Go master.

use std::time::Duration;

use tokio::time::sleep;

use super::go::{AsMaster, Go, Heard};
use super::rig::{Rig, until};
use super::{body, call, request};
use crate::nano::messages::MemberInfo;

#[tokio::test(start_paused = true)]
async fn a_node_that_has_a_go_master_registers_lives_and_leaves() {
    let rig = Rig::new();
    let master = Go::start(&rig, "master", &["Chat"]).await;
    let (backend, gate) = (Go::start(&rig, "backend", &["Game"]).await, Go::start(&rig, "gate", &[]).await);
    master.set_master(AsMaster { is_old: false, members: vec![master.info(), backend.info()] });
    let node = rig.start(&rig.config("node").nano_master(master.addr()), &["Room"]).await;
    for service in ["Chat", "Game"] {
        let answer =
            node.peer_with(service).await.call(call(5, &format!("{service}.echo"))).unwrap().await.unwrap();
        assert_eq!(body(&answer), b"hi");
    }
    gate.handle_request(&node, request(&gate, 5, 1, "Room.echo")).await.unwrap();
    until(|| gate.has_heard(|heard| matches!(heard, Heard::Response(_))).then_some(())).await;
    sleep(Duration::from_secs(95)).await;
    let me =
        MemberInfo { label: "node".to_owned(), service_addr: node.addr(), services: vec!["Room".to_owned()] };
    let beats = master.heard(|heard| if let Heard::Heartbeat(info) = heard { Some(info) } else { None });
    assert_eq!(beats, vec![me.clone(); 4]);
    let registered = master.heard(|heard| if let Heard::Register(info) = heard { Some(info) } else { None });
    assert_eq!(registered, [me]);
    node.cluster.stop().await;
    let last = master.heard(Some).pop().unwrap();
    assert!(matches!(last, Heard::Unregister(addr) if addr == node.addr()));
}

#[tokio::test(start_paused = true)]
async fn members_come_and_go_once_however_often_that_is_said() {
    let rig = Rig::new();
    let master = Go::start(&rig, "master", &[]).await;
    master.set_master(AsMaster { is_old: false, members: vec![master.info()] });
    let node = rig.start(&rig.config("node").nano_master(master.addr()), &["Room"]).await;
    let game = Go::start(&rig, "game", &["Game"]).await;
    master.new_member(&node, game.info()).await;
    let peer = node.peer_with("Game").await;
    master.new_member(&node, game.info()).await;
    // A node is nothing to itself.
    master
        .new_member(
            &node,
            MemberInfo { services: vec!["Self".to_owned()], service_addr: node.addr(), ..game.info() },
        )
        .await;
    sleep(Duration::from_secs(1)).await;
    assert!(node.cluster.peers_with("Self").is_empty());
    assert_eq!(node.cluster.peers_with("Game").len(), 1);
    game.handle_request(&node, request(&game, 5, 1, "Room.echo")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    for _ in 0..2 {
        master.del_member(&node, game.addr()).await;
    }
    until(|| node.cluster.peers_with("Game").is_empty().then_some(())).await;
    until(|| (node.notes.forgotten.lock().unwrap().len() == 1).then_some(())).await;
    assert!(peer.is_up() && !peer.takes_new(), "what is on its way is answered");
    sleep(Duration::from_secs(60)).await;
    assert!(!peer.is_up());
    assert_eq!(node.notes.forgotten.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_go_master_that_knows_no_heartbeats_is_registered_with_again_when_it_was_lost() {
    let rig = Rig::new();
    let addr = rig.network.addr_of("master");
    let master = Go::start_at(&rig, ("master", addr.clone()), &[]).await;
    let node = rig.config("node").nano_master(addr.clone());
    // A life of the node before has left itself there.
    let before = MemberInfo { service_addr: node.listen.clone(), ..MemberInfo::default() };
    master.set_master(AsMaster { is_old: true, members: vec![master.info(), before] });
    let node = rig.start(&node, &["Room"]).await;
    let registered =
        |master: &Go| master.heard(|heard| matches!(heard, Heard::Register(_)).then_some(())).len();
    until(|| (registered(&master) == 1).then_some(())).await;
    sleep(Duration::from_secs(300)).await;
    assert_eq!(registered(&master), 1);
    master.kill();
    sleep(Duration::from_secs(10)).await;
    let master = Go::start_at(&rig, ("master", addr), &[]).await;
    master.set_master(AsMaster { is_old: true, members: vec![master.info()] });
    until(|| (registered(&master) == 1).then_some(())).await;
    drop(node);
}

#[tokio::test(start_paused = true)]
async fn a_newer_go_master_that_was_started_anew_tells_of_the_node_once() {
    let rig = Rig::new();
    let addr = rig.network.addr_of("master");
    let master = Go::start_at(&rig, ("master", addr.clone()), &[]).await;
    let backend = Go::start(&rig, "backend", &["Game"]).await;
    master.set_master(AsMaster { is_old: false, members: vec![backend.info()] });
    let node = rig.start(&rig.config("node").nano_master(addr.clone()), &["Room"]).await;
    node.peer_with("Game").await;
    master.kill();
    sleep(Duration::from_secs(10)).await;
    let master = Go::start_at(&rig, ("master", addr), &[]).await;
    until(|| master.has_heard(|heard| matches!(heard, Heard::Register(_))).then_some(())).await;
    // It is taken in silently, taken away from all that the master knows, and told to them.
    let said = master.heard(|heard| match heard {
        Heard::Heartbeat(_) => Some("lives"),
        Heard::Unregister(_) => Some("leaves"),
        Heard::Register(_) => Some("registers"),
        _ => None,
    });
    assert_eq!(said[..3], ["lives", "leaves", "registers"]);
    // A member that the new master does not know yet is one still.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(node.cluster.peers_with("Game").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_to_a_go_master_that_broke_is_no_reason_to_register_again() {
    let rig = Rig::new();
    let master = Go::start(&rig, "master", &[]).await;
    let node = rig.start(&rig.config("node").nano_master(master.addr()), &["Room"]).await;
    let beats = || master.heard(|heard| matches!(heard, Heard::Heartbeat(_)).then_some(())).len();
    until(|| (beats() == 1).then_some(())).await;
    rig.network.cut("node", "master");
    sleep(Duration::from_secs(60)).await;
    rig.network.heal();
    sleep(Duration::from_secs(60)).await;
    assert!(beats() > 2);
    assert_eq!(master.heard(|heard| matches!(heard, Heard::Register(_)).then_some(())).len(), 1);
    drop(node);
}

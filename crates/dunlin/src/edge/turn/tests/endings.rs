//! Ends of connections: seen whatever came before them, told once, and never mistaken for another's.

use std::time::Duration;

use dunlin_wire::PacketKind;
use tokio::time::{Instant, advance};

use super::super::Turn;
use super::rig::{Rig, packets, request, told};
use super::script::event;
use crate::app::{Admitted, Refusal};
use crate::edge::net::Event;
use crate::session::CloseReason;

#[tokio::test(start_paused = true)]
async fn late_news_for_a_slot_that_is_used_again_is_ignored() {
    let mut rig = Rig::new();
    let first = rig.open();
    let stale = rig.script.line(first, |line| line.key).unwrap();
    rig.script.finish(first);
    rig.settle();
    let second = rig.open();
    let fresh = rig.script.line(second, |line| line.key).unwrap();
    assert_eq!((stale.index, stale.generation + 1), (fresh.index, fresh.generation));
    rig.script.tell(Event { is_closed: true, is_lost: true, ..event(stale, true, true) });
    rig.script.send(second, &request(1, "Echo.now", b"x"));
    rig.settle();
    assert_eq!(told(&rig.script.take_output(second)).len(), 1);
    assert_eq!(rig.desk.closed.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_a_client_that_is_gone_does_not_reach_the_next_in_its_slot() {
    let mut rig = Rig::new();
    let first = rig.open();
    rig.script.send(first, &request(1, "Wait.turn", b"secret"));
    rig.settle();
    rig.script.finish(first);
    rig.settle();
    let second = rig.open();
    rig.desk.permits.add(1);
    rig.settle();
    assert_eq!(rig.script.take_output(second), b"");
}

#[tokio::test(start_paused = true)]
async fn an_end_behind_more_than_one_buffer_is_seen_without_further_news() {
    let mut rig = Rig::new();
    let line = rig.open();
    let calls: Vec<u8> = (0..3).flat_map(|id| request(id, "Echo.now", &[b'x'; 30_000])).collect();
    assert!(calls.len() > 64 * 1024);
    rig.script.line(line, |line| line.read_max = usize::MAX);
    rig.script.send(line, &calls);
    rig.script.finish(line);
    rig.settle();
    assert_eq!(told(&rig.script.take_output(line)).len(), 3);
    assert!(rig.script.line(line, |line| line.is_dropped), "the end was not seen");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_comes_while_reading_is_paused_is_seen_afterwards() {
    let mut rig = Rig::with(|app| app.configure(|gate| gate.unanswered_max = 1));
    let line = rig.open();
    rig.script.send(line, &request(1, "Wait.turn", b""));
    rig.settle();
    rig.script.send(line, &request(2, "Echo.now", b""));
    rig.script.finish(line);
    rig.settle();
    assert!(rig.is_open(line));
    rig.desk.permits.add(1);
    rig.settle();
    assert_eq!(told(&rig.script.take_output(line)).len(), 2);
    assert!(rig.script.line(line, |line| line.is_dropped), "the end was not seen");
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_while_reading_is_paused_ends_at_once() {
    let mut rig = Rig::with(|app| app.configure(|gate| gate.unanswered_max = 1));
    let line = rig.open();
    rig.script.send(line, &request(1, "Wait.turn", b""));
    rig.settle();
    let key = rig.script.line(line, |line| line.key).unwrap();
    rig.script.tell(Event { is_closed: true, is_lost: true, ..event(key, true, true) });
    rig.settle();
    assert_eq!(*rig.desk.closed.lock().unwrap(), [CloseReason::ByClient]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_answers_what_runs_and_what_waits_behind_it_then_ends() {
    let mut rig = Rig::new();
    let (busy, idle) = (rig.open(), rig.open());
    for id in 0..5 {
        rig.script.send(busy, &request(id, "Wait.turn", b""));
    }
    rig.settle();
    rig.shop.shard.inbox.stop(Instant::now() + Duration::from_secs(10));
    rig.settle();
    assert!(!rig.is_open(idle) && rig.is_open(busy));
    let late = rig.script.connect();
    rig.desk.permits.add(5);
    rig.settle();
    assert_eq!(told(&rig.script.take_output(busy)).len(), 5);
    for line in [busy, idle] {
        rig.script.finish(line);
    }
    assert_eq!((0..10).map(|_| rig.turn()).last(), Some(Turn::Stopped));
    assert!(rig.script.line(late, |line| line.key.is_none()));
    assert_eq!(*rig.desk.closed.lock().unwrap(), [CloseReason::Shutdown, CloseReason::Shutdown]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_with_a_full_socket_still_delivers_what_was_queued() {
    let mut rig = Rig::new();
    let line = rig.open();
    rig.script.line(line, |line| line.room = 10);
    rig.session(0).push_raw("onNote", vec![b'1'; 100]).unwrap();
    rig.settle();
    rig.session(0).push_raw("onNote", vec![b'2'; 100]).unwrap();
    rig.shop.shard.inbox.stop(Instant::now() + Duration::from_secs(10));
    rig.settle();
    rig.script.give_room(line, usize::MAX);
    rig.settle();
    assert_eq!(told(&rig.script.take_output(line)).len(), 2);
    assert!(rig.script.line(line, |line| line.is_shut));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_dropped_ends_its_sessions_and_runs_their_hooks() {
    let mut rig = Rig::new();
    let line = rig.open();
    rig.script.send(line, &request(1, "Wait.turn", b""));
    rig.settle();
    let (session, desk, script) = (rig.session(0), rig.desk.clone(), rig.script.clone());
    drop(rig);
    assert!(session.is_closed() && script.line(line, |line| line.is_dropped));
    assert_eq!(*desk.closed.lock().unwrap(), [CloseReason::Shutdown]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_validator_refuses_its_client_and_harms_nobody() {
    let mut rig = Rig::with(|app| {
        app.validate(|_, handshake| {
            // Before there is a future that could contain it.
            assert!(handshake.user["trap"].is_null(), "on purpose");
            async { Ok::<_, Refusal>(Admitted::new()) }
        })
    });
    let witness = rig.open();
    let line = rig.script.connect();
    rig.script.send(line, b"\x01\x00\x00\x14{\"user\":{\"trap\":1}}\n");
    rig.settle();
    let refusal = packets(&rig.script.take_output(line));
    assert_eq!(refusal[0].0, PacketKind::Handshake);
    assert!(refusal[0].1.starts_with(br#"{"code":500"#), "{:?}", String::from_utf8_lossy(&refusal[0].1));
    rig.script.send(witness, &request(1, "Echo.now", b""));
    rig.settle();
    assert_eq!(told(&rig.script.take_output(witness)).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_error_body_ends_its_connection_alone() {
    let mut rig = Rig::with(|app| app.error_body(|_| panic!("on purpose")));
    let (line, witness) = (rig.open(), rig.open());
    rig.script.send(line, &request(1, "No.such", b""));
    rig.settle();
    assert!(rig.script.line(line, |line| line.is_dropped));
    rig.script.send(witness, &request(1, "Echo.now", b""));
    rig.settle();
    assert_eq!(told(&rig.script.take_output(witness)).len(), 1);
    assert_eq!(rig.desk.closed.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn pushes_wait_until_the_client_has_come_through_its_handshake() {
    let mut rig = Rig::with(|app| {
        app.validate(|session, _| async move {
            // Others may know the session from here on, such as by its uid.
            session.push_raw("onNote", "early").map_err(|_| Refusal::new(500, "no"))?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Admitted::new())
        })
    });
    let line = rig.script.connect();
    rig.script.send(line, b"\x01\x00\x00\x02{}");
    rig.settle();
    assert_eq!(rig.script.take_output(line), b"");
    advance(Duration::from_secs(2)).await;
    rig.settle();
    let kinds: Vec<_> = packets(&rig.script.take_output(line)).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [PacketKind::Handshake]);
    rig.script.send(line, &dunlin_wire::ACK_PACKET);
    rig.settle();
    assert_eq!(told(&rig.script.take_output(line)).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_kicked_before_it_was_let_in_is_ended() {
    let mut rig = Rig::with(|app| {
        app.validate(|session, _| async move {
            session.kick("not you").map_err(|_| Refusal::new(500, "no"))?;
            std::future::pending::<()>().await;
            Ok(Admitted::new())
        })
    });
    let line = rig.script.connect();
    rig.script.send(line, b"\x01\x00\x00\x02{}");
    rig.settle();
    assert!(rig.script.line(line, |line| line.is_shut));
}

//! A turn does a bounded amount of work, and nobody is starved by others.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use dunlin_wire::PacketKind;
use tokio::time::{Instant, advance};

use super::super::{ACCEPTS_MAX, TICKS_MAX};
use super::rig::{Rig, packets, request, told};
use super::script::{Script, ScriptConn, ScriptNet};
use crate::app::App;
use crate::edge::net::{Accepted, Event, Net};
use crate::edge::{Shard, SlotKey};

#[tokio::test(start_paused = true)]
async fn a_crowd_is_accepted_over_several_turns() {
    let mut rig = Rig::new();
    let lines: Vec<usize> = (0..200).map(|_| rig.script.connect()).collect();
    rig.turn();
    let accepted = lines.iter().filter(|at| rig.script.line(**at, |line| line.key.is_some())).count();
    assert_eq!(accepted, ACCEPTS_MAX);
    rig.settle();
    assert!(lines.iter().all(|at| rig.script.line(*at, |line| line.key.is_some())));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_small_messages_does_not_lengthen_a_turn_nor_keep_others_waiting() {
    let mut rig = Rig::new();
    let floods: Vec<usize> = (0..40).map(|_| rig.open()).collect();
    let witness = rig.open();
    let flood: Vec<u8> = (0..20_000).flat_map(|id| request(id, "Echo.now", b"")).collect();
    for line in &floods {
        rig.script.send(*line, &flood);
    }
    rig.script.send(witness, &request(1, "Echo.now", b"me too"));
    let (mut turns_until_answer, mut before) = (None, 0);
    for turn in 0..100_000 {
        rig.turn();
        let begun = rig.desk.begun();
        assert!(begun - before <= 5000, "{} messages in one turn", begun - before);
        before = begun;
        if turns_until_answer.is_none() && rig.script.line(witness, |line| !line.output.is_empty()) {
            turns_until_answer = Some(turn);
        }
        if begun == 40 * 20_000 + 1 {
            break;
        }
    }
    assert!(turns_until_answer.is_some_and(|turns| turns < 100), "{turns_until_answer:?}");
    rig.settle();
    for line in floods {
        assert_eq!(told(&rig.script.take_output(line)).len(), 20_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_rest_taken_in_small_pieces_is_not_copied_each_time() {
    let mut rig = Rig::with(|app| app.configure(|gate| gate.unanswered_max = 1));
    let line = rig.open();
    let calls: Vec<u8> = (0..3000).flat_map(|id| request(id, "Wait.turn", b"")).collect();
    assert!(calls.len() < 64 * 1024);
    rig.script.send(line, &calls);
    rig.desk.permits.add(3000);
    rig.settle();
    assert_eq!(rig.script.line(line, |line| line.reads), 3, "handshake, acknowledgement, all requests");
    assert_eq!(told(&rig.script.take_output(line)).len(), 3000);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_of_a_crowd_that_came_at_once_are_spread_over_turns() {
    let mut rig = Rig::new();
    let lines: Vec<usize> = (0..1000).map(|_| rig.script.connect()).collect();
    for line in &lines {
        rig.script.send(*line, b"\x01\x00\x00\x02{}\x02\x00\x00\x00");
    }
    rig.settle();
    for line in &lines {
        rig.script.take_output(*line);
    }
    advance(Duration::from_secs(31)).await;
    rig.turn();
    let told =
        |rig: &Rig| lines.iter().filter(|at| rig.script.line(**at, |line| !line.output.is_empty())).count();
    assert_eq!(told(&rig), TICKS_MAX);
    rig.settle();
    assert_eq!(told(&rig), 1000);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_longer_than_the_wheel_are_on_time() {
    for secs in [1, 30, 52, 55, 120, 600] {
        let mut rig =
            Rig::with(|app| app.configure(|gate| gate.heartbeat_interval = Duration::from_secs(secs)));
        let line = rig.open();
        let (start, mut beats) = (Instant::now(), Vec::new());
        while start.elapsed() < Duration::from_secs(secs * 5) && rig.is_open(line) {
            advance(Duration::from_millis(100)).await;
            rig.settle();
            for (kind, _) in packets(&rig.script.take_output(line)) {
                assert_eq!(kind, PacketKind::Heartbeat);
                beats.push(start.elapsed().as_millis());
            }
        }
        let interval_ms = u128::from(secs) * 1000;
        // The client says nothing: one beat for each of two intervals, then the end.
        for (count, beat) in (1..).zip(&beats) {
            let wanted = interval_ms * count;
            assert!((wanted..wanted + 300).contains(beat), "{secs} s: {beats:?}");
        }
        assert!(!rig.is_open(line), "{secs} s: a dead client lives on");
        let died = start.elapsed().as_millis();
        assert!((interval_ms * 5 / 2..interval_ms * 5 / 2 + 300).contains(&died), "{secs} s: {died}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_only_after_our_heartbeat_lives() {
    let mut rig = Rig::new();
    let line = rig.open();
    let (mut beats, mut due) = (0, None);
    for _ in 0..3000 {
        advance(Duration::from_millis(100)).await;
        rig.settle();
        if !rig.script.take_output(line).is_empty() {
            beats += 1;
            // A whole interval after ours, as old clients do.
            due.get_or_insert(Instant::now() + Duration::from_secs(30));
        }
        if due.is_some_and(|due| due <= Instant::now()) {
            due = None;
            rig.script.send(line, &dunlin_wire::HEARTBEAT_PACKET);
        }
    }
    assert!(rig.is_open(line));
    assert!(beats >= 9, "{beats} heartbeats in 300 seconds");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_turned_off_cost_no_ticks_and_end_nobody() {
    let mut rig = Rig::with(|app| app.configure(|gate| gate.heartbeat_interval = Duration::ZERO));
    let line = rig.open();
    let mut ticks = 0;
    for _ in 0..3000 {
        advance(Duration::from_millis(100)).await;
        rig.shop.take_ticks(rig.shop.now());
        ticks += usize::from(rig.shop.table.get_mut(SlotKey { index: 0, generation: 0 }).is_none());
    }
    assert_eq!(ticks, 0);
    assert!(rig.is_open(line) && rig.script.take_output(line).is_empty());
}

/// A network that always has news, as when another thread pushes without end.
struct Restless(ScriptNet);

impl Net for Restless {
    type Conn = ScriptConn;

    fn poll_events(&mut self, _: &mut Context<'_>, _: &mut Vec<Event>, _: usize) -> Poll<io::Result<bool>> {
        Poll::Ready(Ok(false))
    }

    fn accept(&mut self, now_ms: u64) -> Option<Accepted<ScriptConn>> {
        self.0.accept(now_ms)
    }

    fn stop_accepting(&mut self) {
        self.0.stop_accepting();
    }

    fn register(&mut self, conn: &mut ScriptConn, key: SlotKey) -> io::Result<()> {
        self.0.register(conn, key)
    }

    fn watch_writable(&mut self, conn: &mut ScriptConn, key: SlotKey, is_wanted: bool) -> io::Result<()> {
        self.0.watch_writable(conn, key, is_wanted)
    }

    fn deregister(&mut self, conn: &mut ScriptConn) {
        self.0.deregister(conn);
    }
}

#[tokio::test]
async fn news_without_end_leaves_room_for_the_other_tasks_of_the_runtime() {
    let shard = Shard::new(Restless(ScriptNet(Script::default())), App::new().into_shard());
    let mut run = Box::pin(shard.run());
    // One poll of the shard comes back although it could go on for ever.
    let is_over = poll_fn(|cx| Poll::Ready(run.as_mut().poll(cx).is_ready())).await;
    assert!(!is_over);
}

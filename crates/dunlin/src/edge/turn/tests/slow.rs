//! Clients that read slowly, trickle or stop: bounded, served in order, and ended in time.

use std::time::Duration;

use tokio::time::advance;

use super::rig::{Rig, Told, request, told};
use crate::session::{CloseReason, PushError, SendQueue, WhenFull};

/// Lets time pass in steps, with turns in between and the client doing something at each step.
async fn pass(rig: &mut Rig, time: Duration, mut meanwhile: impl FnMut(&mut Rig)) {
    let step = Duration::from_millis(100);
    for _ in 0..time.as_millis() / step.as_millis() {
        advance(step).await;
        meanwhile(rig);
        rig.settle();
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocked_connection_is_not_read_until_it_has_taken_what_waits() {
    let mut rig = Rig::new();
    let line = rig.open();
    rig.script.line(line, |line| line.room = 3);
    rig.script.send(line, &request(1, "Echo.now", b"one"));
    rig.settle();
    let reads = rig.script.line(line, |line| line.reads);
    for id in 2..50 {
        rig.script.send(line, &request(id, "Echo.now", b"more"));
        rig.settle();
    }
    assert_eq!(rig.script.line(line, |line| line.reads), reads);
    rig.script.give_room(line, usize::MAX);
    rig.settle();
    assert_eq!(told(&rig.script.take_output(line)).len(), 49);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_connection_starts_nothing_of_what_it_sent_before() {
    let mut rig = Rig::new();
    let line = rig.open();
    rig.script.line(line, |line| line.room = 0);
    // The first is answered into a full socket while the rest is there already.
    rig.script.send(line, &request(0, "Wait.turn", b""));
    let rest: Vec<u8> = (1..2000).flat_map(|id| request(id, "Echo.now", b"")).collect();
    rig.script.send(line, &rest);
    rig.settle();
    rig.desk.permits.add(1);
    rig.settle();
    let begun = rig.desk.begun();
    assert!(begun <= 128, "{begun} of 2,000 were started for a client that takes nothing");
    rig.script.give_room(line, usize::MAX);
    rig.settle();
    assert_eq!(told(&rig.script.take_output(line)).len(), 2000);
}

#[tokio::test(start_paused = true)]
async fn large_answers_to_a_pipelining_client_wait_for_it_instead_of_ending_it() {
    let queue = SendQueue { bytes_max: 100_000, packets_max: 1024, when_full: WhenFull::Disconnect };
    let mut rig = Rig::with(|app| app.configure(|gate| gate.send_queue = queue));
    let line = rig.open();
    rig.script.line(line, |line| line.room = 1000);
    let calls: Vec<u8> = (0..100).flat_map(|id| request(id, "Wait.turn", &[b'x'; 30_000])).collect();
    rig.script.send(line, &calls);
    rig.desk.permits.add(1000);
    for _ in 0..400 {
        rig.settle();
        rig.script.give_room(line, 10_000);
    }
    rig.settle();
    assert_eq!(told(&rig.script.take_output(line)).len(), 100);
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_pushed_comes_before_its_answer_however_much_it_is() {
    let mut rig = Rig::new();
    let line = rig.open();
    rig.script.send(line, &request(1, "Push.len", b"900000"));
    rig.settle();
    let told = told(&rig.script.take_output(line));
    assert_eq!(told.len(), 901);
    assert!(matches!(told.last(), Some(Told::Answer(1, _))), "the answer overtook pushes");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_trickles_is_ended_as_soon_as_its_queue_is_full() {
    let queue = SendQueue { bytes_max: 50_000, packets_max: 1024, when_full: WhenFull::Disconnect };
    let mut rig = Rig::with(|app| app.configure(|gate| gate.send_queue = queue));
    let line = rig.open();
    rig.script.line(line, |line| line.room = 0);
    let session = rig.session(0);
    while session.push_raw("onNote", vec![0; 1000]).is_ok() {
        rig.settle();
    }
    assert_eq!(session.push_raw("onNote", "x"), Err(PushError::Closed));
    pass(&mut rig, Duration::from_secs(1), |rig| rig.script.give_room(line, 1)).await;
    assert_eq!(*rig.desk.closed.lock().unwrap(), [CloseReason::TooSlow]);
    assert!(rig.script.line(line, |line| line.is_dropped));
}

#[tokio::test(start_paused = true)]
async fn a_kicked_client_that_trickles_is_gone_after_the_write_timeout() {
    let mut rig = Rig::new();
    let line = rig.open();
    rig.script.line(line, |line| line.room = 0);
    let session = rig.session(0);
    for _ in 0..2 {
        // The second waits in the queue, so that the shard knows of output already.
        session.push_raw("onNote", vec![0; 100_000]).unwrap();
        rig.settle();
    }
    session.kick("enough").unwrap();
    pass(&mut rig, Duration::from_secs(12), |rig| rig.script.give_room(line, 1)).await;
    assert_eq!(*rig.desk.closed.lock().unwrap(), [CloseReason::Kicked { reason: "enough".to_owned() }]);
    assert!(rig.script.line(line, |line| line.is_dropped));
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_that_goes_on_reading_gets_everything() {
    let mut rig = Rig::new();
    let line = rig.open();
    rig.script.line(line, |line| line.room = 0);
    rig.session(0).push_raw("onNote", vec![0; 200_000]).unwrap();
    // It takes 100 seconds, ten times the write timeout and more than two heartbeat intervals.
    pass(&mut rig, Duration::from_secs(101), |rig| rig.script.give_room(line, 200)).await;
    rig.script.give_room(line, usize::MAX);
    rig.settle();
    assert!(rig.is_open(line));
    assert_eq!(told(&rig.script.take_output(line)).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_read_is_not_called_silent() {
    let mut rig = Rig::with(|app| {
        app.configure(|gate| {
            gate.unanswered_max = 2;
            gate.request_timeout = Duration::from_secs(600);
        })
    });
    let line = rig.open();
    for id in 0..3 {
        rig.script.send(line, &request(id, "Wait.free", b""));
    }
    pass(&mut rig, Duration::from_secs(300), |rig| rig.script.send(line, &dunlin_wire::HEARTBEAT_PACKET))
        .await;
    assert!(rig.is_open(line));
    rig.desk.permits.add(3);
    rig.settle();
    assert_eq!(told(&rig.script.take_output(line)).len(), 3);
}

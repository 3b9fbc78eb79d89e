//! Clients that speak faster than they may: held back, and ended when they do not stop.

use std::time::Duration;

use dunlin_wire::HEARTBEAT_PACKET;
use tokio::time::{Instant, advance};

use super::rig::{Rig, framed, packets, request, told};
use crate::session::CloseReason;

/// A shard with a limit of so many messages a second after a burst of as many.
fn limited(per_second: u32) -> Rig {
    Rig::with(|app| {
        app.configure(|gate| {
            gate.messages_per_second_max = Some(per_second);
            gate.messages_burst_max = per_second;
        })
    })
}

/// Goes on in steps of the wheel until a time has passed or the line is closed.
async fn pass(rig: &mut Rig, time: Duration, line: usize) -> Duration {
    let start = Instant::now();
    while start.elapsed() < time && rig.is_open(line) {
        advance(Duration::from_millis(100)).await;
        rig.settle();
    }
    start.elapsed()
}

fn requests(count: u64) -> Vec<u8> {
    (0..count).flat_map(|id| request(id, "Echo.now", b"")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_rate_waits_and_is_answered_when_its_time_has_come() {
    let mut rig = limited(100);
    let line = rig.open();
    rig.script.send(line, &requests(500));
    rig.settle();
    let at_once = rig.desk.begun();
    assert!((90..=100).contains(&at_once), "{at_once} at once");
    pass(&mut rig, Duration::from_secs(1), line).await;
    assert!((190..=215).contains(&rig.desk.begun()), "{} after a second", rig.desk.begun());
    pass(&mut rig, Duration::from_secs(4), line).await;
    assert_eq!(told(&rig.script.take_output(line)).len(), 500, "nothing was dropped");
    assert!(rig.is_open(line));
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_socket_is_read_when_its_time_has_come() {
    let mut rig = limited(100);
    let line = rig.open();
    rig.script.send(line, &requests(99));
    rig.settle();
    let reads = rig.script.line(line, |line| line.reads);
    rig.script.send(line, &requests(5));
    rig.settle();
    let begun = rig.desk.begun();
    assert!(begun < 104, "{begun} at once");
    pass(&mut rig, Duration::from_secs(1), line).await;
    assert_eq!(rig.desk.begun(), 104);
    assert!(rig.script.line(line, |line| line.reads) > reads);
}

#[tokio::test(start_paused = true)]
async fn a_flood_without_a_break_is_ended_with_its_reason_after_ten_seconds() {
    for is_websocket in [false, true] {
        let mut rig = limited(100);
        let line = if is_websocket { rig.open_websocket() } else { rig.open() };
        let flood = requests(3000);
        rig.script.send(line, &if is_websocket { framed(&flood) } else { flood });
        let lived = pass(&mut rig, Duration::from_secs(60), line).await;
        assert!((10_000..10_500).contains(&lived.as_millis()), "{lived:?}");
        assert_eq!(*rig.desk.closed.lock().unwrap(), [CloseReason::Flooding]);
        assert_eq!(rig.shop.shard.app.snapshot(0).floods, 1);
        let begun = rig.desk.begun();
        assert!((1000..1150).contains(&begun), "{begun} of a rate of 100");
        if is_websocket {
            let output = rig.script.take_output(line);
            let code = 1008_u16.to_be_bytes();
            assert!(output.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == code), "no code 1008");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_and_pings_are_counted_too() {
    let (ping, pong) = ([0x89, 0x80, 1, 2, 3, 4], [0x8a, 0x80, 1, 2, 3, 4]);
    for flood in [framed(&HEARTBEAT_PACKET.repeat(3000)), ping.repeat(250), pong.repeat(250)] {
        let mut rig = limited(100);
        let line = rig.open_websocket();
        let mut lived = Duration::ZERO;
        // A flood of WebSocket's own frames alone would be ended by their limit.
        while rig.is_open(line) && lived < Duration::from_secs(60) {
            rig.script.send(line, &flood);
            rig.script.send(line, &framed(&HEARTBEAT_PACKET));
            lived += pass(&mut rig, Duration::from_secs(1), line).await;
        }
        assert_eq!(*rig.desk.closed.lock().unwrap(), [CloseReason::Flooding]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_held_back_is_not_taken_for_dead() {
    let mut rig = Rig::with(|app| {
        app.configure(|gate| {
            gate.messages_per_second_max = Some(1);
            gate.messages_burst_max = 20;
            gate.heartbeat_interval = Duration::from_secs(2);
        })
    });
    let line = rig.open();
    rig.script.send(line, &requests(26));
    pass(&mut rig, Duration::from_secs(9), line).await;
    assert!(rig.is_open(line), "{:?}", rig.desk.closed.lock().unwrap());
    assert!(packets(&rig.script.take_output(line)).len() > 20);
}

//! Connections that break, stall and hang, over real sockets.

use std::time::{Duration, Instant};

use dunlin_rafthttp::MemberId;
use dunlin_rafthttp::raftpb::{Message, MessageType};
use tokio::time::timeout;

use crate::members::{Member, Told, message, until};
use crate::wire::Wire;

/// Two members that read each other's streams through wires: first the one to the second member, then the one to the first.
async fn wired() -> (Member, Member, [Wire; 2]) {
    let (one, two) = (Member::start(1).await, Member::start(2).await);
    let wires = [Wire::to(&two.url).await, Wire::to(&one.url).await];
    one.transport.add_peer(MemberId(2), [wires[0].url.as_str()]).unwrap();
    two.transport.add_peer(MemberId(1), [wires[1].url.as_str()]).unwrap();
    until(|| one.transport.active_peers() == 1 && two.transport.active_peers() == 1).await;
    (one, two, wires)
}

fn heartbeat(commit: u64) -> Message {
    Message { commit, ..message(MessageType::Heartbeat) }
}

#[tokio::test]
async fn broken_streams_carry_again_within_fifty_sends() {
    let (one, mut two, wires) = wired().await;
    for wire in &wires {
        wire.cut();
    }
    for sends in 1..=50 {
        one.transport.send([heartbeat(sends)]);
        tokio::time::sleep(Duration::from_millis(1)).await;
        if let Ok(Told::Message(message)) = two.told.try_recv() {
            assert!(message.commit <= sends);
            return;
        }
    }
    panic!("none of fifty messages arrived");
}

#[tokio::test]
async fn a_peer_whose_socket_stands_still_is_noticed_within_its_time() {
    let fast = |builder: dunlin_rafthttp::Builder| builder.socket_timeout(Duration::from_millis(500));
    let (one, two) = (Member::start_with(1, fast).await, Member::start_with(2, fast).await);
    let wires = [Wire::to(&two.url).await, Wire::to(&one.url).await];
    one.transport.add_peer(MemberId(2), [wires[0].url.as_str()]).unwrap();
    two.transport.add_peer(MemberId(1), [wires[1].url.as_str()]).unwrap();
    until(|| one.transport.active_peers() == 1 && two.transport.active_peers() == 1).await;
    let begin = Instant::now();
    for wire in &wires {
        wire.stall(true);
    }
    until(|| one.transport.active_peers() == 0 && two.transport.active_peers() == 0).await;
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    for wire in &wires {
        wire.stall(false);
    }
    until(|| one.transport.active_peers() == 1 && two.transport.active_peers() == 1).await;
}

#[tokio::test]
async fn a_cut_peer_gets_nothing_until_it_is_mended() {
    let (one, mut two, _wires) = wired().await;
    one.transport.cut(MemberId(2));
    one.transport.send([heartbeat(1)]);
    assert!(timeout(Duration::from_millis(100), two.told.recv()).await.is_err());
    one.transport.mend(MemberId(2));
    one.transport.send([heartbeat(2)]);
    assert_eq!(two.next_message().await, heartbeat(2));
}

#[tokio::test]
async fn a_peer_that_moved_is_found_at_its_new_url() {
    let (one, two) = (Member::start(1).await, Member::start(2).await);
    one.transport.add_peer(MemberId(2), ["http://127.0.0.1:9"]).unwrap();
    one.transport.update_peer(MemberId(2), [two.url.as_str()]).unwrap();
    two.transport.add_peer(MemberId(1), [one.url.as_str()]).unwrap();
    until(|| one.transport.active_peers() == 1).await;
}

#[tokio::test]
async fn a_stop_takes_no_longer_than_a_second_though_everything_hangs() {
    let (one, _two, wires) = wired().await;
    for wire in &wires {
        wire.stall(true);
    }
    for commit in 0..40 {
        one.transport.send([heartbeat(commit), message(MessageType::Snap)]);
    }
    let begin = Instant::now();
    one.transport.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn raft_hears_of_every_peer_that_is_not_reached() {
    let mut one = Member::start(1).await;
    one.transport.add_peer(MemberId(2), ["http://127.0.0.1:9"]).unwrap();
    one.transport.send([heartbeat(1)]);
    let told = timeout(Duration::from_secs(5), one.told.recv()).await.unwrap();
    assert_eq!(told, Some(Told::Unreachable(MemberId(2))));
    let wire = Wire::to("http://127.0.0.1:9").await;
    wire.refuse(true);
    one.transport.update_peer(MemberId(2), [wire.url.as_str()]).unwrap();
    one.transport.send([message(MessageType::Snap)]);
    let told = timeout(Duration::from_secs(5), one.told.recv()).await.unwrap();
    assert_eq!(told, Some(Told::Unreachable(MemberId(2))));
}

#[tokio::test]
async fn a_removed_peer_gets_nothing_and_may_be_removed_twice() {
    let (one, mut two, _wires) = wired().await;
    one.transport.remove_peer(MemberId(2));
    one.transport.remove_peer(MemberId(2));
    one.transport.send([heartbeat(1)]);
    assert!(timeout(Duration::from_millis(100), two.told.recv()).await.is_err());
    assert_eq!(one.transport.active_peers(), 0);
}

//! A peer by itself: queues, streams that are replaced, reports.

use super::*;

fn config() -> PeerConfig {
    let limits = |messages_max| QueueLimits { messages_max, bytes_max: 1 << 20 };
    PeerConfig { stream_queue: limits(8), pipeline_queue: limits(2) }
}

fn message(msg_type: MessageType, index: u64) -> Message {
    Message { msg_type: msg_type.into(), to: 2, from: 1, term: 1, index, ..Message::default() }
}

fn send(peer: &mut Peer, message: Message) -> Outcome {
    let len = crate::raftpb::encoded_len(&message);
    peer.handle_send(message, len)
}

fn indexes(batch: Batch) -> Vec<u64> {
    match batch {
        Batch::Messages(messages, _) => messages.iter().map(|message| message.index).collect(),
        Batch::Empty | Batch::Over => Vec::new(),
    }
}

#[test]
fn messages_of_a_stream_come_out_in_order_and_in_pieces() {
    let mut peer = Peer::new(config());
    let (attached, _) = peer.handle_attach(Instant::now(), StreamKind::Message);
    for index in 1..=5 {
        let sent = send(&mut peer, message(MessageType::AppResp, index));
        assert_eq!(sent, Outcome::Queued(Channel::Stream(StreamKind::Message)));
    }
    let len = crate::raftpb::encoded_len(&message(MessageType::AppResp, 1));
    assert_eq!(indexes(peer.poll_batch(attached, 2 * len)), [1, 2]);
    assert_eq!(indexes(peer.poll_batch(attached, 0)), [3], "one at least");
    assert_eq!(indexes(peer.poll_batch(attached, usize::MAX)), [4, 5]);
    assert_eq!(peer.poll_batch(attached, usize::MAX), Batch::Empty);
}

#[test]
fn a_second_stream_takes_the_place_of_the_first_whose_queue_is_reported_once() {
    let mut peer = Peer::new(config());
    let (first, _) = peer.handle_attach(Instant::now(), StreamKind::Message);
    send(&mut peer, message(MessageType::AppResp, 1));
    send(&mut peer, message(MessageType::AppResp, 2));
    let (second, reports) = peer.handle_attach(Instant::now(), StreamKind::Message);
    assert_eq!(reports, [Report::Unreachable]);
    assert_eq!(peer.poll_batch(first, usize::MAX), Batch::Over);
    send(&mut peer, message(MessageType::AppResp, 3));
    assert_eq!(indexes(peer.poll_batch(second, usize::MAX)), [3]);
    // The first one hears of its end late, and takes nothing with it.
    assert_eq!(peer.handle_detach(Instant::now(), first, 0, "closed"), []);
    assert!(peer.is_attached(StreamKind::Message));
}

#[test]
fn without_a_stream_messages_go_by_the_pipeline_until_it_is_full() {
    let mut peer = Peer::new(config());
    for index in 1..=2 {
        let sent = send(&mut peer, message(MessageType::Heartbeat, index));
        assert_eq!(sent, Outcome::Queued(Channel::Pipeline));
    }
    let full = SendError::QueueFull { channel: Channel::Pipeline };
    let sent = send(&mut peer, message(MessageType::Heartbeat, 3));
    assert_eq!(sent, Outcome::Dropped(full, vec![Report::Unreachable]));
    let sent = send(&mut peer, message(MessageType::Snap, 4));
    assert_eq!(sent, Outcome::Dropped(full, vec![Report::Unreachable, Report::SnapshotFailed]));
    assert_eq!(peer.poll_pipeline().map(|message| message.index), Some(1));
    assert_eq!(send(&mut peer, message(MessageType::Snap, 5)), Outcome::Queued(Channel::Pipeline));
}

#[test]
fn a_stream_that_ends_drops_its_queue_and_the_pipeline_takes_over() {
    let mut peer = Peer::new(config());
    let (attached, _) = peer.handle_attach(Instant::now(), StreamKind::MsgApp);
    send(&mut peer, message(MessageType::App, 1));
    assert_eq!(peer.handle_detach(Instant::now(), attached, 0, "reset"), [Report::Unreachable]);
    assert_eq!(peer.status().active_since(), None);
    assert_eq!(send(&mut peer, message(MessageType::App, 2)), Outcome::Queued(Channel::Pipeline));
}

#[test]
fn what_a_stream_took_and_could_not_write_is_reported() {
    let mut peer = Peer::new(config());
    let (attached, _) = peer.handle_attach(Instant::now(), StreamKind::MsgApp);
    send(&mut peer, message(MessageType::App, 1));
    peer.poll_batch(attached, usize::MAX);
    assert_eq!(peer.handle_detach(Instant::now(), attached, 1, "reset"), [Report::Unreachable]);
}

#[test]
fn the_end_of_a_post_is_told_to_raft_and_to_the_status() {
    let mut peer = Peer::new(config());
    let (now, snapshot) = (Instant::now(), message(MessageType::Snap, 1));
    assert_eq!(peer.handle_posted(now, Channel::Pipeline, &snapshot, Ok(())), [Report::SnapshotFinished]);
    assert_eq!(peer.status().active_since(), Some(now));
    assert_eq!(
        peer.handle_posted(now, Channel::Pipeline, &snapshot, Err("refused")),
        [Report::Unreachable, Report::SnapshotFailed]
    );
    assert_eq!(peer.status().active_since(), None);
}

#[test]
fn a_paused_peer_gets_nothing_and_nobody_hears_of_it() {
    let mut peer = Peer::new(config());
    peer.pause();
    assert_eq!(send(&mut peer, message(MessageType::Heartbeat, 1)), Outcome::Discarded);
    peer.resume();
    assert_eq!(send(&mut peer, message(MessageType::Heartbeat, 2)), Outcome::Queued(Channel::Pipeline));
}

#[test]
fn a_stopped_peer_ends_its_streams_and_takes_no_new_one() {
    let mut peer = Peer::new(config());
    let (attached, _) = peer.handle_attach(Instant::now(), StreamKind::Message);
    peer.stop();
    assert_eq!(peer.poll_batch(attached, usize::MAX), Batch::Over);
    let (late, _) = peer.handle_attach(Instant::now(), StreamKind::Message);
    assert_eq!(peer.poll_batch(late, usize::MAX), Batch::Over);
}

//! Tests of the server's side: order of packets, and liveness.

use super::*;

const INTERVAL_MS: u64 = 1000;

fn packet(kind: PacketKind) -> Packet<'static> {
    let body = Cow::Borrowed(b"x".as_slice());
    Packet { kind, body }
}

/// A connection that was accepted at 0 and is acknowledged now.
fn working(now: Millis) -> ServerProtocol {
    let mut protocol = ServerProtocol::new(Millis::ZERO);
    let event = protocol.handle_packet(now, packet(PacketKind::Handshake));
    assert!(matches!(event, Ok(Some(ServerEvent::HandshakeRequested(_)))));
    protocol.accept(now);
    let event = protocol.handle_packet(now, packet(PacketKind::HandshakeAck));
    assert_eq!(event, Ok(Some(ServerEvent::Established)));
    protocol
}

/// Feeds packets and gives the error of the last; those before must be fine.
fn error_after(kinds: &[PacketKind], is_accepted: bool) -> ProtocolError {
    let mut protocol = ServerProtocol::new(Millis::ZERO);
    let mut last = Ok(None);
    for kind in kinds {
        assert!(last.is_ok());
        last = protocol.handle_packet(Millis::ZERO, packet(*kind));
        if is_accepted {
            protocol.accept(Millis::ZERO);
        }
    }
    let error = last.expect_err("the last packet must not come");
    assert_eq!(protocol.state(), ServerState::Closed);
    let after = protocol.handle_packet(Millis::ZERO, packet(PacketKind::Data));
    assert_eq!(after, Ok(None), "nothing comes out after the end");
    error
}

#[test]
fn data_before_ack_is_an_error_in_every_state() {
    use PacketKind::{Data, Handshake};
    for (kinds, is_accepted, state) in [
        (&[Data][..], true, ServerState::Start),
        (&[Handshake, Data], false, ServerState::Handshaking),
        (&[Handshake, Data], true, ServerState::Handshaken),
    ] {
        let expected = ProtocolError::DataBeforeAck { state };
        assert_eq!(error_after(kinds, is_accepted), expected);
    }
}

#[test]
fn ack_without_handshake_or_before_its_answer_is_an_error() {
    use PacketKind::{Handshake, HandshakeAck};
    let error = error_after(&[HandshakeAck], true);
    let state = ServerState::Start;
    assert_eq!(error, ProtocolError::AckBeforeHandshake { state });
    let error = error_after(&[Handshake, HandshakeAck], false);
    let state = ServerState::Handshaking;
    assert_eq!(error, ProtocolError::AckBeforeHandshake { state });
    let error = error_after(&[Handshake, HandshakeAck, HandshakeAck], true);
    assert_eq!(error, ProtocolError::RepeatedAck);
}

#[test]
fn repeated_handshake_is_an_error_at_any_time() {
    use PacketKind::{Handshake, HandshakeAck};
    for (kinds, is_accepted) in [
        (&[Handshake, Handshake][..], false),
        (&[Handshake, Handshake], true),
        (&[Handshake, HandshakeAck, Handshake], true),
    ] {
        assert_eq!(error_after(kinds, is_accepted), ProtocolError::RepeatedHandshake);
    }
}

#[test]
fn kick_from_a_client_is_an_error_at_any_time() {
    use PacketKind::{Handshake, HandshakeAck, Kick};
    for kinds in [&[Kick][..], &[Handshake, Kick], &[Handshake, HandshakeAck, Kick]] {
        assert_eq!(error_after(kinds, true), ProtocolError::KickFromClient);
    }
}

#[test]
fn heartbeats_before_the_handshake_are_only_a_sign_of_life() {
    let mut protocol = ServerProtocol::new(Millis::ZERO);
    let event = protocol.handle_packet(Millis(1500), packet(PacketKind::Heartbeat));
    assert_eq!((event, protocol.state()), (Ok(None), ServerState::Start));
    assert_eq!(protocol.handle_tick(Millis(4000), INTERVAL_MS), None);
    assert_eq!(protocol.handle_tick(Millis(4001), INTERVAL_MS), Some(Liveness::Dead));
}

#[test]
fn accept_without_a_handshake_changes_nothing() {
    let mut protocol = ServerProtocol::new(Millis::ZERO);
    protocol.accept(Millis::ZERO);
    assert_eq!(protocol.state(), ServerState::Start);
    protocol.refuse();
    protocol.accept(Millis::ZERO);
    assert_eq!(protocol.state(), ServerState::Closed);
}

#[test]
fn first_heartbeat_is_due_an_interval_after_the_ack_and_then_one_each() {
    let mut protocol = working(Millis(500));
    let mut sent_at = Vec::new();
    for now in (500..6000).step_by(100).map(Millis) {
        protocol.handle_life(now);
        if protocol.handle_tick(now, INTERVAL_MS) == Some(Liveness::SendHeartbeat) {
            sent_at.push(now.0);
        }
    }
    assert_eq!(sent_at, [1500, 2500, 3500, 4500, 5500]);
}

#[test]
fn an_answered_heartbeat_puts_the_next_one_off() {
    let mut protocol = working(Millis::ZERO);
    let event = protocol.handle_packet(Millis(900), packet(PacketKind::Heartbeat));
    assert_eq!(event, Ok(Some(ServerEvent::Heartbeat)));
    protocol.handle_heartbeat_sent(Millis(900));
    assert_eq!(protocol.handle_tick(Millis(1899), INTERVAL_MS), None);
    let liveness = protocol.handle_tick(Millis(1900), INTERVAL_MS);
    assert_eq!(liveness, Some(Liveness::SendHeartbeat));
}

#[test]
fn late_heartbeat_closes_the_session() {
    let mut protocol = working(Millis::ZERO);
    let liveness = protocol.handle_tick(Millis(2000), INTERVAL_MS);
    assert_eq!(liveness, Some(Liveness::SendHeartbeat));
    let liveness = protocol.handle_tick(Millis(2501), INTERVAL_MS);
    assert_eq!((liveness, protocol.state()), (Some(Liveness::Dead), ServerState::Closed));
    assert_eq!(protocol.handle_tick(Millis(9999), INTERVAL_MS), None);
}

#[test]
fn any_packet_and_other_life_keep_a_session() {
    let mut protocol = working(Millis::ZERO);
    let event = protocol.handle_packet(Millis(1900), packet(PacketKind::Data));
    assert!(matches!(event, Ok(Some(ServerEvent::Message(_)))));
    protocol.handle_life(Millis(3800));
    assert_ne!(protocol.handle_tick(Millis(5800), INTERVAL_MS), Some(Liveness::Dead));
}

#[test]
fn a_client_that_waits_for_our_answer_is_not_judged() {
    let mut protocol = ServerProtocol::new(Millis::ZERO);
    let event = protocol.handle_packet(Millis::ZERO, packet(PacketKind::Handshake));
    assert!(event.is_ok());
    assert_eq!(protocol.handle_tick(Millis(9000), INTERVAL_MS), None);
    protocol.accept(Millis(9000));
    assert_eq!(protocol.handle_tick(Millis(11_500), INTERVAL_MS), None);
    assert_eq!(protocol.handle_tick(Millis(11_501), INTERVAL_MS), Some(Liveness::Dead));
}

#[test]
fn interval_of_zero_turns_heartbeats_off() {
    let mut protocol = working(Millis::ZERO);
    assert_eq!(protocol.handle_tick(Millis::MAX, 0), None);
}

#[test]
fn the_next_tick_is_the_first_at_which_something_is_asked() {
    for (heartbeat_sent_at, life_at) in [(0, 0), (400, 0), (0, 900), (999, 999)] {
        let mut protocol = working(Millis::ZERO);
        protocol.handle_heartbeat_sent(Millis(heartbeat_sent_at));
        protocol.handle_life(Millis(life_at));
        let next = protocol.next_tick(INTERVAL_MS);
        assert_eq!(protocol.clone().handle_tick(Millis(next.0 - 1), INTERVAL_MS), None);
        assert!(protocol.handle_tick(next, INTERVAL_MS).is_some());
        assert!(protocol.next_tick(INTERVAL_MS) > next);
    }
    assert_eq!(working(Millis::ZERO).next_tick(0), Millis::MAX);
}

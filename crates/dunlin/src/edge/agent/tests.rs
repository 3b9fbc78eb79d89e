//! One connection as a state machine: bytes, outcomes and ticks in; bytes, calls and an end out. No shard, no network.

use std::task::{Context, Waker};

use dunlin_wire::ws::{self, WsLimits};
use dunlin_wire::{MessageHead, PacketKind, Route};

use super::*;
use crate::app::{Admitted, App, Refusal};
use crate::service::{Raw, RouteOptions};

const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: game.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const HANDSHAKE: &[u8] = b"\x01\x00\x00\x02{}";

/// An agent and what it is fed with.
struct Bench {
    shard: Arc<ShardHandle>,
    user: UserCode,
    agent: Agent,
    out: Vec<u8>,
    now: Millis,
    is_blocked: bool,
    credit: u32,
}

impl Bench {
    /// `Echo.now` answers at once; `Slow.turn` and `Slow.free` after a second.
    fn new() -> Self {
        Self::of(App::new())
    }

    fn of(app: App) -> Self {
        let slow = |Raw(body): Raw| async move {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Ok(Raw(body))
        };
        let shard = app
            .route("Echo.now", |Raw(body): Raw| async move { Ok(Raw(body)) })
            .route("Slow.turn", slow)
            .route_with("Slow.free", RouteOptions::default().concurrent(), slow)
            .into_shard();
        let timeout = shard.app.gate.request_timeout;
        let user = UserCode {
            calls: Aside::new(timeout),
            starters: shard.router.starters(),
            admissions: Aside::new(timeout),
        };
        let agent = Agent::new(Millis(0), &shard.app);
        Self { shard, user, agent, out: Vec::new(), now: Millis(0), is_blocked: false, credit: u32::MAX }
    }

    /// One that came through its handshake.
    fn open(app: App) -> Self {
        let mut bench = Self::of(app);
        bench.feed(HANDSHAKE);
        bench.feed(&dunlin_wire::ACK_PACKET);
        bench.out.clear();
        bench
    }

    fn step<T>(&mut self, work: impl FnOnce(&mut Agent, &mut Fx<'_>) -> T) -> T {
        let mut fx = Fx {
            now: self.now,
            key: SlotKey { index: 0, generation: 0 },
            shard: &self.shard,
            user: &mut self.user,
            out: &mut self.out,
            is_blocked: self.is_blocked,
            credit: &mut self.credit,
            tick_by: None,
            peer: &|| None,
        };
        let result = work(&mut self.agent, &mut fx);
        self.agent.drain_session(&mut fx);
        result
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.step(|agent, fx| agent.handle_bytes(&mut bytes.to_vec(), fx));
    }

    /// Hands over the outcomes that are there; returns how many.
    fn take_done(&mut self) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let mut count = 0;
        while let Some(done) = self.user.calls.poll_done(&mut cx) {
            self.step(|agent, fx| agent.handle_done(done, fx));
            count += 1;
        }
        while let Some(done) = self.user.admissions.poll_done(&mut cx) {
            self.step(|agent, fx| agent.handle_admission(done.outcome, done.label, fx));
            count += 1;
        }
        count
    }

    async fn pass_a_second(&mut self) -> usize {
        tokio::time::advance(std::time::Duration::from_millis(1001)).await;
        self.now = self.now.plus(1001);
        self.take_done()
    }

    /// The packets written since it was last asked for: of data the message's payload.
    fn told(&mut self) -> Vec<String> {
        let out = std::mem::take(&mut self.out);
        let mut bytes = &out[..];
        let mut told = Vec::new();
        let mut decoder = PacketDecoder::new();
        while let Some(packet) = decoder.decode(&mut bytes, 1 << 24).unwrap() {
            told.push(match packet.kind {
                PacketKind::Data => {
                    let message = dunlin_wire::decode_message(&packet.body).unwrap();
                    String::from_utf8(message.payload.to_vec()).unwrap()
                }
                kind => format!("{kind:?}"),
            });
        }
        told
    }
}

fn request(id: u64, route: &str, payload: &str) -> Vec<u8> {
    let head = MessageHead::Request { id, route: Route::Name(route.into()) };
    let mut out = Vec::new();
    dunlin_wire::encode_data_packet(&head, false, payload.as_bytes(), 1 << 20, &mut out).unwrap();
    out
}

#[test]
fn an_upgrade_and_what_follows_may_be_split_at_every_byte() {
    let mut stream = UPGRADE.to_vec();
    for packet in [HANDSHAKE, &dunlin_wire::ACK_PACKET, &request(1, "Echo.now", "hello")] {
        ws::encode_binary(&mut stream, packet, Some([7, 1, 8, 2]));
    }
    let mut whole = Bench::new();
    whole.feed(&stream);
    assert!(whole.agent.is_opened && whole.out.ends_with(b"hello"));
    for at in 0..stream.len() {
        let mut split = Bench::new();
        split.feed(&stream[..at]);
        split.feed(&stream[at..]);
        // The time in the handshake's answer may differ.
        assert_eq!(split.out.len(), whole.out.len(), "split at {at}");
        assert!(split.out.ends_with(b"hello") && split.agent.side.is_none(), "split at {at}");
    }
    let mut bytewise = Bench::new();
    for byte in &stream {
        bytewise.feed(&[*byte]);
    }
    assert_eq!(bytewise.out.len(), whole.out.len());
}

#[test]
fn the_first_byte_tells_what_a_client_speaks() {
    for (first, link) in [(b'G', Link::Head), (b'P', Link::Head), (1, Link::Tcp), (0x16, Link::Leaving)] {
        let mut bench = Bench::new();
        bench.feed(&[first]);
        if first == 0x16 {
            // The start of TLS on a plain address: told from packets when a packet's header is whole.
            bench.feed(&[3, 1, 0]);
        }
        assert_eq!(bench.agent.link, link, "{first:#x}");
    }
}

#[test]
fn a_page_is_served_once_and_what_was_pipelined_behind_it_is_ignored() {
    let mut bench = Bench::of(App::new().page("/", "text/plain", "a page"));
    bench.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\x01\x00\x00\x02{}");
    assert_eq!(bench.out.windows(6).filter(|window| *window == b"a page").count(), 1);
    assert!(bench.agent.is_leaving() && bench.agent.session.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_for_the_ordered_one_before_it_and_a_concurrent_one_does_not() {
    let mut bench = Bench::open(App::new());
    bench.feed(&request(1, "Slow.turn", "first"));
    bench.feed(&request(2, "Echo.now", "second"));
    bench.feed(&request(3, "Slow.free", "free"));
    bench.feed(&request(4, "No.such", "unknown"));
    assert_eq!(bench.told().len(), 1, "only the unknown route is answered");
    assert_eq!(bench.agent.unanswered, 3);
    bench.pass_a_second().await;
    let mut told = bench.told();
    assert!(told.iter().position(|told| told == "first") < told.iter().position(|told| told == "second"));
    told.sort();
    assert_eq!(told, ["first", "free", "second"]);
    assert_eq!((bench.agent.unanswered, bench.agent.side.is_none()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_of_unanswered_messages_input_is_left_and_taken_up_again() {
    for is_websocket in [false, true] {
        let mut bench = Bench::of(App::new().configure(|gate| gate.unanswered_max = 2));
        let mut stream = if is_websocket { UPGRADE.to_vec() } else { Vec::new() };
        let mut packets = vec![HANDSHAKE.to_vec(), dunlin_wire::ACK_PACKET.to_vec()];
        packets.extend((0..7).map(|id| request(id, "Slow.free", "x")));
        // Two packets in one message as well, so that a rest begins in the middle of a frame.
        packets.push([request(7, "Slow.free", "x"), request(8, "Slow.free", "x")].concat());
        for packet in packets {
            if is_websocket {
                ws::encode_binary(&mut stream, &packet, Some([1, 2, 3, 4]));
            } else {
                stream.extend_from_slice(&packet);
            }
        }
        bench.feed(&stream);
        for _ in 0..4 {
            assert!(bench.agent.has_leftover() && !bench.agent.takes_input(&bench.shard.app));
            assert!(!bench.agent.wants_turn(true, &bench.shard.app), "nothing to do but wait");
            assert_eq!(bench.pass_a_second().await, 2);
            assert!(bench.agent.wants_turn(false, &bench.shard.app));
            bench.step(|agent, fx| agent.handle_leftover(fx));
        }
        assert_eq!(bench.pass_a_second().await, 1);
        assert!(bench.agent.takes_input(&bench.shard.app) && bench.agent.side.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_wait_are_bounded_in_bytes_too() {
    let mut bench = Bench::open(App::new());
    let body = "x".repeat(60_000);
    bench.feed(&request(0, "Slow.turn", ""));
    let mut sent = 0;
    while bench.agent.takes_input(&bench.shard.app) {
        sent += 1;
        bench.feed(&request(sent, "Slow.turn", &body));
    }
    assert!(sent * 60_000 < 2 * QUEUED_LEN_SOFT_MAX as u64, "{sent} bodies wait");
}

#[test]
fn a_turns_credit_leaves_the_rest_for_the_next_turn() {
    let mut bench = Bench::open(App::new());
    bench.credit = 10;
    let calls: Vec<u8> = (0..25).flat_map(|id| request(id, "Echo.now", "x")).collect();
    bench.feed(&calls);
    let mut answers = vec![bench.told().len()];
    while bench.agent.wants_turn(false, &bench.shard.app) {
        bench.credit = 10;
        bench.step(|agent, fx| agent.handle_leftover(fx));
        answers.push(bench.told().len());
    }
    assert_eq!(answers, [10, 10, 5]);
}

#[test]
fn a_full_socket_starts_nothing_and_queues_answers_in_their_order() {
    let mut bench = Bench::open(App::new());
    bench.is_blocked = true;
    bench.feed(&request(1, "Echo.now", "x"));
    assert!(bench.out.is_empty() && bench.agent.has_leftover());
    bench.is_blocked = false;
    bench.step(|agent, fx| agent.handle_leftover(fx));
    assert_eq!(bench.told(), ["x"]);
}

#[test]
fn pushes_come_before_the_answer_of_their_handler_and_its_kick_after_it() {
    let mut bench = Bench::open(App::new().route("Bye.now", |session: Session| async move {
        session.push_raw("onNote", "pushed")?;
        session.kick("enough")?;
        Ok(Raw("answered".into()))
    }));
    bench.feed(&request(1, "Bye.now", ""));
    assert_eq!(bench.told(), ["pushed", "answered", "Kick"]);
    assert!(bench.agent.is_leaving());
}

#[test]
fn a_client_that_answers_every_heartbeat_is_answered_a_bounded_number_of_times() {
    let mut bench = Bench::open(App::new());
    for _ in 0..1000 {
        bench.feed(&dunlin_wire::HEARTBEAT_PACKET);
    }
    assert_eq!(bench.told().len(), usize::from(ANSWERED_BEATS_MAX));
    bench.now = Millis(30_000);
    bench.step(Agent::handle_tick);
    bench.out.clear();
    bench.feed(&dunlin_wire::HEARTBEAT_PACKET);
    assert_eq!(bench.told(), ["Heartbeat"], "in the next interval it is answered again");
}

#[test]
fn a_kick_over_websocket_is_a_packet_then_a_policy_close() {
    let mut bench = Bench::new();
    let mut stream = UPGRADE.to_vec();
    for packet in [HANDSHAKE, &dunlin_wire::ACK_PACKET] {
        ws::encode_binary(&mut stream, packet, Some([0; 4]));
    }
    bench.feed(&stream);
    bench.out.clear();
    let session = bench.agent.session.clone().unwrap();
    session.kick("x".repeat(200)).unwrap();
    bench.step(|_, _| {});
    let mut out = std::mem::take(&mut bench.out);
    let (mut input, mut decoder, mut events) = (&mut out[..], WsDecoder::new(), Vec::new());
    while let Some(event) = decoder.decode(&mut input, Role::Client, &WsLimits::DEFAULT).unwrap() {
        events.push(match event {
            WsEvent::Data { bytes, .. } => i32::from(bytes[0]),
            WsEvent::Close(frame) => i32::from(frame.unwrap().code),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(events, [5, 1008]);
}

#[tokio::test(start_paused = true)]
async fn while_the_validator_thinks_heartbeats_are_fine_and_messages_are_not() {
    let thoughtful = || {
        App::new().validate(|_, _| async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Ok::<_, Refusal>(Admitted::new())
        })
    };
    let mut patient = Bench::of(thoughtful());
    patient.feed(HANDSHAKE);
    patient.feed(&dunlin_wire::HEARTBEAT_PACKET);
    assert!(patient.out.is_empty());
    assert_eq!(patient.pass_a_second().await, 1);
    assert_eq!(patient.told(), ["Handshake"]);
    patient.feed(&dunlin_wire::ACK_PACKET);
    assert_eq!(patient.told(), ["Heartbeat"]);

    let mut hasty = Bench::of(thoughtful());
    hasty.feed(HANDSHAKE);
    hasty.feed(&request(1, "Echo.now", ""));
    assert!(hasty.agent.is_leaving());
    assert_eq!(hasty.pass_a_second().await, 1, "the validator's word comes too late");
    assert!(hasty.out.is_empty());
}

#[test]
fn an_agent_that_waits_for_nothing_is_small_and_owns_no_buffer() {
    let mut bench = Bench::open(App::new());
    bench.feed(&request(1, "Echo.now", &"x".repeat(16_000)));
    assert!(bench.agent.side.is_none());
    assert!(size_of::<Agent>() <= 104, "{}", size_of::<Agent>());
}

#[tokio::test(start_paused = true)]
async fn a_drain_takes_no_more_messages_and_leaves_after_the_last_answer() {
    let mut bench = Bench::open(App::new());
    bench.feed(&request(1, "Slow.turn", "running"));
    bench.feed(&request(2, "Echo.now", "waiting"));
    bench.step(|agent, fx| agent.begin_drain(fx));
    assert!(!bench.agent.is_leaving() && !bench.agent.takes_input(&bench.shard.app));
    bench.pass_a_second().await;
    assert_eq!(bench.told(), ["running", "waiting"]);
    assert!(bench.agent.is_leaving());
}

#[tokio::test(start_paused = true)]
async fn a_route_is_found_in_the_cesu_8_of_old_clients_and_one_that_is_not_text_ends_the_connection() {
    let app = || App::new().route("Echo.\u{1F600}", |Raw(body): Raw| async move { Ok(Raw(body)) });
    let message = |name: &[u8]| {
        let body = [&[0, 1, u8::try_from(name.len()).unwrap()], name, b"smile"].concat();
        let mut packet = Vec::new();
        dunlin_wire::encode_packet(PacketKind::Data, &body, &mut packet).unwrap();
        packet
    };
    let mut bench = Bench::open(app());
    bench.feed(&message("Echo.\u{1F600}".as_bytes()));
    bench.feed(&message(b"Echo.\xED\xA0\xBD\xED\xB8\x80"));
    assert_eq!(bench.told(), ["smile", "smile"]);
    bench.feed(&message(b"Echo.\xFF"));
    assert!(bench.agent.is_leaving());
}

//! A client and a server of this crate in one thread: the whole way of a connection, packet by packet.

use dunlin_wire::{
    ClientAbilities, ClientConfig, ClientEvent, ClientProtocol, HandshakeRequest, HandshakeResponse, Message,
    MessageHead, Millis, PacketDecoder, PacketKind, Route, RouteDictionary, ServerEvent, ServerProtocol,
    ServerSys, decode_message, deflate_if_smaller, encode_data_packet, encode_kick, encode_packet,
};

const LIMIT: usize = 64 * 1024;

/// A server that answers each request with its payload, and errors where the payload is `fail`.
struct Echo {
    protocol: ServerProtocol,
    decoder: PacketDecoder,
    dictionary: RouteDictionary,
    out: Vec<u8>,
}

impl Echo {
    fn new() -> Self {
        let pairs = [("Room.Echo".to_owned(), 1), ("onLine".to_owned(), 7)];
        Self {
            protocol: ServerProtocol::new(Millis::ZERO),
            decoder: PacketDecoder::new(),
            dictionary: RouteDictionary::from_pairs(pairs).expect("a dictionary"),
            out: Vec::new(),
        }
    }

    fn handle_bytes(&mut self, now: Millis, mut input: &[u8]) {
        while let Some(packet) = self.decoder.decode(&mut input, LIMIT).expect("a packet") {
            match self.protocol.handle_packet(now, packet).expect("in order") {
                Some(ServerEvent::HandshakeRequested(body)) => self.answer_handshake(now, &body),
                Some(ServerEvent::Heartbeat) => {
                    self.protocol.handle_heartbeat_sent(now);
                    self.out.extend(dunlin_wire::HEARTBEAT_PACKET);
                }
                Some(ServerEvent::Message(body)) => {
                    self.answer(decode_message(&body).expect("a message"));
                }
                Some(ServerEvent::Established) | None => {}
            }
        }
    }

    fn answer_handshake(&mut self, now: Millis, body: &[u8]) {
        let request = HandshakeRequest::parse(body).expect("a handshake");
        self.protocol.set_abilities(ClientAbilities::from(&request.sys));
        let dict = self.dictionary.iter().map(|(route, code)| (route.to_owned(), code));
        let response = HandshakeResponse {
            code: 200,
            sys: Some(ServerSys { heartbeat: Some(30), dict: Some(dict.collect()), ..ServerSys::default() }),
            user: Some(request.user),
            message: None,
        };
        let mut body = Vec::new();
        response.encode(&mut body);
        encode_packet(PacketKind::Handshake, &body, &mut self.out).expect("it fits");
        self.protocol.accept(now);
    }

    fn answer(&mut self, message: Message<'_>) {
        let MessageHead::Request { id, route } = message.head else {
            return;
        };
        assert_eq!(route, Route::Code(1), "the client uses the code it was told");
        let is_error = message.payload == b"fail";
        let head = MessageHead::Response { id, is_error };
        let abilities = self.protocol.abilities();
        assert!(abilities.takes_error_flag() && abilities.takes_compressed_body());
        let (payload, is_compressed) = match deflate_if_smaller(message.payload) {
            Some(compressed) => (compressed, true),
            None => (message.payload.to_vec(), false),
        };
        encode_data_packet(&head, is_compressed, &payload, LIMIT, &mut self.out).expect("it fits");
    }
}

/// Carries bytes both ways, one byte at a time towards the client, until both are quiet.
fn exchange(client: &mut ClientProtocol, server: &mut Echo, now: Millis) -> Vec<ClientEvent> {
    let mut events = Vec::new();
    loop {
        let mut packet = Vec::new();
        if client.poll_transmit(&mut packet) {
            server.handle_bytes(now, &packet);
        } else if server.out.is_empty() {
            return events;
        }
        for byte in std::mem::take(&mut server.out) {
            client.handle_bytes(now, &[byte]).expect("a good server");
            events.extend(std::iter::from_fn(|| client.poll_event()));
        }
    }
}

fn connected() -> (ClientProtocol, Echo) {
    let config = ClientConfig { user: "😀".into(), ..ClientConfig::default() };
    let mut client = ClientProtocol::new(config, Millis::ZERO).expect("it fits");
    let mut server = Echo::new();
    let events = exchange(&mut client, &mut server, Millis::ZERO);
    let [ClientEvent::Connected { response }] = events.as_slice() else {
        panic!("connected, not {events:?}");
    };
    assert_eq!(response.user, Some("😀".into()));
    assert!(server.protocol.is_working());
    (client, server)
}

#[test]
fn requests_come_back_as_results_and_errors_by_dictionary_code() {
    let (mut client, mut server) = connected();
    let now = Millis(5);
    let long = "a".repeat(500);
    let ids = ["hello", "fail", &long]
        .map(|payload| client.request(now, "Room.Echo", payload.as_bytes(), 1000).expect("sent"));
    assert_eq!(ids, [1, 2, 3]);
    let events = exchange(&mut client, &mut server, now);
    let results: Vec<_> = events
        .into_iter()
        .map(|event| match event {
            ClientEvent::Response { id, result } => (id, result.map_err(|error| error.payload)),
            other => panic!("a response, not {other:?}"),
        })
        .collect();
    let expected = [(1, Ok(b"hello".to_vec())), (2, Err(b"fail".to_vec())), (3, Ok(long.into_bytes()))];
    assert_eq!(results, expected);
    assert_eq!(client.in_flight(), 0);
}

#[test]
fn pushes_by_code_arrive_by_name_and_a_kick_ends_the_connection() {
    let (mut client, mut server) = connected();
    let head = MessageHead::Push { route: Route::Code(7) };
    encode_data_packet(&head, false, b"{}", LIMIT, &mut server.out).expect("it fits");
    encode_kick("späť 😀", &mut server.out).expect("it fits");
    let events = exchange(&mut client, &mut server, Millis(5));
    let [ClientEvent::Push { route, payload }, ClientEvent::Kicked { reason }] = events.as_slice() else {
        panic!("a push and a kick, not {events:?}");
    };
    assert_eq!((route.as_str(), payload.as_slice()), ("onLine", b"{}".as_slice()));
    assert_eq!(reason.as_str(), "späť 😀");
    assert_eq!(client.poll_deadline(), None);
}

#[test]
fn an_idle_connection_lives_on_heartbeats_and_measures_them() {
    let (mut client, mut server) = connected();
    let mut ticks = 0;
    for second in 1..300 {
        let now = Millis(second * 1000);
        if client.poll_deadline().is_some_and(|deadline| deadline <= now) {
            client.handle_timeout(now);
        }
        assert!(exchange(&mut client, &mut server, now.plus(40)).is_empty());
        if server.protocol.handle_tick(now.plus(40), 30_000).is_some() {
            ticks += 1;
        }
    }
    assert_eq!(client.round_trip_ms(), Some(40));
    assert_eq!(ticks, 0, "answers stand in for the server's own heartbeats");
    assert!(server.protocol.is_working());
}

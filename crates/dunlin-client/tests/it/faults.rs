//! Faults in time: silence, late life, floods, under a paused clock.

use std::time::Duration;

use dunlin_client::{Client, ClientBuilder, CloseReason, NotifyError};
use dunlin_wire::{HEARTBEAT_PACKET, HandshakeResponse, PacketKind, ServerSys, encode_packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::server::{Behaviour, Seen, serve};

/// Reads one packet as an old server would, byte counts and all.
async fn read_packet(pipe: &mut DuplexStream) -> (u8, Vec<u8>) {
    let mut header = [0; 4];
    pipe.read_exact(&mut header).await.unwrap();
    let len = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
    let mut body = vec![0; len];
    pipe.read_exact(&mut body).await.unwrap();
    (header[0], body)
}

/// A client that shook hands with a server that then does only what the test does.
async fn shaken(heartbeat: u32) -> (Client, DuplexStream) {
    shaken_with(Client::builder("tcp://pipe:1"), heartbeat).await
}

async fn shaken_with(builder: ClientBuilder, heartbeat: u32) -> (Client, DuplexStream) {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let connecting = tokio::spawn(builder.connect_over(ours));
    assert_eq!(read_packet(&mut theirs).await.0, PacketKind::Handshake as u8);
    let sys = ServerSys { heartbeat: Some(heartbeat), ..ServerSys::default() };
    let (mut body, mut packet) = (Vec::new(), Vec::new());
    HandshakeResponse { code: 200, sys: Some(sys), ..HandshakeResponse::default() }.encode(&mut body);
    encode_packet(PacketKind::Handshake, &body, &mut packet).unwrap();
    theirs.write_all(&packet).await.unwrap();
    let client = connecting.await.unwrap().unwrap();
    assert_eq!(read_packet(&mut theirs).await.0, PacketKind::HandshakeAck as u8);
    (client, theirs)
}

#[tokio::test(start_paused = true)]
async fn silent_server_is_left_after_two_heartbeat_intervals() {
    let (client, _theirs) = shaken(10).await;
    let before = Instant::now();
    let reason = client.closed().await;
    assert!(matches!(reason, CloseReason::Silent { .. }) && reason.is_retryable(), "{reason:?}");
    let lasted = before.elapsed();
    assert!(lasted > Duration::from_secs(20) && lasted < Duration::from_secs(23), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn round_trip_is_the_time_the_server_took_for_the_last_heartbeat() {
    let (client, mut theirs) = shaken(10).await;
    for took in [Duration::from_millis(40), Duration::from_millis(7)] {
        assert_eq!(read_packet(&mut theirs).await.0, PacketKind::Heartbeat as u8);
        tokio::time::sleep(took).await;
        theirs.write_all(&HEARTBEAT_PACKET).await.unwrap();
        // By the next heartbeat, the answer to this one was seen.
        assert_eq!(read_packet(&mut theirs).await.0, PacketKind::Heartbeat as u8);
        assert_eq!(client.round_trip(), Some(took));
        theirs.write_all(&HEARTBEAT_PACKET).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn answering_server_is_kept_for_ever_and_measured() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (seen, _keep) = mpsc::unbounded_channel();
    tokio::spawn(serve(theirs, Behaviour { heartbeat: Some(2), ..Behaviour::TCP }, seen));
    let client = Client::builder("tcp://pipe:1").connect_over(ours).await.unwrap();
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, client.closed()).await.is_err());
    assert_eq!(client.round_trip(), Some(Duration::ZERO), "a pipe under a paused clock takes no time");
    client.request_raw("Echo.echo", "").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn server_without_heartbeats_is_never_taken_for_dead() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (seen, _keep) = mpsc::unbounded_channel();
    tokio::spawn(serve(theirs, Behaviour { heartbeat: None, ..Behaviour::TCP }, seen));
    let client = Client::builder("tcp://pipe:1").connect_over(ours).await.unwrap();
    let day = Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, client.closed()).await.is_err());
}

#[tokio::test]
async fn pings_of_the_server_are_answered() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (seen, mut told) = mpsc::unbounded_channel();
    tokio::spawn(serve(theirs, Behaviour::WEBSOCKET, seen));
    let client = Client::builder("ws://pipe/").connect_over(ours).await.unwrap();
    client.request_raw("Ping.me", "tick").await.unwrap();
    loop {
        let seen = told.recv().await.unwrap();
        if let Seen::Notified { route, payload } = seen {
            assert_eq!((route.as_str(), payload.as_str()), ("pong", "tick"));
            return;
        }
    }
}

#[tokio::test]
async fn bytes_that_come_one_by_one_are_understood() {
    for (behaviour, url) in [(Behaviour::WEBSOCKET, "ws://pipe/"), (Behaviour::TCP, "tcp://pipe:1")] {
        // A pipe of one byte cuts everything, both ways.
        let (ours, theirs) = tokio::io::duplex(1);
        let (seen, _keep) = mpsc::unbounded_channel();
        tokio::spawn(serve(theirs, behaviour, seen));
        let client = Client::builder(url).connect_over(ours).await.unwrap();
        let payload = vec![7; 3000];
        assert_eq!(client.request_raw("Echo.echo", payload.clone()).await.unwrap(), payload);
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn server_that_reads_nothing_holds_up_callers_no_longer_than_their_time_and_a_close_no_longer_than_a_second()
 {
    let (client, _theirs) = shaken(1000).await;
    let large = vec![1_u8; 1 << 20];
    let before = Instant::now();
    let timeout = Duration::from_secs(5);
    for _ in 0..3 {
        client.request_raw_timeout("Echo.silent", large.clone(), timeout).await.unwrap_err();
    }
    assert_eq!(before.elapsed(), 3 * timeout);
    let before = Instant::now();
    client.close().await;
    assert_eq!(before.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn server_that_reads_nothing_is_sent_no_more_than_the_bound_and_callers_hear_of_it() {
    let builder = Client::builder("tcp://pipe:1").command_queue(1);
    let (client, _theirs) = shaken_with(builder, 1000).await;
    let mut taken = 0;
    let error = loop {
        match client.notify_raw("Log.line", vec![0_u8; 100_000]).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 10, "one is written, one waits in the queue");
    };
    assert!(matches!(error, NotifyError::TimedOut { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_go_on_as_soon_as_the_server_reads() {
    let (client, mut theirs) = shaken(1000).await;
    let before = Instant::now();
    let telling = tokio::spawn(async move {
        for _ in 0..5 {
            client.notify_raw("Log.line", vec![0_u8; 200_000]).await.unwrap();
        }
        client
    });
    for _ in 0..5 {
        assert_eq!(read_packet(&mut theirs).await.0, PacketKind::Data as u8);
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    telling.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn server_that_never_answers_the_close_is_left_after_a_second() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let connecting = tokio::spawn(Client::builder("ws://pipe/").connect_over(ours));
    let mut bytes = vec![0; 4096];
    let len = theirs.read(&mut bytes).await.unwrap();
    let (head, _) = dunlin_wire::ws::parse_request(&bytes[..len]).unwrap().unwrap();
    let mut out = Vec::new();
    dunlin_wire::ws::encode_accept(head.websocket_key.unwrap(), &mut out);
    let mut packet = Vec::new();
    encode_packet(PacketKind::Handshake, br#"{"code":200}"#, &mut packet).unwrap();
    dunlin_wire::ws::encode_binary(&mut out, &packet, None);
    theirs.write_all(&out).await.unwrap();
    let client = connecting.await.unwrap().unwrap();
    let before = Instant::now();
    client.close().await;
    assert_eq!(before.elapsed(), Duration::from_secs(1));
}

//! Memory: what comes and goes leaves nothing, and a client that does not read costs no more than its bound. In a binary of
//! its own, because other tests would blur the figures.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that meets what it rules out fails")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dunlin::{App, Node, PushError, Raw, SendQueue, Session, WhenFull};
use tokio::sync::mpsc;

/// One at a time: all of them measure the same process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of memory this process really uses.
fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

fn mib(bytes: i64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

async fn serve(app: App) -> (Node, SocketAddr) {
    let app = app.configure(|gate| {
        gate.trust_clients();
        gate.shards = 2;
        gate.linger = Duration::from_millis(50);
    });
    let node = app.listen("127.0.0.1:0").start().await.unwrap();
    let addr = node.addrs()[0];
    (node, addr)
}

/// Comes, shakes hands, sends 16 KiB and goes.
fn come_and_go(addr: SocketAddr) {
    const PAYLOAD_LEN: usize = 16 * 1024;
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"\x01\x00\x00\x02{}").unwrap();
    let mut buffer = vec![0; 32 * 1024];
    assert!(stream.read(&mut buffer).unwrap() > 0);
    let mut message = b"\x00\x01\x09Echo.ping".to_vec();
    message.resize(message.len() + PAYLOAD_LEN, b'x');
    let mut packets = dunlin_wire::ACK_PACKET.to_vec();
    dunlin_wire::encode_packet(dunlin_wire::PacketKind::Data, &message, &mut packets).unwrap();
    stream.write_all(&packets).unwrap();
    // The first heartbeat, then the answer: its header, flag and id before the payload.
    let answers_len = dunlin_wire::HEARTBEAT_PACKET.len() + dunlin_wire::PACKET_HEADER_LEN + 2 + PAYLOAD_LEN;
    stream.read_exact(&mut buffer[..answers_len]).unwrap();
}

#[expect(
    clippy::await_holding_lock,
    reason = "the lock keeps the other tests of this binary waiting, which is its use"
)]
#[tokio::test]
async fn ten_thousand_connections_that_come_and_go_leave_memory_as_it_was() {
    let _alone = alone();
    let (node, addr) =
        serve(App::new().route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })).await;
    let mut after = Vec::new();
    for _ in 0..10 {
        let round = tokio::task::spawn_blocking(move || (0..1000).for_each(|_| come_and_go(addr)));
        round.await.unwrap();
        while node.stats().connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        after.push(resident());
    }
    let grown = after.last().unwrap() - after[1];
    println!(
        "resident after each 1,000 connections: {:.1?} MiB",
        after.iter().copied().map(mib).collect::<Vec<_>>()
    );
    assert_eq!((node.stats().sessions_opened, node.stats().sessions()), (10_000, 0));
    assert!(grown < 2 << 20, "grew by {:.1} MiB over 8,000 connections", mib(grown));
    node.stop().await;
}

#[expect(
    clippy::await_holding_lock,
    reason = "the lock keeps the other tests of this binary waiting, which is its use"
)]
#[tokio::test]
async fn a_client_that_never_reads_costs_no_more_than_its_bound() {
    let _alone = alone();
    let (sessions, mut opened) = mpsc::unbounded_channel::<Session>();
    let app = App::new().on_opened(move |session| drop(sessions.send(session.clone()))).configure(|gate| {
        gate.send_queue = SendQueue { when_full: WhenFull::DropOldest, ..SendQueue::default() };
    });
    let (node, addr) = serve(app).await;
    let client = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(b"\x01\x00\x00\x02{}").unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(&dunlin_wire::ACK_PACKET).unwrap();
        stream
    });
    let client = client.await.unwrap();
    let session = opened.recv().await.unwrap();
    let before = resident();
    let mut taken = 0;
    for _ in 0..10_000 {
        match session.push_raw("onBlob", vec![1; 10_000]) {
            Ok(_) => taken += 1,
            Err(PushError::QueueFull { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    let grown = resident() - before;
    println!("100 MB pushed to a client that reads nothing ({taken} taken): {:.1} MiB more", mib(grown));
    // Queue and unsent output, each about a mebibyte at most, and what the allocator keeps.
    assert!(grown < 8 << 20, "{:.1} MiB for one client", mib(grown));
    assert!(node.stats().pushes_dropped > 8000);
    drop(client);
    node.stop().await;
}

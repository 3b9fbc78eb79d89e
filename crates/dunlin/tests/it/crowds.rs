//! Many clients at once over real sockets: timers of a shard stay on time, and a stalled reader harms nobody.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dunlin::{App, CloseReason, Groups, PushError, Raw, Result, SendQueue, Session, WhenFull, service};
use dunlin_wire::{ACK_PACKET, PacketKind};
use tokio::sync::mpsc;

use crate::support::{PATIENCE, Wire, echo, eventually, serve};

/// The lateness of a 5 ms timer on a shard, measured by a task that a handler spawned there.
#[derive(Clone, Default)]
struct Lateness(Arc<Mutex<Vec<Duration>>>);

impl Lateness {
    async fn measure(self) {
        const PERIOD: Duration = Duration::from_millis(5);
        loop {
            let start = Instant::now();
            tokio::time::sleep(PERIOD).await;
            self.0.lock().unwrap().push(start.elapsed().saturating_sub(PERIOD));
        }
    }

    /// Median, 99th percentile and maximum so far.
    fn take(&self) -> [Duration; 3] {
        let mut samples = std::mem::take(&mut *self.0.lock().unwrap());
        samples.sort();
        [50, 99, 100].map(|percent| samples[(samples.len() * percent / 100).min(samples.len() - 1)])
    }
}

/// A blocking client that came through its handshake.
fn blocking_client(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"\x01\x00\x00\x02{}").unwrap();
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    let len = u16::from_be_bytes([header[2], header[3]]);
    // The handshake's answer and, after the acknowledgement, the first heartbeat.
    stream.write_all(&ACK_PACKET).unwrap();
    stream.read_exact(&mut vec![0; usize::from(len) + 4]).unwrap();
    stream
}

fn packet(message: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    dunlin_wire::encode_packet(PacketKind::Data, message, &mut packet).unwrap();
    packet
}

/// Each client sends `depth` requests and reads their answers, over and over.
fn flood(addr: SocketAddr, clients: usize, depth: usize, is_over: &AtomicBool) -> usize {
    let batch = packet(b"\x00\x01\x09Echo.ping0123456789abcdef0123456789abcdef").repeat(depth);
    let mut answers = vec![0; packet(b"\x04\x010123456789abcdef0123456789abcdef").len() * depth];
    let mut streams: Vec<_> = (0..clients).map(|_| blocking_client(addr)).collect();
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            stream.write_all(&batch).unwrap();
        }
        for stream in &mut streams {
            stream.read_exact(&mut answers).unwrap();
            count += depth;
        }
    }
    count
}

/// Clients that send the smallest notifies as fast as they are taken.
fn drench(addr: SocketAddr, clients: usize, is_over: &AtomicBool) -> usize {
    let batch = packet(b"\x03\x00\x01").repeat(8000);
    let mut streams: Vec<_> = (0..clients).map(|_| blocking_client(addr)).collect();
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            stream.write_all(&batch).unwrap();
            count += 8000;
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_of_a_shard_are_on_time_under_a_flood_of_a_thousand_connections() {
    let lateness = Lateness::default();
    let probe = lateness.clone();
    let app = echo()
        .route("Probe.start", move || {
            // A handler runs on its shard's runtime, and so does what it spawns.
            drop(tokio::spawn(probe.clone().measure()));
            async { Ok(()) }
        })
        .notify_route("Drop.it", |Raw(_): Raw| async {})
        .dictionary([("Drop.it", 1_u16)])
        .configure(|gate| {
            gate.shards = 1;
            // The flood is the test's own.
            gate.trust_clients();
        });
    let node = app.listen("127.0.0.1:0").start().await.unwrap();
    let addr = node.addrs()[0];
    let mut wire = Wire::tcp(addr).await;
    wire.shake_hands("{}").await;
    wire.request(1, "Probe.start", b"{}").await;
    type Load = fn(SocketAddr, &AtomicBool) -> usize;
    let loads: [(&str, Load); 4] = [
        ("quiet", |_, _| 0),
        ("1,000 x 1", |addr, is_over| flood(addr, 1000, 1, is_over)),
        ("1,000 x 16", |addr, is_over| flood(addr, 1000, 16, is_over)),
        ("200 x 8,000 notifies", |addr, is_over| drench(addr, 200, is_over)),
    ];
    for (name, load) in loads {
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = is_over.clone();
        let running = tokio::task::spawn_blocking(move || load(addr, &stop));
        tokio::time::sleep(Duration::from_millis(700)).await;
        lateness.take();
        tokio::time::sleep(Duration::from_millis(1300)).await;
        let [p50, p99, max] = lateness.take();
        is_over.store(true, Ordering::Relaxed);
        let messages = running.await.unwrap();
        println!("timer lateness, {name}: p50 {p50:?}, p99 {p99:?}, max {max:?}; {messages} messages");
        // Generous, because tests run on busy machines and unoptimised; the figure is what matters.
        assert!(p99 < Duration::from_millis(500), "{name}: {p99:?}");
    }
    node.abort();
}

struct Room;

#[service]
impl Room {
    #[request]
    async fn join(&self, session: Session, groups: Groups) -> Result<()> {
        groups.group("room").add(&session)?;
        Ok(())
    }
}

#[tokio::test]
async fn a_broadcast_to_a_thousand_reaches_all_but_the_one_that_does_not_read() {
    let (app, mut sessions) = observed(
        App::new().service(Room),
        SendQueue { when_full: WhenFull::DropNewest, ..SendQueue::default() },
    );
    let (node, addr) = serve(app).await;
    let mut stalled = Wire::tcp(addr).await;
    stalled.shake_hands("{}").await;
    stalled.request(1, "Room.join", b"{}").await;
    let session = sessions.recv().await.unwrap();
    let mut members = Vec::new();
    for at in 0..999 {
        let mut wire = if at % 2 == 0 { Wire::tcp(addr).await } else { Wire::ws(addr).await };
        wire.shake_hands("{}").await;
        wire.request(1, "Room.join", b"{}").await;
        members.push(wire);
    }
    fill(&session).await;
    let room = node.groups().group("room");
    for round in 0..5_u8 {
        let delivery = room.broadcast_raw("onRound", vec![round; 100]).unwrap();
        assert_eq!((delivery.queued, delivery.refused), (999, 1));
    }
    for member in &mut members {
        for round in 0..5 {
            let (kind, body) = member.recv().await.unwrap();
            assert_eq!((kind, body.last()), (PacketKind::Data, Some(&round)));
        }
    }
    assert!(!session.is_closed(), "it stays, under this policy");
    node.stop().await;
}

/// An application that hands its sessions to the test.
fn observed(app: App, queue: SendQueue) -> (App, mpsc::UnboundedReceiver<Session>) {
    let (sessions, observed) = mpsc::unbounded_channel();
    let app = app
        .on_opened(move |session| drop(sessions.send(session.clone())))
        .configure(|gate| gate.send_queue = queue);
    (app, observed)
}

/// Pushes to a client that does not read until neither its kernel nor its queue takes even the smallest.
async fn fill(session: &Session) {
    for len in [50_000, 1000, 1] {
        let mut refusals = 0;
        while refusals < 20 {
            match session.push_raw("onBlob", vec![0; len]) {
                Ok(_) => refusals = 0,
                Err(PushError::QueueFull { disconnecting: false }) => {
                    refusals += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_never_reads_its_socket_is_closed_at_the_bound() {
    let queue = SendQueue { bytes_max: 300_000, ..SendQueue::default() };
    let (app, mut sessions) = observed(echo(), queue);
    let (node, addr) = serve(app).await;
    let mut wire = Wire::ws(addr).await;
    wire.shake_hands("{}").await;
    let session = sessions.recv().await.unwrap();
    let (closed, mut is_closed) = mpsc::unbounded_channel();
    session.on_close(move |_, reason| drop(closed.send(reason.clone()))).unwrap();
    let mut queued = 0;
    while session.push_raw("onBlob", vec![0; 10_000]).is_ok() {
        queued += 10_000;
        // As fast as the shard can take it, no faster.
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    // The kernel's buffers hold a few megabytes.
    assert!(queued < 20_000_000, "{queued} bytes were queued for a client that reads nothing");
    let reason = tokio::time::timeout(Duration::from_secs(5), is_closed.recv()).await;
    assert_eq!(reason.unwrap(), Some(CloseReason::TooSlow), "at once, not after the write timeout");
    eventually("it is gone", || node.stats().connections() == 0).await;
    assert_eq!(node.stats().slow_clients, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed_by_the_write_timeout() {
    let queue = SendQueue { bytes_max: 64 << 20, packets_max: 100_000, when_full: WhenFull::Disconnect };
    let (app, mut sessions) = observed(echo(), queue);
    let app = app.configure(|gate| gate.write_timeout = Duration::from_millis(300));
    let (node, addr) = serve(app).await;
    let mut wire = Wire::tcp(addr).await;
    wire.shake_hands("{}").await;
    let session = sessions.recv().await.unwrap();
    for _ in 0..500 {
        session.push_raw("onBlob", vec![0; 50_000]).unwrap();
    }
    eventually("it is given up", || node.stats().slow_clients == 1 && node.stats().connections() == 0).await;
    node.stop().await;
}

#[tokio::test]
async fn a_kick_over_websocket_is_told_as_a_packet_and_as_a_close_code() {
    let app = App::new().route("Bye.now", |session: Session| async move {
        session.kick("enough")?;
        Ok(())
    });
    let (node, addr) = serve(app).await;
    let mut wire = Wire::ws(addr).await;
    wire.shake_hands("{}").await;
    wire.request(1, "Bye.now", b"{}").await;
    assert_eq!(wire.expect_closed().await, [PacketKind::Kick]);
    assert_eq!(wire.close_code, Some(1008));
    node.stop().await;
}

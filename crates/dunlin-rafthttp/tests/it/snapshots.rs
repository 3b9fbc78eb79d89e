//! Snapshots with their databases, from member to member over sockets.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dunlin_rafthttp::raftpb::{Message, MessageType, Snapshot as RaftSnapshot};
use dunlin_rafthttp::{MemberId, Snapshot, SnapshotStatus, snapshot_file_name};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use crate::members::{Member, Told, message, metadata, until};
use crate::wire::Wire;

fn snapshot(database: impl AsyncRead + Send + 'static, database_len: u64) -> Snapshot {
    let metadata = metadata(7);
    let message = Message {
        snapshot: RaftSnapshot { metadata, ..RaftSnapshot::default() },
        ..message(MessageType::Snap)
    };
    Snapshot { message, database: Box::pin(database), database_len }
}

/// A sender, and a receiver with a folder of its own.
async fn members() -> (Member, Member, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let sender = Member::start(1).await;
    let receiver = Member::start_with(2, |builder| builder.snapshot_dir(dir.path())).await;
    sender.transport.add_peer(MemberId(2), [receiver.url.as_str()]).unwrap();
    (sender, receiver, dir)
}

fn files(dir: &tempfile::TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn next_status(member: &mut Member) -> SnapshotStatus {
    loop {
        if let Some(Told::Snapshot(_, status)) = member.told.recv().await {
            return status;
        }
    }
}

#[tokio::test]
async fn a_database_is_whole_in_its_file_before_raft_hears_of_it() {
    let (mut sender, mut receiver, dir) = members().await;
    let database: Vec<u8> = (0..300_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    let sent = snapshot(std::io::Cursor::new(database.clone()), database.len() as u64);
    let expected = sent.message.clone();
    let sending = sender.transport.clone();
    let arrived = tokio::spawn(async move { sending.send_snapshot(sent).await });
    assert_eq!(receiver.next_message().await, expected);
    assert_eq!(std::fs::read(dir.path().join(snapshot_file_name(7))).unwrap(), database);
    assert!(arrived.await.unwrap());
    assert_eq!(next_status(&mut sender).await, SnapshotStatus::Finished);
}

/// Fails after its first bytes.
struct Broken(bool);

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(Err(std::io::Error::other("disk")));
        }
        buf.put_slice(b"begin");
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_database_of_another_length_or_with_an_error_leaves_no_file_and_is_reported() {
    let (mut sender, mut receiver, dir) = members().await;
    let rows = [snapshot(&b"hello"[..], 10_000), snapshot(&b"hello"[..], 1), snapshot(Broken(false), 10_000)];
    for sent in rows {
        assert!(!sender.transport.send_snapshot(sent).await);
        assert_eq!(next_status(&mut sender).await, SnapshotStatus::Failed);
    }
    // The receiver notices the end of a transfer a moment later.
    until(|| files(&dir).is_empty()).await;
    assert!(receiver.told.try_recv().is_err(), "raft heard of a snapshot that did not arrive");
}

#[tokio::test]
async fn a_snapshot_that_no_node_would_send_is_refused_before_its_database() {
    let (sender, mut receiver, dir) = members().await;
    let mut sent = snapshot(zeroes(1 << 40), 1 << 40);
    sent.message.snapshot.metadata.term = 0;
    assert!(!sender.transport.send_snapshot(sent).await);
    assert_eq!(files(&dir), Vec::<String>::new());
    assert!(receiver.told.try_recv().is_err());
}

#[tokio::test]
async fn a_node_without_a_folder_refuses_databases() {
    let (sender, receiver) = (Member::start(1).await, Member::start(2).await);
    sender.transport.add_peer(MemberId(2), [receiver.url.as_str()]).unwrap();
    assert!(!sender.transport.send_snapshot(snapshot(&b"hello"[..], 5)).await);
}

/// So many bytes, none of which are kept.
fn zeroes(len: u64) -> impl AsyncRead + Send {
    tokio::io::repeat(0).take(len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_go_by_while_heartbeats_flow() {
    let (sender, mut receiver, dir) = members().await;
    receiver.transport.add_peer(MemberId(1), [sender.url.as_str()]).unwrap();
    until(|| sender.transport.active_peers() == 1).await;
    let len = 100 << 20;
    let sending = sender.transport.clone();
    let arrived = tokio::spawn(async move { sending.send_snapshot(snapshot(zeroes(len), len)).await });
    let mut heartbeats = 0;
    while !arrived.is_finished() {
        sender.transport.send([message(MessageType::Heartbeat)]);
        let told = tokio::time::timeout(Duration::from_secs(1), receiver.told.recv()).await;
        let Ok(Some(Told::Message(message))) = told else { panic!("a heartbeat took over a second") };
        heartbeats += usize::from(message.is(MessageType::Heartbeat));
    }
    assert!(arrived.await.unwrap());
    assert!(heartbeats > 10, "{heartbeats} heartbeats beside the snapshot");
    assert_eq!(std::fs::metadata(dir.path().join(snapshot_file_name(7))).unwrap().len(), len);
}

#[tokio::test]
async fn a_throttled_snapshot_is_not_given_up_and_messages_to_all_peers_flow_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let (rate, socket_timeout) = (NonZeroU64::new(256 * 1024), Duration::from_millis(500));
    let sender = Member::start_with(1, |builder| {
        builder.snapshot_bytes_per_sec_max(rate).socket_timeout(socket_timeout)
    })
    .await;
    let receiver =
        Member::start_with(2, |builder| builder.snapshot_dir(dir.path()).socket_timeout(socket_timeout))
            .await;
    let other = Member::start(3).await;
    let mut others = [receiver, other];
    for (id, member) in (2..).zip(&others) {
        sender.transport.add_peer(MemberId(id), [member.url.as_str()]).unwrap();
        member.transport.add_peer(MemberId(1), [sender.url.as_str()]).unwrap();
    }
    until(|| sender.transport.active_peers() == 2).await;
    let (len, begin) = (256 * 1024, std::time::Instant::now());
    let sending = sender.transport.clone();
    let arrived = tokio::spawn(async move { sending.send_snapshot(snapshot(zeroes(len), len)).await });
    let mut rounds = 0;
    while !arrived.is_finished() {
        for (to, member) in (2..).zip(&mut others) {
            sender.transport.send([Message { to, ..message(MessageType::Heartbeat) }]);
            member.next_message().await;
        }
        rounds += 1;
    }
    assert!(arrived.await.unwrap());
    assert!(begin.elapsed() >= Duration::from_secs(1) - Duration::from_secs(1) / 16);
    assert!(rounds > 50, "{rounds} heartbeats to each beside the snapshot");
}

#[tokio::test]
async fn a_sender_that_dies_in_the_middle_leaves_no_file() {
    let (sender, mut receiver, dir) = members().await;
    let wire = Wire::to(&receiver.url).await;
    sender.transport.update_peer(MemberId(2), [wire.url.as_str()]).unwrap();
    let sending = sender.transport.clone();
    let len = 1 << 40;
    let arrived = tokio::spawn(async move { sending.send_snapshot(snapshot(zeroes(len), len)).await });
    until(|| !files(&dir).is_empty()).await;
    wire.cut();
    assert!(!arrived.await.unwrap());
    until(|| files(&dir).is_empty()).await;
    assert!(receiver.told.try_recv().is_err());
}

//! What a large snapshot costs in memory. In a process of its own, with one test: the kernel counts for the whole process.
#![cfg(test)]
#![cfg(target_os = "linux")]

use dunlin_rafthttp::raftpb::{ConfState, Message, MessageType, Snapshot as RaftSnapshot, SnapshotMetadata};
use dunlin_rafthttp::{
    ClusterId, MemberId, ProcessError, Raft, Snapshot, SnapshotStatus, Transport, snapshot_file_name,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

const DATABASE_LEN: u64 = 100 << 20;

/// For both ends together, which are one process here.
const PEAK_MAX: u64 = 32 << 20;

/// A Raft that takes everything.
struct Taker;

impl Raft for Taker {
    async fn process(&self, _message: Message) -> Result<(), ProcessError> {
        Ok(())
    }

    fn is_id_removed(&self, _id: MemberId) -> bool {
        false
    }

    fn report_unreachable(&self, _id: MemberId) {}

    fn report_snapshot(&self, _id: MemberId, _status: SnapshotStatus) {}
}

/// A line of this process's status, in bytes.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_hundred_megabytes_go_by_in_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let builder = |id| Transport::builder(MemberId(id), ClusterId(1)).plain_text();
    let receiver = builder(2).snapshot_dir(dir.path()).start(Taker).unwrap();
    tokio::spawn(async move { receiver.serve(listener, std::future::pending()).await });
    let sender = builder(1).start(Taker).unwrap();
    sender.add_peer(MemberId(2), [url.as_str()]).unwrap();

    let conf_state = ConfState { voters: vec![1, 2], ..ConfState::default() };
    let metadata = SnapshotMetadata { index: 7, term: 1, conf_state };
    let snapshot = RaftSnapshot { metadata, ..RaftSnapshot::default() };
    let msg_type = MessageType::Snap.into();
    let message = Message { msg_type, from: 1, to: 2, term: 1, snapshot, ..Message::default() };
    let database = Box::pin(tokio::io::repeat(0).take(DATABASE_LEN));
    let before = status("VmRSS:");
    assert!(sender.send_snapshot(Snapshot { message, database, database_len: DATABASE_LEN }).await);
    let file = std::fs::metadata(dir.path().join(snapshot_file_name(7))).unwrap();
    assert_eq!(file.len(), DATABASE_LEN);
    let grown = status("VmHWM:").saturating_sub(before);
    assert!(grown <= PEAK_MAX, "{grown} bytes at the peak");
}

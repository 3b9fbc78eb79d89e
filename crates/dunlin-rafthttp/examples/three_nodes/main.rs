//! Three members of a Raft group on the loopback, with the crate `raft` as their core and nothing on disk: they elect a leader,
//! one of them is told something, and all three learn it.
//!
//! Run: `cargo run -p dunlin-rafthttp --example three_nodes`. What a real node does besides (a log on disk, snapshots, members that
//! come and go) is left out; the order of the steps in `Member::step` is what matters. Read next: `core.rs`, the two conversions.

mod core;

use std::io::Write as _;
use std::time::Duration;

use dunlin_rafthttp::raftpb::Message;
use dunlin_rafthttp::{ClusterId, MemberId, ProcessError, Raft, SnapshotStatus, Transport};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::core::Core;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What the transport brings, on its way to the loop.
struct Inbox(mpsc::Sender<Message>);

impl Raft for Inbox {
    async fn process(&self, message: Message) -> Result<(), ProcessError> {
        self.0.try_send(message).map_err(|_| ProcessError::Overloaded)
    }

    fn is_id_removed(&self, _id: MemberId) -> bool {
        false
    }

    // A core with several hundred entries on their way to a peer wants to hear these.
    fn report_unreachable(&self, _id: MemberId) {}

    fn report_snapshot(&self, _id: MemberId, _status: SnapshotStatus) {}
}

/// Runs one member until it has learnt three things, or for ever if one of them is never said.
async fn member(id: u64, listener: TcpListener, urls: [String; 3]) -> Result<(), Error> {
    let (sender, mut inbox) = mpsc::channel(1024);
    let transport = Transport::builder(MemberId(id), ClusterId(0x1000)).plain_text().start(Inbox(sender))?;
    for (peer, url) in (1..).zip(&urls).filter(|(peer, _)| *peer != id) {
        transport.add_peer(MemberId(peer), [url.as_str()])?;
    }
    let serving = transport.clone();
    tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });

    let (mut core, mut learnt) = (Core::new(id)?, 0);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    while learnt < 3 {
        tokio::select! {
            _ = ticks.tick() => core.tick(),
            Some(message) = inbox.recv() => core.step(&message)?,
        }
        // A new leader says its name, and again until it is heard.
        if core.leads_since_a_moment() {
            core.propose(format!("{id} leads"));
        }
        // What is sent after `ready` may be sent at once: nothing here has to be written first.
        let ready = core.ready()?;
        transport.set_progress(ready.term, ready.last_index);
        transport.send(ready.messages);
        for said in ready.committed {
            writeln!(std::io::stdout(), "member {id} learns: {said}")?;
            learnt += 1;
        }
    }
    // The others still need our votes and answers.
    tokio::time::sleep(Duration::from_secs(1)).await;
    transport.stop().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await?);
    }
    let urls = [0, 1, 2].map(|n| listeners[n].local_addr().map(|addr| format!("http://{addr}")));
    let [one, two, three] = urls;
    let urls = [one?, two?, three?];
    let members = (1..).zip(listeners).map(|(id, listener)| tokio::spawn(member(id, listener, urls.clone())));
    for member in members.collect::<Vec<_>>() {
        member.await??;
    }
    Ok(())
}

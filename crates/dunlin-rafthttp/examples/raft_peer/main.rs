//! One member of a cluster for `cargo xtask interop raft`: a transport of ours with a Raft that only writes down what it is told.
//!
//! It is controlled by one JSON object a line on its standard input and says one JSON object a line on its standard
//! output, the same lines as the member of etcd's that it is set against; `interop/README.md` describes them. It ends with its
//! standard input, so that it never outlives the run that started it.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dunlin_rafthttp::raftpb::Message;
use dunlin_rafthttp::{
    ClusterId, MemberId, ProbeHealth, ProbeLook, ProcessError, Raft, Snapshot, SnapshotStatus, Transport,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

mod messages;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Commands that may wait; who controls us waits for each.
const COMMANDS_MAX: usize = 16;

/// How far apart clocks of one machine may be; from there on etcd warns.
const DRIFT_MAX: Duration = Duration::from_secs(1);

fn tell(event: &Value) {
    let mut out = io::stdout().lock();
    // Nobody listens any more when this fails, and then standard input ends too.
    writeln!(out, "{event}").and_then(|()| out.flush()).ok();
}

/// A Raft that takes everything and tells it.
#[derive(Debug, Clone, Default)]
struct Recorder {
    removed: Arc<Mutex<BTreeSet<u64>>>,
}

impl Raft for Recorder {
    async fn process(&self, message: Message) -> Result<(), ProcessError> {
        tell(&json!({"event": "message", "message": messages::to_json(&message)}));
        Ok(())
    }

    fn is_id_removed(&self, id: MemberId) -> bool {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner).contains(&id.0)
    }

    fn report_unreachable(&self, id: MemberId) {
        tell(&json!({"event": "unreachable", "id": id.0}));
    }

    fn report_snapshot(&self, id: MemberId, status: SnapshotStatus) {
        tell(&json!({"event": "snapshot", "id": id.0, "finished": status == SnapshotStatus::Finished}));
    }
}

struct Member {
    transport: Transport,
    raft: Recorder,
}

fn text<'a>(command: &'a Value, field: &str) -> Result<&'a str, Fault> {
    command[field].as_str().ok_or_else(|| format!("a text `{field}` is missing").into())
}

fn number(command: &Value, field: &str) -> Result<u64, Fault> {
    command[field].as_u64().ok_or_else(|| format!("a number `{field}` is missing").into())
}

fn sent(command: &Value) -> Result<Vec<Message>, Fault> {
    let messages = command["messages"].as_array().ok_or("`messages` are missing")?;
    messages.iter().map(messages::from_json).collect()
}

/// What our prober thinks of a peer: it is well when it answers and its clock is ours.
fn probed(look: Option<&ProbeLook>) -> Value {
    let is_well = look.is_some_and(|look| {
        look.health == ProbeHealth::Healthy && look.drift.is_some_and(|drift| drift < DRIFT_MAX)
    });
    json!({"event": "probed", "well": is_well, "why": format!("{look:?}")})
}

impl Member {
    async fn start(command: &Value) -> Result<Self, Fault> {
        let listener = TcpListener::bind(text(command, "addr")?).await?;
        let addr = listener.local_addr()?;
        let (id, cluster) = (MemberId(number(command, "id")?), ClusterId(number(command, "cluster")?));
        let mut builder = Transport::builder(id, cluster).plain_text();
        builder = builder.urls([text(command, "url")?])?.snapshot_dir(text(command, "dir")?);
        if let Ok(version) = text(command, "version") {
            builder = builder.server_version(version.parse()?);
        }
        let raft = Recorder::default();
        let transport = builder.start(raft.clone())?;
        transport.set_progress(number(command, "term")?, number(command, "last_index")?);
        let serving = transport.clone();
        tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
        let mut critical = transport.critical();
        tokio::spawn(async move {
            if let Ok(critical) = critical.wait_for(Option::is_some).await
                && let Some(critical) = *critical
            {
                tell(&json!({"event": "critical", "why": critical.to_string()}));
            }
        });
        tell(&json!({"event": "started", "addr": addr.to_string(), "version": env!("CARGO_PKG_VERSION")}));
        Ok(Self { transport, raft })
    }

    async fn handle(&self, command: &Value) -> Result<(), Fault> {
        match text(command, "do")? {
            "peer" => {
                self.transport.add_peer(MemberId(number(command, "id")?), [text(command, "url")?])?;
            }
            "remove" => self.transport.remove_peer(MemberId(number(command, "id")?)),
            "removed" => {
                let mut removed = self.raft.removed.lock().unwrap_or_else(PoisonError::into_inner);
                removed.insert(number(command, "id")?);
            }
            "send" => self.transport.send(sent(command)?),
            "snapshot" => self.send_snapshot(command).await?,
            "probed" => {
                let look = self.transport.probed(MemberId(number(command, "id")?));
                tell(&probed(look.as_ref()));
            }
            "stop" => self.transport.stop().await,
            other => return Err(format!("cannot `{other}`").into()),
        }
        Ok(())
    }

    /// Sends the message with the database behind it, and tells later what became of it.
    async fn send_snapshot(&self, command: &Value) -> Result<(), Fault> {
        let message = sent(command)?.pop().ok_or("a snapshot is one message")?;
        let database = tokio::fs::File::open(text(command, "database")?).await?;
        let announced = command["database_len"].as_u64();
        let database_len = announced.unwrap_or(database.metadata().await?.len());
        let snapshot = Snapshot { message, database: Box::pin(database), database_len };
        let sending = self.transport.clone();
        tokio::spawn(async move {
            let arrived = sending.send_snapshot(snapshot).await;
            tell(&json!({"event": "database", "arrived": arrived}));
        });
        Ok(())
    }
}

async fn obey(mut commands: mpsc::Receiver<String>) {
    let mut member = None;
    while let Some(line) = commands.recv().await {
        let done = async {
            let command: Value = serde_json::from_str(&line)?;
            if command["do"] == "start" {
                member = Some(Member::start(&command).await?);
                return Ok(());
            }
            member.as_ref().ok_or("it was not started")?.handle(&command).await
        };
        let done: Result<(), Fault> = done.await;
        match done {
            Ok(()) => tell(&json!({"event": "done"})),
            Err(fault) => tell(&json!({"event": "failed", "why": fault.to_string()})),
        }
    }
}

fn main() -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (lines, commands) = mpsc::channel(COMMANDS_MAX);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    runtime.block_on(obey(commands));
    Ok(())
}

//! A node of dunlin without clients of its own, as `cargo xtask interop nano` sets it beside Go nodes: it does what lines say, and says what happens.
//!
//! `nano_peer --listen ADDR --dir DIR [--name NAME] [--service NAME] [--nano-master ADDR] [--heartbeat-ms MS]`. It ends with its input. Lines are JSON
//! objects, and in `interop/README.md`.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use dunlin_cluster::frame::{Answer, Call, Close, Ended, Frame, Outcome, Push, Refusal, Reply, Said};
use dunlin_cluster::{Accepted, Cluster, ClusterConfig, Host, LinkHandler, Offer, Peer, VoterConfig};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Lines that may wait until they are looked at.
const LINES_MAX: usize = 4_096;

struct Telling;

/// The link of a gate whose sessions call here.
struct Service(Arc<Accepted>);

fn main() -> Result<(), Box<dyn Error>> {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let mut args: HashMap<String, String> = HashMap::new();
    let mut given = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (given.next(), given.next()) {
        args.insert(name, value);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(&args))
}

async fn run(args: &HashMap<String, String>) -> Result<(), Box<dyn Error>> {
    let listen = args.get("--listen").ok_or("--listen is missing")?;
    let dir = args.get("--dir").ok_or("--dir is missing")?;
    let url = format!("http://{listen}");
    let name = args.get("--name").map_or("dunlin", |name| name);
    let mut config = ClusterConfig::new(name, listen).voters([(1, &*url)]).voter(VoterConfig::new(1, dir));
    config.nano_master = args.get("--nano-master").cloned();
    if let Some(ms) = args.get("--heartbeat-ms") {
        config.nano_heartbeat = Duration::from_millis(ms.parse()?);
    }
    let services = args.get("--service").cloned().into_iter().collect();
    let cluster =
        Cluster::start(&config, Offer { services, is_gate: true, ..Offer::default() }, Arc::new(Telling))
            .await?;
    tell(&json!({ "event": "ready" }));
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        if line["do"] == "stop" {
            cluster.stop().await;
            tell(&json!({ "event": "stopped" }));
            return Ok(());
        }
        obey(&cluster, &line);
    }
    Ok(())
}

/// What is said on the input, until it ends.
fn lines() -> mpsc::Receiver<Value> {
    let (tell, told) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or_default();
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    told
}

fn tell(event: &Value) {
    // Without a reader there is nobody to do anything for.
    writeln!(std::io::stdout().lock(), "{event}").ok();
}

fn obey(cluster: &Cluster, line: &Value) {
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let session = line["session"].as_u64().unwrap_or_default();
    let peers = cluster.peers_with(&text("service"));
    let up: Vec<&Arc<Peer>> = peers.iter().filter(|peer| peer.takes_new()).collect();
    match &*text("do") {
        "look" => tell(&json!({ "event": "looked", "all": peers.len(), "up": up.len() })),
        "end" => {
            for peer in cluster.peers() {
                peer.send(Ended { session, ..Ended::default() }).ok();
            }
        }
        what => {
            let call = Call { session, route: text("route"), body: text("body").into(), ..Call::default() };
            let n = line["n"].clone();
            let sent = up.first().map(|peer| match what {
                "notify" => peer.send(call).map(|()| None),
                _ => peer.call(call).map(Some),
            });
            match sent {
                Some(Ok(answering)) => {
                    let Some(answering) = answering else { return };
                    tokio::spawn(async move {
                        tell(&match answering.await {
                            Ok(Outcome::Reply(reply)) => {
                                json!({ "event": "answer", "n": n, "body": String::from_utf8_lossy(&reply.body) })
                            }
                            Ok(Outcome::Refusal(refusal)) => {
                                json!({ "event": "refused", "n": n, "code": refusal.code })
                            }
                            Err(_) => json!({ "event": "lost", "n": n }),
                        });
                    });
                }
                _ => tell(&json!({ "event": "unsent", "n": n })),
            }
        }
    }
}

impl Host for Telling {
    fn accept(&self, link: Arc<Accepted>) -> Box<dyn LinkHandler> {
        tell(&json!({ "event": "accepted", "node": link.node() }));
        Box::new(Service(link))
    }

    fn forget(&self, node: u64) {
        tell(&json!({ "event": "forgot", "node": node }));
    }

    fn leave(&self, _peer: &Peer) {}

    fn alive(&self, _peer: &Peer) -> Vec<u64> {
        Vec::new()
    }

    fn handle_peer_frame(&self, _peer: &Arc<Peer>, frame: Frame) {
        match frame.said {
            Some(Said::Push(push)) => tell(&json!({
                "event": "push",
                "session": push.sessions.first(),
                "route": push.route,
                "body": String::from_utf8_lossy(&push.body),
            })),
            Some(Said::Close(close)) => tell(&json!({ "event": "close", "session": close.session })),
            _ => {}
        }
    }
}

impl LinkHandler for Service {
    fn handle_frame(&mut self, frame: Frame) {
        match frame.said {
            Some(Said::Call(call)) => self.handle_call(call),
            Some(Said::Ended(ended)) => tell(&json!({ "event": "ended", "session": ended.session })),
            _ => {}
        }
    }
}

impl Service {
    fn handle_call(&self, call: Call) {
        let Call { id, session, route, body, .. } = call;
        let text = String::from_utf8_lossy(&body).into_owned();
        let method = route.rsplit_once('.').map_or("", |(_, method)| method);
        if method != "Echo" {
            tell(&json!({ "event": "called", "session": session, "method": method, "body": text }));
        }
        let sent = match method {
            "Echo" => self.answer(id, Outcome::Reply(Reply { body, is_text: false })),
            "Never" | "Note" => Ok(()),
            "Say" => {
                let route = "onSay".to_owned();
                self.0.send(Push { sessions: vec![session], route, body, ..Push::default() })
            }
            "Bye" => self.0.send(Close { session, ..Close::default() }),
            _ => {
                let (message, details) = ("no".to_owned(), String::new());
                self.answer(id, Outcome::Refusal(Refusal { code: 404, message, details }))
            }
        };
        if sent.is_err() {
            tell(&json!({ "event": "unsent", "session": session }));
        }
    }

    fn answer(&self, id: u64, outcome: Outcome) -> Result<(), dunlin_cluster::SendError> {
        self.0.send(Answer { id, outcome: Some(outcome) })
    }
}

//! The node of ours that `cargo xtask interop nano` sets beside Go nodes: a gate with a service, in a cluster that it is the only voter of.
//!
//! `nano_node --listen ADDR --client ADDR --dir DIR [--nano-master ADDR] [--heartbeat-ms MS]`. What happens to its sessions is a line of JSON each. It ends
//! with its standard input, so that it never outlives the run that started it.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write as _};
use std::thread;
use std::time::Duration;

use dunlin::{App, CloseReason, ClusterConfig, Raw, Result, Session, VoterConfig, service};
use serde_json::{Value, json};
use tokio::sync::oneshot;

struct Room;

#[service(name = "Room", rename = "PascalCase")]
impl Room {
    /// Answers with what it got.
    #[request]
    async fn echo(&self, body: Raw) -> Result<Raw> {
        Ok(body)
    }

    /// Tells what it got.
    #[notify]
    async fn note(&self, session: Session, body: Raw) -> Result<()> {
        called(&session, &body);
        Ok(())
    }

    /// Tells what it got, and pushes it back.
    #[notify]
    async fn say(&self, session: Session, body: Raw) -> Result<()> {
        called(&session, &body);
        session.push_raw("onSay", body.0)?;
        Ok(())
    }

    /// Closes the session.
    #[notify]
    async fn bye(&self, session: Session) -> Result<()> {
        session.close()?;
        Ok(())
    }
}

fn called(session: &Session, Raw(body): &Raw) {
    let body = String::from_utf8_lossy(body);
    tell(&json!({ "event": "called", "session": session.id(), "body": body }));
}

fn tell(event: &Value) {
    // Without a reader there is nobody to tell.
    writeln!(io::stdout().lock(), "{event}").ok();
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut args: HashMap<String, String> = HashMap::new();
    let mut given = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (given.next(), given.next()) {
        args.insert(name, value);
    }
    let get = |name: &str| args.get(name).ok_or_else(|| format!("{name} is missing"));
    let (listen, url) = (get("--listen")?, format!("http://{}", get("--listen")?));
    let voter = VoterConfig::new(1, get("--dir")?);
    let mut config = ClusterConfig::new("dunlin", listen).voters([(1, &*url)]).voter(voter);
    config.nano_master = args.get("--nano-master").cloned();
    if let Some(ms) = args.get("--heartbeat-ms") {
        config.nano_heartbeat = Duration::from_millis(ms.parse()?);
    }
    let closed = |session: &Session, reason: &CloseReason| {
        tell(&json!({ "event": "closed", "session": session.id(), "reason": format!("{reason:?}") }));
    };
    let app = App::new().service(Room).on_closed(closed).cluster(config);
    let node = app.listen(&**get("--client")?).start().await?;
    tell(&json!({ "event": "ready" }));

    let (ended, end) = oneshot::channel();
    thread::spawn(move || {
        io::copy(&mut io::stdin().lock(), &mut io::sink()).ok();
        ended.send(()).ok();
    });
    tokio::select! {

        served = node.run_until_signal() => served?,
        // A thread that is gone without a word means the same.
        _ = end => {}
    }
    Ok(())
}

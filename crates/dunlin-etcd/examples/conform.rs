//! Makes every claim about a cluster, each time a line comes: `conform http://127.0.0.1:2379 ...`. For `cargo xtask interop registry`.
//!
//! A claim is one line of JSON, with `why` when it does not hold; `{"done": true}` ends a round. The clients stay from round to round, and so does a
//! watch, so that rounds find what becomes of them when members die in between.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use dunlin_etcd::EtcdRegistry;
use dunlin_registry::conformance;
use dunlin_registry::store::KeyRange;
use dunlin_registry::{Consistency, Registry as _, RegistryExt as _, Watch};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::{sleep, timeout};

/// How long a cluster may take until it answers, and a watch until it has heard of a put.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let urls: Vec<String> = std::env::args().skip(1).collect();
    let client = || EtcdRegistry::new(urls.iter().map(String::as_str));
    let (one, other) = (client()?, client()?);
    until_it_answers(&one).await?;
    let mut watch = other.watch(KeyRange::key("conform"), 0).await?;
    let (mut rounds, mut out) = (BufReader::new(tokio::io::stdin()).lines(), tokio::io::stdout());
    while rounds.next_line().await?.is_some() {
        // What is proposed to a leader that has just died is lost with it, and nobody knows: claims are about a cluster that has a leader.
        until_it_answers(&one).await?;
        until_it_answers(&other).await?;
        let findings = conformance::run(Arc::new(one.clone()), Arc::new(other.clone())).await;
        let mut lines: Vec<_> = findings
            .into_iter()
            .map(|finding| json!({"claim": finding.claim, "why": finding.violation.map(|why| chain(&why))}))
            .collect();
        let held = goes_on(&one, &mut watch).await;
        let why = held.err().map(|error| chain(&*error));
        lines.push(json!({"claim": "watches/one that was there before goes on", "why": why}));
        lines.push(json!({"done": true}));
        for line in lines {
            out.write_all(format!("{line}\n").as_bytes()).await?;
        }
        out.flush().await?;
    }
    Ok(())
}

async fn until_it_answers(registry: &EtcdRegistry) -> Result<(), Box<dyn Error>> {
    let answering = async {
        while registry.get("conform", Consistency::Linearizable).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, answering).await.map_err(|_| "the cluster does not answer".into())
}

/// That a watch of an earlier round hears of the next put, and of nothing else.
async fn goes_on(registry: &EtcdRegistry, watch: &mut Watch) -> Result<(), Box<dyn Error>> {
    let revision = registry.put("conform", "", 0).await?;
    let event = timeout(PATIENCE, watch.next()).await??;
    if event.revision() == revision {
        return Ok(());
    }
    Err(format!("it gives revision {} after a put at {revision}", event.revision()).into())
}

/// An error with what is behind it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

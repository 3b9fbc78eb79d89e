//! Whole runs against a gate in this process.

use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser as _;
use dunlin::{App, Error, Node, Raw, Session};
use serde_json::Value;

use super::*;
use crate::cli::{Cli, Command};

/// How many notifications came.
type Counter = Arc<AtomicU64>;

async fn gate() -> (Node, String, Counter) {
    let counter = Counter::default();
    let counting = Arc::clone(&counter);
    let app = App::new()
        .route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })
        .route("Echo.refuse", |_body: Raw| async move { Err::<Raw, _>(Error::overloaded("not now")) })
        .route("Echo.silent", |_body: Raw| std::future::pending::<dunlin::Result<Raw>>())
        .route("Echo.leave", |peer: Session, _body: Raw| async move {
            peer.kick("go away").ok();
            std::future::pending::<dunlin::Result<Raw>>().await
        })
        .notify_route("Echo.count", move |_body: Raw| {
            counting.fetch_add(1, Ordering::Relaxed);
            async { Ok::<(), Error>(()) }
        });
    let node = app.listen("127.0.0.1:0").start().await.unwrap();
    let url = format!("ws://{}/", node.addrs()[0]);
    (node, url, counter)
}

/// A run of this command line: what it found, and whether it lost nothing.
fn found(url: &str, line: &str) -> (Value, bool) {
    let line = ["dunlin", "bench", url, "--json"].into_iter().chain(line.split(' '));
    let Command::Bench(args) = Cli::try_parse_from(line).unwrap().command else {
        panic!("the bench was asked for")
    };
    let mut out = Vec::new();
    let code = run(&args, &mut out).unwrap();
    (serde_json::from_slice(&out).unwrap_or_default(), code == ExitCode::SUCCESS)
}

/// The run has a runtime of its own, so it is not made within the gate's.
async fn bench(url: &str, line: &'static str) -> (Value, bool) {
    let url = url.to_owned();
    tokio::task::spawn_blocking(move || found(&url, line)).await.unwrap()
}

#[tokio::test]
async fn every_request_is_answered_one_after_another() {
    let (node, url, _) = gate().await;
    let line = "--route Echo.ping --body [1] --clients 3 --in-flight 2 --duration 500ms --warmup 0s";
    let (found, is_whole) = bench(&url, line).await;
    assert!(is_whole, "{found}");
    assert!(found["answered"].as_u64() > Some(0), "{found}");
    assert_eq!(found["answered"], found["sent"]);
    assert_eq!(found["body_bytes_in"].as_u64(), found["answered"].as_u64().map(|answered| 3 * answered));
    assert!(found["latency_us"]["max"].as_u64() > Some(0), "{found}");
    node.stop().await;
}

#[tokio::test]
async fn a_rate_sends_exactly_what_is_due() {
    let (node, url, _) = gate().await;
    let line = "--route Echo.ping --clients 4 --rate 500 --in-flight 1000 --duration 400ms --warmup 0s";
    let (found, is_whole) = bench(&url, line).await;
    assert!(is_whole, "{found}");
    let (sent, unsent) = (found["sent"].as_u64().unwrap(), found["unsent"].as_u64().unwrap());
    assert_eq!(sent + unsent, 200, "{found}");
    node.stop().await;
}

#[tokio::test]
async fn errors_are_answers_and_counted_by_their_code() {
    let (node, url, _) = gate().await;
    let (found, is_whole) = bench(&url, "--route Echo.refuse --duration 100ms --warmup 0s").await;
    assert!(is_whole, "{found}");
    assert_eq!(found["errors"][Error::OVERLOADED.to_string()], found["sent"]);
    node.stop().await;
}

#[tokio::test]
async fn requests_without_answers_are_lost_and_fail_the_run() {
    let (node, url, _) = gate().await;
    let line = "--route Echo.silent --clients 2 --duration 50ms --warmup 0s --timeout 2s";
    let (found, is_whole) = bench(&url, line).await;
    assert!(!is_whole, "{found}");
    assert_eq!((&found["timed_out"], &found["sent"]), (&2.into(), &2.into()));
    let (found, is_whole) = bench(&url, "--route Echo.leave --clients 3 --duration 10s --warmup 0s").await;
    assert!(!is_whole, "{found}");
    assert_eq!((&found["disconnected"], &found["clients_dropped"]), (&3.into(), &3.into()));
    node.stop().await;
}

#[tokio::test]
async fn notifications_that_are_reported_as_sent_arrive() {
    let (node, url, counter) = gate().await;
    let line = "--kind notify --route Echo.count --clients 2 --rate 1000 --duration 500ms --warmup 0s";
    let (found, is_whole) = bench(&url, line).await;
    assert!(is_whole, "{found}");
    node.stop().await;
    assert_eq!(Some(counter.load(Ordering::Relaxed)), found["sent"].as_u64());
}

#[tokio::test]
async fn idle_clients_are_held_to_the_end() {
    let (node, url, _) = gate().await;
    let (found, is_whole) = bench(&url, "--kind idle --clients 20 --duration 50ms --warmup 0s").await;
    assert!(is_whole, "{found}");
    assert_eq!((&found["clients_dropped"], &found["sent"]), (&0.into(), &0.into()));
    node.stop().await;
}

//! Whole conversations with a gate in this process: once, and line by line.

use std::sync::{Arc, Mutex};

use clap::Parser as _;
use dunlin::{App, Error, Node, Raw, Session as Peer};
use dunlin_client::Client;
use tokio::sync::{mpsc, oneshot};

use super::args::ClientCommand;
use super::failure::Kind;
use super::session::Typed;
use super::*;
use crate::cli::{Cli, Command};

/// A gate with a route that echoes, one that refuses, one that pushes, and one that never answers.
async fn gate() -> (Node, String) {
    let app = App::new()
        .route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })
        .route("Echo.refuse", |_body: Raw| async move { Err::<Raw, _>(Error::not_found("no such bird")) })
        .route("Echo.tell", |peer: Peer, Raw(text): Raw| async move {
            peer.push_raw("onTold", text)?;
            Ok(())
        })
        .route("Echo.leave", |peer: Peer, _body: Raw| async move {
            peer.kick("go away").ok();
            std::future::pending::<dunlin::Result<Raw>>().await
        })
        .dictionary([("Echo.ping", 1), ("Echo.tell", 2)]);
    let node = app.listen("127.0.0.1:0").start().await.unwrap();
    let url = format!("ws://{}/", node.addrs()[0]);
    (node, url)
}

fn args(url: &str, more: &[&str]) -> ClientArgs {
    let line = ["dunlin", "client", url].into_iter().chain(more.iter().copied());
    let Command::Client(args) = Cli::try_parse_from(line).unwrap().command else {
        panic!("the client was asked for")
    };
    args
}

async fn once(args: &ClientArgs) -> (Result<(), Failure>, String) {
    let mut out = Vec::new();
    let command: &ClientCommand = args.command.as_ref().unwrap();
    let done = once::run(args, command, &mut out).await.unwrap();
    (done, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_request_prints_the_answer_and_an_error_has_its_own_exit_code() {
    let (node, url) = gate().await;
    let (done, out) = once(&args(&url, &["request", "Echo.ping", r#"{"a": 1}"#])).await;
    assert_eq!((done, out.as_str()), (Ok(()), "{\"a\": 1}\n"));
    let (done, out) = once(&args(&url, &["request", "Echo.ping", r#"{"a": 1}"#, "--json"])).await;
    assert_eq!((done, out.as_str()), (Ok(()), "{\"a\":1}\n"));
    let (done, out) = once(&args(&url, &["request", "Echo.refuse"])).await;
    let failure = done.unwrap_err();
    assert_eq!((failure.kind, failure.exit_code(), out.as_str()), (Kind::Server(404), 4, ""));
    assert_eq!(failure.line(false), "error 404: no such bird");
    node.stop().await;
}

#[tokio::test]
async fn nobody_there_and_no_answer_have_the_same_exit_code() {
    let (node, url) = gate().await;
    let (done, _) = once(&args(&url, &["request", "Echo.leave", "--timeout", "5s"])).await;
    assert_eq!(done.unwrap_err().exit_code(), 5);
    node.stop().await;
    let (done, _) = once(&args(&url, &["request", "Echo.ping"])).await;
    let failure = done.unwrap_err();
    assert_eq!((failure.kind, failure.exit_code()), (Kind::Connection, 5));
    assert!(failure.line(false).contains("is a server running there?"));
}

#[tokio::test]
async fn what_is_no_address_or_no_json_reaches_nobody() {
    let (done, _) = once(&args("127.0.0.1:1", &["request", "Echo.ping"])).await;
    assert!(done.unwrap_err().line(false).contains("such as ws://"));
    let (done, _) = once(&args("ws://127.0.0.1:1/", &["request", "Echo.ping", "hello"])).await;
    let failure = done.unwrap_err();
    assert_eq!(failure.exit_code(), 2);
    assert!(failure.line(false).contains("no JSON"));
}

/// Says these lines one after another, and gives what was shown and what went wrong first.
async fn talk_lines(url: &str, lines: &[&str]) -> (String, String, Option<Failure>) {
    let mut builder = Client::builder(url);
    let pushes = builder.subscribe_all();
    let client = builder.connect().await.unwrap();
    let mut routes = Routes::default();
    routes.add_told(&client);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let manner = Manner { is_json: false, is_raw: false };
    let session = Session::new((client, pushes), Arc::new(Mutex::new(routes)), manner, (&mut out, &mut err));
    let (sender, receiver) = mpsc::channel(1);
    let saying = async {
        for line in lines {
            let (done, dealt_with) = oneshot::channel();
            if sender.send(Typed { text: (*line).to_owned(), done }).await.is_err()
                || dealt_with.await.is_err()
            {
                break;
            }
        }
        drop(sender);
    };
    let (end, ()) = tokio::join!(session.run(receiver), saying);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(out), text(err), end.unwrap().failure)
}

#[tokio::test]
async fn answers_and_pushes_are_shown_in_the_order_in_which_they_came() {
    let (node, url) = gate().await;
    let lines =
        ["request Echo.tell \"hi\"", "watch off", "request Echo.tell \"unseen\"", "request Echo.ping 7"];
    let (out, err, failure) = talk_lines(&url, &lines).await;
    assert_eq!(out, "push onTold \"hi\"\n{}\n{}\n7\n");
    assert_eq!((err.as_str(), failure), ("", None));
    node.stop().await;
}

#[tokio::test]
async fn the_servers_routes_and_those_that_were_used_are_known() {
    let (node, url) = gate().await;
    let (out, ..) = talk_lines(&url, &["notify Echo.refuse", "routes", "quit", "request Echo.ping 1"]).await;
    assert_eq!(out, "Echo.ping\nEcho.refuse\nEcho.tell\n", "and nothing is done after quit");
    node.stop().await;
}

#[tokio::test]
async fn the_first_failure_is_kept_and_the_rest_is_done_all_the_same() {
    let (node, url) = gate().await;
    let lines = ["request Echo.refuse", "nonsense", "request Echo.ping 1"];
    let (out, err, failure) = talk_lines(&url, &lines).await;
    assert_eq!(out, "1\n");
    assert_eq!(err.lines().count(), 2, "{err}");
    assert_eq!(failure.unwrap().exit_code(), 4);
    node.stop().await;
}

#[tokio::test]
async fn a_kick_ends_the_session_with_the_servers_words() {
    let (node, url) = gate().await;
    let (_, err, failure) = talk_lines(&url, &["request Echo.leave", "request Echo.ping 1"]).await;
    assert!(err.contains("kicked by the server: go away"), "{err}");
    assert_eq!(failure.unwrap().exit_code(), 5);
    node.stop().await;
}

#[tokio::test]
async fn watching_ends_at_its_count_and_fails_when_the_time_ends_before() {
    let app = App::new().on_opened(|peer| {
        peer.push_raw("onHello", "\"first\"").ok();
        peer.push_raw("onHello", "\"second\"").ok();
    });
    let node = app.listen("127.0.0.1:0").start().await.unwrap();
    let url = format!("tcp://{}", node.addrs()[0]);
    let (done, out) = once(&args(&url, &["watch", "onHello", "--count", "2"])).await;
    assert_eq!((done, out.as_str()), (Ok(()), "onHello \"first\"\nonHello \"second\"\n"));
    let (done, _) = once(&args(&url, &["watch", "onOther", "--count", "1", "--timeout", "20ms"])).await;
    let failure = done.unwrap_err();
    assert_eq!((failure.kind, failure.exit_code()), (Kind::Timeout, 5));
    let (done, _) = once(&args(&url, &["watch", "onOther", "--timeout", "20ms"])).await;
    assert_eq!(done, Ok(()), "so long it was to be watched");
    node.stop().await;
}

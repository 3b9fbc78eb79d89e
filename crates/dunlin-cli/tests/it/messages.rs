//! What the command says when something is wrong, and its exit code.

use std::process::{Command, Stdio};

/// Runs the command with an environment of its own, and gives what it said and how it ended.
fn said(line: &str) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .args(line.split_whitespace())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "", "what is wrong is said on standard error");
    let code = out.status.code().unwrap();
    // Systems number their errors each in its own way.
    let error = String::from_utf8_lossy(&out.stderr).replace("os error 61", "os error 111");
    format!("$ dunlin {line}\n{error}exit code {code}\n")
}

/// Port 1 of the loopback, where nobody listens.
const LINES: &[&str] = &[
    "demo --addr 127.0.0.1",
    "demo --bots 201",
    "nodes --at 127.0.0.1:7001",
    "members --at http://127.0.0.1:1 --timeout 200ms",
    "members add four http://127.0.0.1:1",
    "kv get motd --at http://127.0.0.1:1 --timeout 200ms",
    "kv get motd --at https://127.0.0.1:1",
    "leader transfer 2 --at http://127.0.0.1:1 --tls-key node.key",
    "drain gate-1 --timeout soon",
    "client",
    "client 127.0.0.1:3250 request Chat.join",
    "client ws://127.0.0.1:1/ request Chat.join",
    "client ws://127.0.0.1:1/ request Chat.join --json",
    "client ws://127.0.0.1:1/ request Chat.join hello",
    "client ws://127.0.0.1:1/ request Chat.join --user [1] --token T",
    "client ws://127.0.0.1:1/",
    "client ws://127.0.0.1:1/ --routes nowhere.txt",
    "client wss://127.0.0.1:1/ --tls-authority nowhere.pem",
    "client ws://127.0.0.1:1/ watch --count 0",
    "bench ws://127.0.0.1:1/",
    "bench ws://127.0.0.1:1/ --route Chat.join",
    "bench ws://127.0.0.1:1/ --route Chat.join --kind idle",
    "bench ws://192.0.2.1:3250/ --route Chat.join",
    "bench ws://127.0.0.1:1/ --route Chat.join --clients 10001",
    "bench ws://127.0.0.1:1/ --route Chat.join --clients 0",
    "certs --days 0",
    "new 2pond",
    "new pond --path nowhere",
    "dance",
];

#[test]
fn every_mistake_is_answered_with_what_to_do() {
    let all: Vec<String> = LINES.iter().map(|line| said(line)).collect();
    insta::assert_snapshot!(all.join("\n"));
}

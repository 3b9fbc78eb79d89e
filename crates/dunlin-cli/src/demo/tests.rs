//! The whole demo over real sockets, on ports of the kernel's choice.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use dunlin_client::Client;
use serde_json::json;

use super::messages::{Joined, Line};
use super::*;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn demo(bots: u16) -> Demo {
    Demo::start(&DemoArgs { addr: Some("127.0.0.1:0".parse().unwrap()), bots }).await.unwrap()
}

/// What the server answers to a GET, until it closes the connection.
async fn get(addr: SocketAddr, path: &'static str) -> String {
    let ask = move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

#[tokio::test]
async fn the_page_and_all_it_needs_come_from_the_client_port() {
    let demo = demo(0).await;
    let page = get(demo.addr, "/?room=attic").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"), "{page}");
    assert!(page.contains("<title>dunlin"), "{page}");
    for (path, content_type, words) in [
        ("/dunlin.js", "text/javascript", "export function connect"),
        ("/style.css", "text/css", ":root"),
        ("/icon.svg", "image/svg+xml", "<svg"),
        ("/chat.rs", "text/plain", "async fn join"),
    ] {
        let answer = get(demo.addr, path).await;
        assert!(answer.contains(&format!("Content-Type: {content_type}")), "{answer}");
        assert!(answer.contains(words), "{answer}");
    }
    assert!(get(demo.addr, "/nothing").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn bots_talk_by_themselves_and_greet_who_comes_in() {
    let demo = demo(3).await;
    let mut builder = Client::builder(&format!("ws://{}", demo.addr));
    let mut lines = builder.subscribe("onLine");
    let client = builder.connect().await.unwrap();
    let joined: Joined = client.request("Chat.join", &json!({"room": "lobby", "name": "ann"})).await.unwrap();
    assert_eq!(&*joined.you, "ann");
    let greeted = async {
        let mut bots = Vec::new();
        loop {
            let line: Line = lines.recv().await.unwrap().json().unwrap();
            if line.text.contains("ann") {
                return bots;
            }
            bots.push(line.from);
        }
    };
    tokio::time::timeout(PATIENCE, greeted).await.unwrap();
    client.notify("Chat.say", &json!({"text": "hello, bots"})).await.unwrap();
    let answered =
        async { while !lines.recv().await.unwrap().json::<Line>().unwrap().text.contains("ann") {} };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
    assert!(demo.node.stop().await.is_clean);
}

#[tokio::test]
async fn a_kicked_bot_comes_back() {
    let demo = demo(1).await;
    let stats = || demo.node.stats();
    let until = async |reached: &dyn Fn() -> bool| {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let waited = async {
            while !reached() {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.unwrap();
    };
    let lobby = || demo.node.groups().get("lobby").map(|group| group.members()).unwrap_or_default();
    until(&|| lobby().len() == 1).await;
    lobby()[0].kick("off you go").unwrap();
    until(&|| stats().sessions_opened == 2 && lobby().len() == 1).await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_with_advice() {
    let first = demo(0).await;
    let error = Demo::start(&DemoArgs { addr: Some(first.addr), bots: 0 }).await.err().unwrap();
    let text = format!("{error:#}");
    assert!(text.contains("--addr 127.0.0.1:0"), "{text}");
    assert!(text.contains("in use"), "{text}");
}

#[tokio::test]
async fn the_banner_has_the_address_and_colours_only_when_asked() {
    let demo = demo(2).await;
    let banner = |is_styled| Banner { demo: &demo, is_styled }.to_string();
    assert!(banner(false).contains(&format!("http://{}/", demo.addr)));
    assert!(!banner(false).contains('\x1b'));
    assert!(banner(true).contains('\x1b'));
}

#[test]
fn an_unspecified_address_is_reached_by_loopback() {
    assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
    assert_eq!(reachable("[::]:80".parse().unwrap()), "[::1]:80".parse().unwrap());
    assert_eq!(reachable("192.0.2.1:80".parse().unwrap()), "192.0.2.1:80".parse().unwrap());
}

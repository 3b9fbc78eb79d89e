//! The whole demo over real sockets, on ports of the kernel's choice: three nodes, bots, and everything the buttons do.

use std::io::Read as _;
use std::net::TcpStream;

use dunlin_client::{Client, Pushes, RequestError};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::messages::{Entered, Everybody, LinkPhase, Phase, Snapshot};
use super::*;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

async fn demo(bots: u16) -> Demo {
    Demo::start(&DemoArgs { addr: Some("127.0.0.1:0".parse().unwrap()), bots }).await.unwrap()
}

/// A page of one gate, without a browser.
struct Visitor {
    client: Client,
    pond: Pushes,
    cluster: Pushes,
    me: Entered,
    last: Snapshot,
}

impl Visitor {
    async fn at(demo: &Demo, gate: usize) -> Self {
        let mut builder = Client::builder(&format!("ws://{}", demo.gates[gate])).push_queue(4_096);
        let (pond, cluster) = (builder.subscribe("onPond"), builder.subscribe("onCluster"));
        let client = builder.connect().await.unwrap();
        let me = client.request("Pond.enter", &json!({ "at": { "x": 1, "y": 2 } })).await.unwrap();
        let last = client.request("Lab.watch", &json!({})).await.unwrap();
        Self { client, pond, cluster, me, last }
    }

    async fn press(&self, button: &str, body: Value) -> Result<String, u32> {
        match self.client.request::<_, Value>(&format!("Lab.{button}"), &body).await {
            Ok(done) => Ok(done["text"].as_str().unwrap().to_owned()),
            Err(RequestError::Server(error)) => Err(error.code),
            Err(other) => panic!("no answer: {other}"),
        }
    }

    /// Waits for a snapshot of this kind.
    async fn cluster(&mut self, what: &str, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let waiting = async {
            while !is_so(&self.last) {
                self.last = self.cluster.recv().await.expect("the connection lasts").json().unwrap();
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            panic!("never: {what}; the last was {:?}", self.last);
        }
        self.last.clone()
    }

    /// Waits for a pond of this kind.
    async fn pond(&mut self, what: &str, is_so: impl Fn(&Everybody) -> bool) -> Everybody {
        let waiting = async {
            loop {
                let pond = self.pond.recv().await.expect("the connection lasts").json().unwrap();
                if is_so(&pond) {
                    return pond;
                }
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"))
    }
}

fn count(pond: &Everybody, node: &str) -> usize {
    pond.schools.iter().filter(|school| school.node == node).map(|school| school.tadpoles.len()).sum()
}

fn is_whole(snapshot: &Snapshot) -> bool {
    snapshot.leader.is_some()
        && snapshot.nodes.iter().all(|node| node.phase == Phase::Up)
        && snapshot.links.iter().all(|link| link.phase == LinkPhase::Up)
        && snapshot.under_way.is_empty()
}

fn index_of(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).unwrap()
}

/// What a gate answers to a GET, until it closes the connection.
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
async fn the_page_and_all_it_needs_come_from_each_gate() {
    let demo = demo(0).await;
    for addr in demo.gates.iter().copied() {
        let page = get(addr, "/?static=1").await;
        assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"), "{page}");
        assert!(page.contains("<title>dunlin"), "{page}");
        for (path, content_type, words) in [
            ("/dunlin.js", "text/javascript", "export function connect"),
            ("/style.css", "text/css", ":root"),
            ("/icon.svg", "image/svg+xml", "<svg"),
            ("/pond.rs", "text/plain", "async fn swim"),
            ("/gates.json", "application/json", &demo.gates[2].port().to_string()),
        ] {
            let answer = get(addr, path).await;
            assert!(answer.contains(&format!("Content-Type: {content_type}")), "{answer}");
            assert!(answer.contains(words), "{answer}");
        }
        assert!(get(addr, "/nothing").await.starts_with("HTTP/1.1 404 "));
    }
}

#[tokio::test]
async fn bots_swim_by_themselves_and_everybody_is_seen_at_every_gate() {
    let demo = demo(6).await;
    let (mut one, mut other) = (Visitor::at(&demo, 0).await, Visitor::at(&demo, 1).await);
    assert_eq!((&*one.me.node, &*other.me.node), ("n1", "n2"));
    for visitor in [&mut one, &mut other] {
        let all = |pond: &Everybody| NAMES.map(|node| count(pond, node)) == [3, 3, 2];
        let before = visitor.pond("all tadpoles", all).await;
        let moved = |pond: &Everybody| {
            let spots = |pond: &Everybody, node: &str| -> Vec<_> {
                let schools = pond.schools.iter().filter(|school| school.node == node);
                let tadpoles = schools.flat_map(|school| &school.tadpoles).filter(|tadpole| tadpole.bot);
                tadpoles.map(|tadpole| (tadpole.id, tadpole.at)).collect()
            };
            NAMES.iter().all(|node| spots(pond, node) != spots(&before, node))
        };
        visitor.pond("all schools moved", moved).await;
    }
    one.client.notify("Pond.swim", &json!({ "x": 4_321, "y": 60_000 })).await.unwrap();
    let (id, node) = (one.me.id, one.me.node.clone());
    let is_there = |pond: &Everybody| {
        let schools = pond.schools.iter().filter(|school| school.node == node);
        let mut mine = schools.flat_map(|school| &school.tadpoles).filter(|tadpole| tadpole.id == id);
        mine.any(|tadpole| !tadpole.bot && (tadpole.at.x, tadpole.at.y) == (4_321, 10_000))
    };
    other.pond("the other tadpole at its place, no further than the shore", is_there).await;
    one.client.close().await;
    other.pond("the tadpole gone with its client", |pond| count(pond, "n1") == 2).await;
}

#[tokio::test]
async fn what_nodes_say_to_each_other_no_client_can_say() {
    let demo = demo(0).await;
    let visitor = Visitor::at(&demo, 0).await;
    let forged =
        visitor.client.request::<_, Value>("Pond.hear", &json!({ "node": "n2", "tadpoles": [] })).await;
    assert!(matches!(forged, Err(RequestError::Server(error)) if error.code == 404));
}

#[tokio::test]
async fn when_the_leader_is_killed_another_leads_requests_go_on_and_it_comes_back() {
    let demo = demo(9).await;
    let mut visitor = Visitor::at(&demo, 0).await;
    let before = visitor.cluster("a whole cluster", is_whole).await;
    let old = before.leader.clone().unwrap();
    // From a gate that stays, so that this very visitor sees it all.
    let safe = (index_of(&old) + 1) % NAMES.len();
    let mut visitor = Visitor::at(&demo, safe).await;
    assert!(visitor.press("kill_leader", json!({})).await.unwrap().contains(&old));
    assert_eq!(visitor.press("kill_leader", json!({})).await, Err(409));
    let elected =
        |now: &Snapshot| now.leader.as_ref().is_some_and(|leader| *leader != old) && now.term > before.term;
    let after = visitor.cluster("another leader with a greater term", elected).await;
    assert_eq!(after.nodes[index_of(&old)].phase, Phase::Down);
    let answered = after.counters.answered;
    visitor.cluster("requests go on", |now| now.counters.answered > answered + 30).await;
    visitor
        .pond("all bots swim on, wherever", |pond| {
            NAMES.iter().map(|node| count(pond, node)).sum::<usize>() == 10
        })
        .await;
    let back = visitor.cluster("the node back and all links up", is_whole).await;
    assert!(back.counters.is_clean(), "{:?}", back.counters);
    visitor.pond("bots at home again", |pond| count(pond, &old) > 0).await;
    let page = get(demo.gates[index_of(&old)], "/").await;
    assert!(page.contains("<title>dunlin"), "{page}");
}

#[tokio::test]
async fn a_link_that_is_cut_parts_two_schools_and_heals() {
    let demo = demo(6).await;
    let mut visitor = Visitor::at(&demo, 0).await;
    visitor.cluster("a whole cluster", is_whole).await;
    assert_eq!(visitor.press("mend", json!({})).await, Err(409));
    assert_eq!(visitor.press("cut", json!({ "one": "n1", "other": "n9" })).await, Err(404));
    visitor.press("cut", json!({ "one": "n1", "other": "n2" })).await.unwrap();
    assert_eq!(visitor.press("cut", json!({ "one": "n2", "other": "n3" })).await, Err(409));
    visitor.cluster("the link shown as cut", |now| now.links[0].phase == LinkPhase::Cut).await;
    let parted = |pond: &Everybody| [1, 0, 1] == NAMES.map(|node| usize::from(count(pond, node) > 0));
    visitor.pond("the school behind the cut gone", parted).await;
    visitor.press("mend", json!({})).await.unwrap();
    visitor.pond("it is back", |pond| NAMES.iter().all(|node| count(pond, node) > 0)).await;
    let healed = visitor.cluster("a whole cluster again", is_whole).await;
    assert!(healed.counters.is_clean(), "{:?}", healed.counters);
}

#[tokio::test]
async fn a_node_that_is_drained_sends_its_clients_away_and_comes_back() {
    let demo = demo(6).await;
    let mut visitor = Visitor::at(&demo, 0).await;
    visitor.cluster("a whole cluster", is_whole).await;
    visitor.press("drain", json!({ "node": "n3" })).await.unwrap();
    assert_eq!(visitor.press("drain", json!({ "node": "n2" })).await, Err(409));
    visitor.cluster("it drains", |now| now.nodes[2].phase == Phase::Draining).await;
    visitor.cluster("it is down", |now| now.nodes[2].phase == Phase::Down).await;
    let all_left = |pond: &Everybody| count(pond, "n3") == 0 && count(pond, "n1") + count(pond, "n2") == 7;
    visitor.pond("its bots at other nodes", all_left).await;
    let back = visitor.cluster("a whole cluster again", is_whole).await;
    assert!(back.counters.is_clean(), "{:?}", back.counters);
    assert!(
        back.events.iter().any(|event| event.text.contains("nothing was cut short")),
        "{:?}",
        back.events
    );
}

#[tokio::test]
async fn a_node_that_is_asked_to_stop_on_the_cluster_page_drains_as_by_the_button() {
    let demo = demo(0).await;
    let mut visitor = Visitor::at(&demo, 0).await;
    visitor.cluster("a whole cluster", is_whole).await;
    demo.lab.nodes.node(1).unwrap().ask_to_stop();
    visitor.cluster("it drains", |now| now.nodes[1].phase == Phase::Draining).await;
    visitor.cluster("a whole cluster again", is_whole).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_ended_and_nobody_else() {
    let demo = demo(6).await;
    let mut visitor = Visitor::at(&demo, 0).await;
    visitor.cluster("a whole cluster", is_whole).await;
    let ended = || -> (u64, u64) {
        let stats = || (0..NAMES.len()).filter_map(|index| Some(demo.lab.nodes.node(index)?.stats()));
        (stats().map(|stats| stats.sessions_closed).sum(), stats().map(|stats| stats.slow_clients).sum())
    };
    let (closed, slow) = ended();
    visitor.press("slow_client", json!({})).await.unwrap();
    assert_eq!(visitor.press("slow_client", json!({})).await, Err(409));
    let is_told =
        |now: &Snapshot| now.events.iter().any(|event| event.text.contains("ended the slow client"));
    let now = visitor.cluster("the slow client ended", is_told).await;
    assert_eq!(ended(), (closed + 1, slow + 1), "it alone was ended");
    assert!(now.counters.is_clean(), "{:?}", now.counters);
    visitor.pond("it is back", |pond| NAMES.iter().map(|node| count(pond, node)).sum::<usize>() == 8).await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_with_advice() {
    let first = demo(0).await;
    let args = DemoArgs { addr: Some(first.gates[0]), bots: 0 };
    let text = format!("{:#}", Demo::start(&args).await.err().unwrap());
    assert!(text.contains("--addr 127.0.0.1:0"), "{text}");
}

#[tokio::test]
async fn at_the_end_the_folder_is_gone() {
    let mut demo = demo(2).await;
    let dir = demo.dir.as_ref().unwrap().path().to_owned();
    assert!(dir.join("n1").is_dir());
    let begin = Instant::now();
    demo.end().await;
    assert!(!dir.exists());
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn the_banner_has_all_addresses_and_colours_only_when_asked() {
    let demo = demo(2).await;
    let banner = |is_styled| Banner { demo: &demo, is_styled }.to_string();
    for addr in demo.gates.iter() {
        assert!(banner(false).contains(&format!("http://{addr}/")));
    }
    assert!(!banner(false).contains('\x1b'));
    assert!(banner(true).contains('\x1b'));
}

//! Calls that another node answers.

use std::sync::Arc;
use std::time::Duration;

use dunlin::{App, CallError, Policy, TestCluster};
use futures_util::future::join_all;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::{Line, Seen, room, with_gates};

fn code_of(error: &CallError) -> u32 {
    match error {
        CallError::Server { code, .. } => *code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_of_another_node_is_answered_as_if_it_were_here() {
    let (cluster, _) = with_gates(&["gate"]).await;
    let client = cluster.connect("gate").await.unwrap();
    assert_eq!(client.request::<String>("Room.name", ()).await.unwrap(), "one");
    assert_eq!(client.request::<String>("Gate.name", ()).await.unwrap(), "gate");
    assert_eq!(client.request_raw("Room.echo", vec![0xff; 60_000]).await.unwrap().len(), 60_000);
    client.request::<IgnoredAny>("Room.push", "hello").await.unwrap();
    assert_eq!(client.expect::<Line>().await.unwrap().text, "hello");
}

#[tokio::test(start_paused = true)]
async fn every_way_in_which_a_call_can_fail_is_answered_once_and_with_its_own_code() {
    let (cluster, _) = with_gates(&["gate"]).await;
    let client = cluster.connect("gate").await.unwrap();
    let fail = client.request::<IgnoredAny>("Room.fail", ()).await.unwrap_err();
    let details = Some(serde_json::json!({ "seats": 4 }));
    assert_eq!(fail, CallError::Server { code: 1001, message: "the table is full".into(), details });
    assert_eq!(code_of(&client.request::<IgnoredAny>("Room.panic", ()).await.unwrap_err()), 500);
    assert_eq!(code_of(&client.request::<IgnoredAny>("Room.wait", "no number").await.unwrap_err()), 400);
    assert_eq!(code_of(&client.request::<IgnoredAny>("Room.nothing", ()).await.unwrap_err()), 404);
    assert_eq!(code_of(&client.request::<IgnoredAny>("Nobody.has", ()).await.unwrap_err()), 404);
    let begin = Instant::now();
    assert_eq!(code_of(&client.request::<IgnoredAny>("Room.wait", 60_000).await.unwrap_err()), 504);
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    assert_eq!(client.request::<String>("Room.name", ()).await.unwrap(), "one", "and it goes on");
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_session_are_handled_in_order_across_the_hop() {
    let (cluster, seen) = with_gates(&["gate"]).await;
    let clients = join_all((0..10).map(|_| cluster.connect("gate"))).await;
    let clients: Vec<_> = clients.into_iter().map(Result::unwrap).collect();
    join_all(clients.iter().map(async |client| {
        for n in 0..200 {
            client.notify("Room.say", n).await.unwrap();
        }
        // An ordered request is answered after all that was said before it.
        client.request::<String>("Room.name", ()).await.unwrap();
    }))
    .await;
    let said = seen.said.lock().unwrap().clone();
    assert_eq!(said.len(), 2_000);
    let mut by_session: std::collections::BTreeMap<u64, Vec<u64>> = std::collections::BTreeMap::new();
    for (session, n) in said {
        by_session.entry(session).or_default().push(n);
    }
    assert_eq!(by_session.len(), 10);
    assert!(by_session.into_values().all(|said| said.into_iter().eq(0..200)));
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_handler_waits_delays_no_other_one() {
    let (cluster, _) = with_gates(&["gate"]).await;
    let (slow, quick) = (cluster.connect("gate").await.unwrap(), cluster.connect("gate").await.unwrap());
    let begin = Instant::now();
    let waiting = slow.request::<u64>("Room.wait", 4_000);
    let answering = async {
        for _ in 0..50 {
            quick.request::<String>("Room.name", ()).await.unwrap();
        }
        begin.elapsed()
    };
    let (waited, took) = tokio::join!(waiting, answering);
    assert_eq!(waited.unwrap(), 4_000);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_stays_with_its_node_a_hash_brings_equal_keys_together_and_a_function_chooses() {
    let (mut cluster, seen) = (TestCluster::new(), Arc::new(Seen::default()));
    cluster.start("one", room("one", &seen)).await.unwrap();
    cluster.start("two", room("two", &seen)).await.unwrap();
    let by_body = |app: App| app.dispatch_by("Room", |call| call.body().to_vec());
    cluster.start("gate", App::new()).await.unwrap();
    cluster.start("hashing", by_body(App::new())).await.unwrap();
    cluster.start("balancing", App::new().dispatch("Room", Policy::LeastLoaded)).await.unwrap();
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let client = cluster.connect("gate").await.unwrap();
        let name = client.request::<String>("Room.name", ()).await.unwrap();
        for _ in 0..5 {
            assert_eq!(client.request::<String>("Room.name", ()).await.unwrap(), name);
        }
        names.insert(name);
    }
    assert_eq!(names.len(), 2, "both are used");
    let (ann, bob) = (cluster.connect("hashing").await.unwrap(), cluster.connect("hashing").await.unwrap());
    let mut names = std::collections::BTreeSet::new();
    for key in 0..20 {
        let name = ann.request::<String>("Room.name", key).await.unwrap();
        assert_eq!(bob.request::<String>("Room.name", key).await.unwrap(), name);
        names.insert(name);
    }
    assert_eq!(names.len(), 2);
    let to_two = |_: &dunlin::service::Call, nodes: &[Arc<dunlin::NodeRecord>]| {
        nodes.iter().find(|node| node.name == "two").map(|node| node.id)
    };
    cluster.start("choosing", App::new().dispatch_with("Room", to_two)).await.unwrap();
    let client = cluster.connect("choosing").await.unwrap();
    assert_eq!(client.request::<String>("Room.name", ()).await.unwrap(), "two");
    let client = cluster.connect("balancing").await.unwrap();
    let both = join_all((0..2).map(|_| client.request::<u64>("Room.wait", 100))).await;
    assert!(both.into_iter().all(|waited| waited.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn a_group_of_a_backend_has_sessions_of_any_gate_and_counts_what_was_queued_and_refused() {
    let (mut cluster, _) = with_gates(&["gate-1", "gate-2"]).await;
    let mut clients = Vec::new();
    for n in 0..20 {
        let client = cluster.connect(if n % 2 == 0 { "gate-1" } else { "gate-2" }).await.unwrap();
        client.request::<IgnoredAny>("Room.join", ()).await.unwrap();
        clients.push(client);
    }
    let told = clients[0].request::<(usize, usize)>("Room.shout", "all").await.unwrap();
    assert_eq!(told, (20, 0));
    for client in &clients {
        assert_eq!(client.expect::<Line>().await.unwrap().text, "all");
    }
    cluster.kill("gate-2");
    let told = clients[0].request::<(usize, usize)>("Room.shout", "again").await.unwrap();
    assert_eq!(told.0, 10, "those of the gate that is gone are refused, or gone already: {told:?}");
}

struct Bank(&'static str);

#[dunlin::service(client)]
impl Bank {
    #[request(idempotent)]
    async fn owner(&self, dunlin::Msg(account): dunlin::Msg<String>) -> dunlin::Result<String> {
        Ok(format!("{account} at {}", self.0))
    }

    #[request]
    async fn name(&self) -> dunlin::Result<String> {
        Ok(self.0.to_owned())
    }

    #[notify]
    async fn open(
        &self,
        cluster: dunlin::Cluster,
        dunlin::Msg(account): dunlin::Msg<String>,
    ) -> dunlin::Result<()> {
        // A handler may call on, also into its own node.
        assert_eq!(BankClient::owner(&cluster, &account).await?, format!("{account} at {}", self.0));
        Ok(())
    }

    #[request]
    async fn who(&self, session: dunlin::Session) -> dunlin::Result<bool> {
        Ok(session.push_raw("onNothing", "").is_err())
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_calls_services_of_other_nodes_by_stubs_by_key_and_all_at_once() {
    let mut cluster = TestCluster::new();
    cluster.start("shop", App::new()).await.unwrap();
    let shop = cluster.node("shop").cluster();
    let nobody = BankClient::name(&shop).await.unwrap_err();
    assert_eq!(nobody.code(), 404);
    for name in ["north", "south"] {
        cluster.start(name, App::new().service(Bank(name))).await.unwrap();
    }
    let answer = BankClient::owner(&shop, &"ann".to_owned()).await.unwrap();
    assert!(answer.starts_with("ann at "), "{answer}");
    BankClient::open(&shop, &"bob".to_owned()).await.unwrap();
    assert!(BankClient::who(&shop).await.unwrap(), "there is no client to push to");
    let north = cluster.node("north").cluster();
    assert_eq!(BankClient::name(&north).await.unwrap(), "north", "what is here is asked here");
    let options = dunlin::CallOptions::default().key("ann");
    let by_key = shop.call_with::<String>("Bank.name", &(), &options).await.unwrap();
    assert_eq!(north.call_with::<String>("Bank.name", &(), &options).await.unwrap(), by_key);
    let mut all: Vec<String> =
        shop.call_all("Bank.name", &()).await.unwrap().into_iter().map(|node| node.answer.unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, ["north", "south"]);
    cluster.kill("north");
    cluster.kill("south");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(BankClient::name(&shop).await.unwrap_err().code(), 503);
}

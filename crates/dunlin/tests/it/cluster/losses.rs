//! What becomes of calls when nodes die, stand still, or stop.

use std::sync::Arc;
use std::time::Duration;

use dunlin::{App, CallError, LocalClient, TestCluster};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{Seen, room, with_gates};

async fn two_backends() -> (TestCluster, Arc<Seen>) {
    let (mut cluster, seen) = (TestCluster::new(), Arc::new(Seen::default()));
    cluster.start("one", room("one", &seen)).await.unwrap();
    cluster.start("two", room("two", &seen)).await.unwrap();
    cluster.start("gate", App::new()).await.unwrap();
    (cluster, seen)
}

/// Clients by the backend that they are with.
async fn clients(cluster: &TestCluster) -> [Vec<LocalClient>; 2] {
    let mut clients = [Vec::new(), Vec::new()];
    for _ in 0..30 {
        let client = cluster.connect("gate").await.unwrap();
        let name = client.request::<String>("Room.name", ()).await.unwrap();
        clients[usize::from(name == "two")].push(client);
    }
    assert!(clients.iter().all(|clients| !clients.is_empty()));
    clients
}

fn is_unavailable<T>(answer: &Result<T, CallError>) -> bool {
    matches!(answer, Err(CallError::Server { code: 503, .. }))
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_node_dies_is_answered_at_once_and_the_next_one_goes_to_another_node() {
    let (mut cluster, _) = two_backends().await;
    let [one, two] = clients(&cluster).await;
    let waiting = join_all(one.iter().map(|client| client.request::<u64>("Room.wait", 9_000)));
    let others = join_all(two.iter().map(|client| client.request::<u64>("Room.wait", 3_000)));
    let killing = async {
        sleep(Duration::from_secs(1)).await;
        cluster.kill("one");
        Instant::now()
    };
    let timed = async {
        let answers = waiting.await;
        (answers, Instant::now())
    };
    let ((answers, answered_at), others, killed_at) = tokio::join!(timed, others, killing);
    assert!(answers.iter().all(is_unavailable), "{answers:?}");
    assert!(answered_at - killed_at < Duration::from_secs(1), "{:?}", answered_at - killed_at);
    assert!(others.iter().all(Result::is_ok), "the other node's go on: {others:?}");
    for client in &one {
        assert_eq!(client.request::<String>("Room.name", ()).await.unwrap(), "two");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_be_handled_twice_is_tried_once_with_another_node() {
    let (mut cluster, _) = two_backends().await;
    let [one, _two] = clients(&cluster).await;
    let asking = one[0].request::<String>("Room.again", ());
    let killing = async {
        sleep(Duration::from_secs(1)).await;
        cluster.kill("one");
    };
    let (answer, ()) = tokio::join!(asking, killing);
    assert_eq!(answer.unwrap(), "two");
    let asking = one[0].request::<String>("Room.again", ());
    let killing = async {
        sleep(Duration::from_secs(1)).await;
        cluster.kill("two");
    };
    let (answer, ()) = tokio::join!(asking, killing);
    assert!(is_unavailable(&answer), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stands_still_is_avoided_within_three_seconds() {
    let (cluster, _) = two_backends().await;
    let [one, two] = clients(&cluster).await;
    let frozen = Instant::now();
    cluster.cut("one", "gate");
    let answers = join_all(one.iter().map(|client| client.request::<String>("Room.name", ()))).await;
    assert!(answers.iter().all(is_unavailable), "{answers:?}");
    assert!(frozen.elapsed() <= Duration::from_secs(3), "{:?}", frozen.elapsed());
    for client in one.iter().chain(&two) {
        assert_eq!(client.request::<String>("Room.name", ()).await.unwrap(), "two");
    }
    cluster.heal();
    cluster.settle().await;
    assert_eq!(one[0].request::<String>("Room.name", ()).await.unwrap(), "two", "it stays where it is");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_stops_loses_no_request() {
    let (mut cluster, _) = two_backends().await;
    let clients = clients(&cluster).await;
    let stopped = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asking = join_all(clients.iter().flatten().map(async |client| {
        let mut count = 0;
        while !stopped.load(std::sync::atomic::Ordering::Acquire) {
            client.request::<u64>("Room.wait", 50).await.unwrap();
            client.request::<String>("Room.name", ()).await.unwrap();
            count += 2;
        }
        count
    }));
    let stopping = async {
        sleep(Duration::from_secs(1)).await;
        cluster.stop("one").await;
        sleep(Duration::from_secs(1)).await;
        stopped.store(true, std::sync::atomic::Ordering::Release);
    };
    let (counts, ()) = tokio::join!(asking, stopping);
    assert!(counts.iter().sum::<u32>() > 500, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn without_any_node_that_serves_it_a_route_is_unavailable_and_then_unknown() {
    let (mut cluster, _) = two_backends().await;
    let [one, _two] = clients(&cluster).await;
    cluster.kill("one");
    cluster.kill("two");
    sleep(Duration::from_millis(100)).await;
    assert!(is_unavailable(&one[0].request::<String>("Room.name", ()).await));
    sleep(Duration::from_secs(10)).await;
    let gone = one[0].request::<String>("Room.name", ()).await;
    assert!(matches!(gone, Err(CallError::Server { code: 404, .. })), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_others_ask_all_the_time_drains_as_fast_as_one_that_they_do_not() {
    let (mut cluster, _) = with_gates(&["gate"]).await;
    let asking = cluster.node("gate").cluster();
    let asking = tokio::spawn(async move {
        loop {
            // While it stops there may be nobody to ask.
            asking.call_all::<String>("Room.name", &()).await.ok();
            sleep(Duration::from_millis(20)).await;
        }
    });
    sleep(Duration::from_millis(500)).await;
    let begin = Instant::now();
    cluster.stop("one").await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    asking.abort();
}

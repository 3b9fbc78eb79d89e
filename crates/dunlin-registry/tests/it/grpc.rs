//! The registry from afar.

use std::time::Duration;

use dunlin_registry::grpc::{self, RemoteError, RemoteRegistry};
use dunlin_registry::store::{Answer, EventKind, KeyRange, LeaseGrant, Operation, Put, StoreError, TxnStep};
use dunlin_registry::{Consistency, Registry as _, RegistryError, RegistryExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;

use crate::group::{Group, until};

/// A group whose members are served over gRPC.
pub(crate) struct Served {
    group: Group,
    urls: Vec<String>,
    serving: Vec<JoinHandle<()>>,
}

impl Served {
    pub(crate) async fn of(count: u64) -> Self {
        let mut served = Self { group: Group::of(count).await, urls: Vec::new(), serving: Vec::new() };
        for id in 1..=count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            served.urls.push(format!("http://{}", listener.local_addr().unwrap()));
            let router = tonic::transport::Server::builder()
                .add_service(grpc::service(served.group.registry(id)))
                .serve_with_incoming(TcpListenerStream::new(listener));
            served.serving.push(tokio::spawn(async move { router.await.unwrap() }));
        }
        served
    }

    pub(crate) fn client(&self) -> RemoteRegistry {
        RemoteRegistry::new(self.urls.iter().map(String::as_str)).unwrap()
    }

    pub(crate) async fn kill(&mut self, id: u64) {
        self.group.kill(id).await;
        self.serving[usize::try_from(id).unwrap() - 1].abort();
    }
}

fn put(key: &str, value: &str) -> Operation {
    Operation::Put(Put { key: key.to_owned().into(), value: value.to_owned().into(), lease: 0 })
}

#[tokio::test]
async fn what_is_done_from_afar_is_what_a_member_has() {
    let served = Served::of(3).await;
    let client = served.client();
    assert_eq!(client.execute(put("key", "value")).await.unwrap().answer, Some(Answer::Put(false)));
    let (answer, revision) = client.range(KeyRange::all(), 0, Consistency::Linearizable).await.unwrap();
    assert_eq!((answer.entries[0].value.as_ref(), revision), (&b"value"[..], 1));
    let near = served.group.registry(3).get("key", Consistency::Linearizable).await.unwrap();
    assert_eq!(near, answer.entries.into_iter().next());
    let status = client.status().await.unwrap();
    assert_eq!((status.members.len(), status.leader), (3, served.group.leader().await));
}

#[tokio::test]
async fn a_refusal_from_afar_is_the_stores_and_numbers_go_on_after_it() {
    let served = Served::of(1).await;
    let client = served.client();
    let grant = Operation::LeaseGrant(LeaseGrant { lease: 5, ttl_ms: 10 });
    let refused = client.execute(grant).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Store(StoreError::LeaseTtl { ttl_ms: 10 })), "{refused:?}");
    client.execute(put("key", "value")).await.unwrap();
    let nothing = TxnStep::Put(Put::default()).into();
    let txn = dunlin_registry::store::Txn { then: vec![nothing], ..Default::default() };
    let refused = client.execute(Operation::Txn(txn)).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Store(StoreError::KeyEmpty)), "{refused:?}");
}

#[tokio::test]
async fn when_the_member_that_answered_is_gone_the_next_one_does() {
    let mut served = Served::of(3).await;
    let client = served.client().with_timeout(Duration::from_secs(15));
    let (told, first) = (client.clone(), put("key", "1"));
    tokio::spawn(async move { told.execute(first).await.unwrap() }).await.unwrap();
    let mut watch = client.watch(KeyRange::key("key"), 0).await.unwrap();
    served.kill(1).await;
    client.execute(put("key", "2")).await.unwrap();
    let event = watch.next().await.unwrap();
    assert_eq!((event.kind, event.entry.value.as_ref()), (EventKind::Put, &b"2"[..]));
    client.execute(put("key", "3")).await.unwrap();
    assert_eq!(watch.next().await.unwrap().entry.version, 3, "each was done once");
}

#[tokio::test]
async fn a_member_that_stands_still_costs_a_request_only_its_share_of_the_time() {
    let served = Served::of(2).await;
    // The kernel takes connections to it, and nobody ever says anything on them.
    let still = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", still.local_addr().unwrap());
    let urls = std::iter::once(&url).chain(&served.urls).map(String::as_str);
    let client = RemoteRegistry::new(urls).unwrap().with_timeout(Duration::from_secs(15));
    let begin = std::time::Instant::now();
    client.execute(put("key", "value")).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    let again = std::time::Instant::now();
    client.range(KeyRange::all(), 0, Consistency::Linearizable).await.unwrap();
    assert!(again.elapsed() < Duration::from_secs(5), "it is passed over now: {:?}", again.elapsed());
}

#[tokio::test]
async fn a_watch_from_afar_begins_where_it_is_asked_to_and_knows_where_to_go_on() {
    let served = Served::of(1).await;
    let client = served.client();
    for n in 1..=20 {
        client.execute(put("key", &n.to_string())).await.unwrap();
    }
    let mut watch = client.watch(KeyRange::all(), 11).await.unwrap();
    for revision in 11..=20 {
        assert_eq!(watch.next().await.unwrap().revision(), revision);
    }
    assert_eq!(watch.resume_revision(), 21);
}

#[tokio::test]
async fn without_a_quorum_it_takes_as_long_as_it_may_and_no_longer() {
    let mut served = Served::of(3).await;
    served.kill(2).await;
    served.kill(3).await;
    let client = served.client().with_timeout(Duration::from_millis(800));
    let begin = std::time::Instant::now();
    let late = client.execute(put("key", "value")).await.unwrap_err();
    assert!(matches!(late, RegistryError::TimedOut), "{late:?}");
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert!(matches!(RemoteRegistry::new([]), Err(RemoteError::Nobody)));
    let near = served.group.registry(1).with_timeout(Duration::from_millis(100)).put("k", "", 0).await;
    assert!(matches!(near, Err(RegistryError::TimedOut | RegistryError::NoLeader)));
}

#[tokio::test]
async fn somebody_new_joins_by_asking_any_member_and_is_told_who_is_there() {
    let mut served = Served::of(3).await;
    let leader = served.group.leader().await;
    let follower = usize::try_from(served.group.others(leader)[0]).unwrap() - 1;
    let client = RemoteRegistry::new([&*served.urls[follower]]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let me = dunlin_registry::store::Member { id: 4, urls: vec![url], ..Default::default() };
    let (cluster, members) = client.join(&me).await.unwrap();
    assert_eq!((cluster, members.len()), (served.group.cluster(), 4));
    // Asking again is no second change.
    assert_eq!(client.join(&me).await.unwrap().1.len(), 4);
    served.group.start_joined(4, members, listener);
    until(async || {
        let voters = client.status().await.ok()?.members.into_iter().filter(|member| !member.is_learner);
        (voters.count() == 4).then_some(())
    })
    .await;
    client.transfer_leadership(4).await.unwrap();
    until(async || (client.status().await.ok()?.leader == 4).then_some(())).await;
    client.remove_member(4).await.unwrap();
    let gone = client.add_member(&me).await.unwrap_err();
    assert!(matches!(&gone, RegistryError::Refused { reason } if reason.contains("was removed")), "{gone:?}");
}

//! What is etcd's own: limits of its requests, its compaction, its space, members that die while they are asked, and others who share a cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_etcd::EtcdRegistry;
use dunlin_registry::store::{KeyRange, Operation, Put, StoreError, Txn, TxnStep};
use dunlin_registry::{Consistency, Registry as _, RegistryError, RegistryExt as _};
use prost::Message;
use tokio::net::TcpListener;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::members::{Members, until_it_answers};

/// Forgets what happened before a revision.
#[derive(Clone, PartialEq, Message)]
struct CompactionRequest {
    #[prost(int64, tag = "1")]
    revision: i64,
}

/// An answer that is not looked at.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ignored {}

/// Asks a server what registries do not.
pub(crate) async fn ask<Q: Message + 'static>(
    url: &str,
    path: &'static str,
    message: Q,
) -> Result<(), Status> {
    let mut grpc = Grpc::<Channel>::new(Endpoint::from_shared(url.to_owned()).unwrap().connect_lazy());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<Q, Ignored>::default();
    grpc.unary(Request::new(message), PathAndQuery::from_static(path), codec).await.map(drop)
}

fn put(key: &str, value: Vec<u8>) -> TxnStep {
    TxnStep::Put(Put { key: key.to_owned().into(), value: value.into(), lease: 0 })
}

#[tokio::test]
async fn a_watch_from_before_a_compaction_hears_of_it_and_from_where_it_may_go_on() {
    let Some(members) = Members::of(1, &[]).await else { return };
    let registry = members.registry();
    let mut revisions = Vec::new();
    for n in 0..10 {
        revisions.push(registry.put("key", n.to_string(), 0).await.unwrap());
    }
    let compact = CompactionRequest { revision: revisions[5].cast_signed() };
    ask(&members.urls()[0], "/etcdserverpb.KV/Compact", compact).await.unwrap();
    let mut late = registry.watch(KeyRange::all(), revisions[2]).await.unwrap();
    let Err(RegistryError::Compacted(compacted)) = late.next().await else { panic!() };
    assert_eq!(compacted.compacted, revisions[5] - 1);
    let mut again = registry.watch(KeyRange::all(), compacted.compacted + 1).await.unwrap();
    assert_eq!(again.next().await.unwrap().revision(), revisions[5]);
}

#[tokio::test]
async fn others_in_the_same_cluster_see_nothing_of_ours_nor_we_of_theirs() {
    let Some(members) = Members::of(1, &[]).await else { return };
    let (ours, theirs) = (members.registry(), members.registry().with_prefix("/other/").unwrap());
    let (mut our_watch, mut their_watch) =
        (ours.watch(KeyRange::all(), 0).await.unwrap(), theirs.watch(KeyRange::all(), 0).await.unwrap());
    ours.put("key", "ours", 0).await.unwrap();
    theirs.put("key", "theirs", 0).await.unwrap();
    let value = async |registry: &EtcdRegistry| {
        registry.get("key", Consistency::Linearizable).await.unwrap().map(|entry| entry.value)
    };
    assert_eq!(
        (value(&ours).await.unwrap(), value(&theirs).await.unwrap()),
        ("ours".into(), "theirs".into())
    );
    assert_eq!(our_watch.next().await.unwrap().entry.value, "ours");
    assert_eq!(their_watch.next().await.unwrap().entry.value, "theirs");
    assert_eq!(ours.delete(KeyRange::all()).await, Ok(1));
    assert_eq!(value(&theirs).await.unwrap(), "theirs");
    let all = EtcdRegistry::new(members.urls().iter().map(String::as_str)).unwrap().with_prefix("/").unwrap();
    assert_eq!(value(&all).await, None);
    assert_eq!(all.get("other/key", Consistency::Stale).await.unwrap().unwrap().value, "theirs");
}

#[tokio::test]
async fn long_values_come_in_pieces_and_a_request_that_is_too_long_is_refused() {
    let Some(members) = Members::of(1, &[]).await else { return };
    let registry = members.registry();
    let value = |n: u8| vec![n; 1 << 20];
    let first = registry.put("00", value(0), 0).await.unwrap();
    for n in 1..24 {
        registry.put(format!("{n:02}"), value(n), 0).await.unwrap();
    }
    // More than one message may have: the first keys come, and it is said that there are more.
    let (answer, _) = registry.range(KeyRange::all(), 0, Consistency::Linearizable).await.unwrap();
    assert!((1..24).contains(&answer.entries.len()) && answer.has_more, "{}", answer.entries.len());
    assert_eq!(answer.entries[0].key, "00");
    let mut watch = registry.watch(KeyRange::all(), first).await.unwrap();
    for n in 0..24 {
        let entry = watch.next().await.unwrap().entry;
        assert_eq!((entry.key, entry.value.len()), (format!("{n:02}").into(), 1 << 20));
    }
    let long = Txn { then: vec![put("a", value(1)).into(), put("b", value(1)).into()], ..Txn::default() };
    let refused = registry.txn(long).await;
    assert!(matches!(refused, Err(RegistryError::TooLarge { len: 2_000_000.., .. })), "{refused:?}");
    let twice = Txn { then: vec![put("a", vec![]).into(), put("a", vec![]).into()], ..Txn::default() };
    assert!(matches!(registry.txn(twice).await, Err(RegistryError::Refused { .. })));
}

#[tokio::test]
async fn a_cluster_without_space_says_how_full_it_is() {
    let Some(members) = Members::of(1, &["--quota-backend-bytes", "4000000"]).await else { return };
    let registry = members.registry();
    let put = |n: u8| Operation::Put(Put { key: vec![n].into(), value: vec![n; 1 << 20].into(), lease: 0 });
    let mut refused = None;
    for n in 1..20 {
        if let Err(error) = registry.execute(put(n)).await {
            refused = Some(error);
            break;
        }
    }
    let Some(RegistryError::Store(StoreError::Full { len, .. })) = refused else { panic!("{refused:?}") };
    assert!(len > 1 << 20, "{len}");
}

#[tokio::test]
async fn a_member_that_never_answers_keeps_no_read_and_no_watch_and_one_command_at_most() {
    let Some(members) = Members::of(1, &[]).await else { return };
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = [format!("http://{}", silent.local_addr().unwrap()), members.urls().remove(0)];
    let client = || {
        let registry = EtcdRegistry::new(urls.iter().map(String::as_str)).unwrap();
        registry.with_timeout(Duration::from_secs(2))
    };
    assert_eq!(client().get("key", Consistency::Linearizable).await, Ok(None));
    client().watch(KeyRange::all(), 0).await.unwrap();
    let registry = client();
    assert_eq!(registry.put("key", "1", 0).await, Err(RegistryError::TimedOut));
    registry.put("key", "2", 0).await.unwrap();
    let entry = registry.get("key", Consistency::Linearizable).await.unwrap().unwrap();
    assert_eq!((entry.version, entry.value.as_ref()), (1, &b"2"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_while_members_die_is_there_and_seen_once() {
    let Some(mut members) = Members::of(3, &[]).await else { return };
    let registry = members.registry();
    let mut watch = registry.watch(KeyRange::all(), 0).await.unwrap();
    let writing = tokio::spawn({
        let registry = registry.clone();
        async move {
            let (mut answered, mut unknown) = (BTreeMap::new(), 0_u32);
            for n in 0.. {
                match registry.put(n.to_string(), "", 0).await {
                    Ok(revision) => drop(answered.insert(n.to_string(), revision)),
                    Err(RegistryError::TimedOut | RegistryError::NoLeader) => unknown += 1,
                    Err(error) => panic!("{error:?}"),
                }
                if registry.get("stop", Consistency::Linearizable).await.is_ok_and(|stop| stop.is_some()) {
                    return (answered, unknown);
                }
            }
            unreachable!()
        }
    });
    for place in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        members.kill(place);
        tokio::time::sleep(Duration::from_secs(1)).await;
        members.start(place);
        until_it_answers(&registry).await;
    }
    registry.put("stop", "", 0).await.unwrap();
    let (answered, unknown) = writing.await.unwrap();
    registry.put("last", "", 0).await.unwrap();
    let mut seen = BTreeMap::new();
    loop {
        let event = watch.next().await.unwrap();
        if event.entry.key == "last" {
            break;
        }
        let key = String::from_utf8(event.entry.key.to_vec()).unwrap();
        assert_eq!(event.entry.version, 1, "{key} was put once");
        assert!(seen.insert(key, event.entry.mod_revision).is_none(), "no event comes twice");
    }
    assert!(answered.len() > 10, "{} and {unknown}", answered.len());
    for (key, revision) in answered {
        assert_eq!(seen.get(&key), Some(&revision), "{key}");
    }
}

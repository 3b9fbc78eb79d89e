//! What every registry must do, claimed of a cluster of etcd.

use std::sync::Arc;

use dunlin_etcd::EtcdRegistry;
use dunlin_registry::conformance::{self, Finding};
use dunlin_registry::store::KeyRange;
use dunlin_registry::{Registry as _, RegistryExt as _};

use crate::members::{Members, until_it_answers};

async fn claim_of(one: &EtcdRegistry, other: &EtcdRegistry) {
    let findings = conformance::run(Arc::new(one.clone()), Arc::new(other.clone())).await;
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| finding.violation.is_some()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_alone_conforms() {
    let Some(members) = Members::of(1, &[]).await else { return };
    claim_of(&members.registry(), &members.registry()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_conforms_also_when_the_member_that_was_asked_is_gone_and_watches_go_on() {
    let Some(mut members) = Members::of(3, &[]).await else { return };
    let (one, other) = (members.registry(), members.registry());
    let mut watch = one.watch(KeyRange::key("held"), 0).await.unwrap();
    for round in 1..=3 {
        // What is proposed to a leader that has just died is lost with it, and nobody knows: claims are about a cluster that has a leader.
        until_it_answers(&one).await;
        until_it_answers(&other).await;
        claim_of(&one, &other).await;
        let put = other.put("held", round.to_string(), 0).await.unwrap();
        let event = watch.next().await.unwrap();
        assert_eq!((event.entry.version, event.revision()), (round, put));
        match round {
            1 => members.kill(0),
            2 => {
                members.start(0);
                until_it_answers(&members.registry()).await;
                members.kill(1);
            }
            _ => {}
        }
    }
}

//! What every registry must do, claimed of each of ours.

use std::sync::Arc;
use std::time::Duration;

use dunlin_registry::conformance::{self, Finding};
use dunlin_registry::{MemoryRegistry, Registry};

use crate::group::Group;
use crate::grpc::Served;

fn hold(findings: &[Finding]) {
    let wrong: Vec<_> = findings.iter().filter(|finding| finding.violation.is_some()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(findings.len(), conformance::CLAIMS.len());
}

async fn claim_of(one: impl Registry, other: impl Registry) {
    hold(&conformance::run(Arc::new(one), Arc::new(other)).await);
}

#[tokio::test(start_paused = true)]
async fn one_process_alone_conforms() {
    let registry = MemoryRegistry::new();
    claim_of(registry.clone(), registry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_alone_conforms() {
    let group = Group::of(1).await;
    claim_of(group.registry(1), group.registry(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_member_of_a_group_conforms_whoever_leads() {
    let group = Group::of(3).await;
    let leader = group.leader().await;
    let [follower, other] = group.others(leader)[..] else { panic!() };
    let pairs = [(leader, follower), (follower, other), (other, leader)];
    // Longer than a machine that does other things may stand still.
    let registry = |id| group.registry(id).with_timeout(Duration::from_secs(20));
    let claims = pairs.map(|(one, other)| claim_of(registry(one), registry(other)));
    futures_util::future::join_all(claims).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_from_afar_conforms_also_when_a_member_that_was_asked_is_gone() {
    let mut served = Served::of(3).await;
    let client = || served.client().with_timeout(Duration::from_secs(20));
    let (one, other) = (client(), client());
    claim_of(one.clone(), other.clone()).await;
    served.kill(1).await;
    claim_of(one, other).await;
}

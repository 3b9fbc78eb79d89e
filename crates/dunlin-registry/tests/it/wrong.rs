//! Registries with a fault each, which the claims must find: a claim that no fault makes false says nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_registry::conformance::{self, CLAIMS};
use dunlin_registry::store::{
    Answer, Answered, Event, EventKind, KeyRange, Operation, RangeAnswer, StoreError, Txn, TxnAnswer,
    TxnOperation, TxnStep,
};
use dunlin_registry::{Consistency, MemoryRegistry, Registry, RegistryError, Watch, WatchSource};
use futures_util::future::BoxFuture;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    DoesPutsTwice,
    LosesPuts,
    IgnoresLimits,
    HidesThatThereAreMore,
    ReversesRanges,
    ReadsWhatWasThereBefore,
    TearsTransactions,
    TakesTheOtherBranch,
    LetsUnknownComparisonsHold,
    TakesKeysWithoutLease,
    LetsLeasesLiveForADay,
    EndsLeasesAlone,
    DoesNotKeepAlive,
    LosesEvents,
    RepeatsEvents,
    BeginsWatchesLate,
    WatchesEverything,
    ForgetsDeletes,
    RefusesOtherwise,
}

use Fault::*;

/// Each fault, and a family of claims that must find it.
const FAULTS: [(Fault, &str); 19] = [
    (DoesPutsTwice, "keys/"),
    (LosesPuts, "many/"),
    (IgnoresLimits, "ranges/"),
    (HidesThatThereAreMore, "ranges/"),
    (ReversesRanges, "ranges/"),
    (ReadsWhatWasThereBefore, "keys/"),
    (TearsTransactions, "txns/"),
    (TakesTheOtherBranch, "txns/"),
    (LetsUnknownComparisonsHold, "txns/"),
    (TakesKeysWithoutLease, "leases/"),
    (LetsLeasesLiveForADay, "leases/"),
    (EndsLeasesAlone, "leases/"),
    (DoesNotKeepAlive, "leases/"),
    (LosesEvents, "watches/"),
    (RepeatsEvents, "watches/"),
    (BeginsWatchesLate, "watches/"),
    (WatchesEverything, "watches/"),
    (ForgetsDeletes, "watches/"),
    (RefusesOtherwise, "refusals/"),
];

#[derive(Debug, Clone)]
struct Wrong {
    fault: Fault,
    right: MemoryRegistry,
    count: Arc<AtomicU64>,
}

impl Wrong {
    fn is_turn(&self, every: u64) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }

    async fn execute_wrongly(&self, operation: Operation) -> Result<Answered, RegistryError> {
        let execute = |operation| self.right.execute(operation);
        match (self.fault, operation) {
            (DoesPutsTwice, put @ Operation::Put(_)) => {
                execute(put.clone()).await?;
                execute(put).await
            }
            (LosesPuts, Operation::Put(put)) if self.is_turn(100) => {
                let revision = execute(Operation::Delete(KeyRange::key("none"))).await?.revision + 1;
                Ok(Answered { revision, answer: Some(Answer::Put(put.value.is_empty())) })
            }
            (TakesKeysWithoutLease, Operation::Put(put)) => {
                execute(Operation::Put(dunlin_registry::store::Put { lease: 0, ..put })).await
            }
            (LetsLeasesLiveForADay, Operation::LeaseGrant(mut grant)) => {
                if grant.ttl_ms != 0 && grant.ttl_ms < 60_000 && grant.ttl_ms >= 1_000 {
                    grant.ttl_ms = 86_400_000;
                }
                execute(Operation::LeaseGrant(grant)).await
            }
            (EndsLeasesAlone, Operation::LeaseRevoke(revoke)) => {
                let answer = Some(Answer::Lease(revoke.lease));
                Ok(Answered { revision: 1, answer })
            }
            (DoesNotKeepAlive, Operation::LeaseKeepAlive(lease)) => {
                Ok(Answered { revision: 1, answer: Some(Answer::Lease(lease)) })
            }
            (_, Operation::Txn(txn)) => self.transact_wrongly(txn).await,
            (RefusesOtherwise, operation) => execute(operation).await.map_err(|error| match error {
                RegistryError::Store(StoreError::LeaseUnknown { .. }) => RegistryError::TimedOut,
                error => error,
            }),
            (_, operation) => execute(operation).await,
        }
    }

    async fn transact_wrongly(&self, mut txn: Txn) -> Result<Answered, RegistryError> {
        let execute = |operation| self.right.execute(operation);
        match self.fault {
            TakesTheOtherBranch => std::mem::swap(&mut txn.then, &mut txn.otherwise),
            LetsUnknownComparisonsHold => {
                txn.compares.retain(|compare| compare.compared.is_some() && compare.relation < 4);
            }
            TearsTransactions if txn.compares.is_empty() => return self.tear(txn.then).await,
            _ => {}
        }
        execute(Operation::Txn(txn)).await
    }

    /// One step after another.
    async fn tear(&self, operations: Vec<TxnOperation>) -> Result<Answered, RegistryError> {
        let mut steps = Vec::new();
        let mut revision = 1;
        for TxnOperation { step } in operations {
            let operation = match step {
                Some(TxnStep::Put(put)) => Operation::Put(put),
                Some(TxnStep::Delete(range)) => Operation::Delete(range),
                step => Operation::Txn(Txn { then: vec![TxnOperation { step }], ..Txn::default() }),
            };
            let done = self.right.execute(operation).await?;
            revision = done.revision;
            steps.push(match done.answer {
                Some(Answer::Txn(mut answer)) => answer.steps.remove(0),
                _ => done,
            });
        }
        let answer = Some(Answer::Txn(TxnAnswer { has_held: true, steps }));
        Ok(Answered { revision, answer })
    }

    async fn range_wrongly(
        &self,
        (range, limit): (KeyRange, u64),
        consistency: Consistency,
    ) -> Result<(RangeAnswer, u64), RegistryError> {
        let limit = if self.fault == IgnoresLimits { 0 } else { limit };
        let (mut answer, revision) = self.right.range(range, limit, consistency).await?;
        match self.fault {
            HidesThatThereAreMore => answer.has_more = false,
            ReversesRanges => answer.entries.reverse(),
            ReadsWhatWasThereBefore if self.is_turn(3) => answer.entries.clear(),
            _ => {}
        }
        Ok((answer, revision))
    }
}

impl Registry for Wrong {
    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Answered, RegistryError>> {
        Box::pin(self.execute_wrongly(operation))
    }

    fn range(
        &self,
        range: KeyRange,
        limit: u64,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<(RangeAnswer, u64), RegistryError>> {
        Box::pin(self.range_wrongly((range, limit), consistency))
    }

    fn watch(&self, range: KeyRange, from_revision: u64) -> BoxFuture<'_, Result<Watch, RegistryError>> {
        Box::pin(async move {
            let range = if self.fault == WatchesEverything { KeyRange::all() } else { range };
            let from = match (self.fault, from_revision) {
                (BeginsWatchesLate, 1..) => from_revision + 1,
                _ => from_revision,
            };
            let watch = self.right.watch(range, from).await?;
            let next = watch.resume_revision();
            Ok(Watch::new(Box::new(WrongSource { wrong: self.clone(), watch }), next))
        })
    }
}

#[derive(Debug)]
struct WrongSource {
    wrong: Wrong,
    watch: Watch,
}

impl WatchSource for WrongSource {
    fn next_events(&mut self) -> BoxFuture<'_, Result<(Vec<Event>, u64), RegistryError>> {
        Box::pin(async {
            let event = self.watch.next().await?;
            let next = self.watch.resume_revision();
            let events = match self.wrong.fault {
                LosesEvents if self.wrong.is_turn(10) => vec![],
                RepeatsEvents if self.wrong.is_turn(10) => vec![event.clone(), event],
                ForgetsDeletes if event.kind == EventKind::Delete => vec![],
                _ => vec![event],
            };
            Ok((events, next))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_makes_a_claim_false_that_is_about_it() {
    for (fault, family) in FAULTS {
        let wrong = Wrong { fault, right: MemoryRegistry::new(), count: Arc::default() };
        let findings = conformance::run(Arc::new(wrong.clone()), Arc::new(wrong)).await;
        let found = findings.iter().filter(|finding| finding.violation.is_some());
        let found: Vec<&str> = found.map(|finding| finding.claim).collect();
        assert!(found.iter().any(|claim| claim.starts_with(family)), "{fault:?} is found by {found:?}");
    }
}

#[test]
fn names_of_claims_are_of_a_family_and_differ() {
    let mut names: Vec<&str> = CLAIMS.iter().map(|(name, _)| *name).collect();
    assert!(names.iter().all(|name| name.split_once('/').is_some()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CLAIMS.len());
}

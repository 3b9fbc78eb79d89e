//! Claims about transactions.

use super::place::{Place, answers};
use super::violation::{Done, Violation, holds, same};
use crate::registry::RegistryExt as _;
use crate::store::{
    Answer, Answered, Compare, Compared, Get, KeyRange, Operation, Relation, Txn, TxnAnswer, TxnOperation,
    TxnStep,
};

use Relation::{Equal, Greater, Less, NotEqual};

async fn txn(place: &Place, txn: Txn) -> Result<TxnAnswer, Violation> {
    place.one.txn(txn).await.done("a transaction")
}

fn compare(place: &Place, name: &str, relation: Relation, compared: Compared) -> Compare {
    Compare { key: place.key(name), relation: relation.into(), compared: Some(compared) }
}

/// Whether all of this holds, as the registry sees it.
async fn asks(place: &Place, compares: Vec<Compare>) -> Result<bool, Violation> {
    Ok(txn(place, Txn { compares, ..Txn::default() }).await?.has_held)
}

fn get(range: KeyRange) -> TxnOperation {
    TxnStep::Get(Get { range, limit: 0 }).into()
}

pub(super) async fn branches(place: &Place) -> Result<(), Violation> {
    let take = |value: &str| Txn {
        compares: vec![compare(place, "key", Equal, Compared::CreateRevision(0))],
        then: vec![place.put_step("key", value)],
        otherwise: vec![get(KeyRange::key(place.key("key"))), place.put_step("late", value)],
    };
    let first = txn(place, take("first")).await?;
    same(
        "the first of two who want a key",
        (first.has_held, answers(first.steps)),
        (true, vec![Some(Answer::Put(false))]),
    )?;
    let second = txn(place, take("second")).await?;
    holds("the second does not get it", !second.has_held)?;
    let mut steps = answers(second.steps);
    same("the second step of the other branch", steps.pop(), Some(Some(Answer::Put(false))))?;
    let Some(Some(Answer::Range(read))) = steps.pop() else {
        return Err(Violation::DoesNotHold { what: "a read in a transaction gives keys" });
    };
    same("what the second reads", read.entries, vec![place.must_get("key").await?])?;
    same("the value", &place.must_get("key").await?.value[..], b"first")?;
    same("what is compared and found with nothing to do", asks(place, Vec::new()).await?, true)?;
    place.must_have("the keys of both branches", &["key", "late"]).await
}

pub(super) async fn comparisons(place: &Place) -> Result<(), Violation> {
    place.put("key", "1").await?;
    let lease = place.lease(std::time::Duration::from_secs(60)).await?;
    place.put_leased("key", "m", lease).await?;
    let entry = place.must_get("key").await?;
    let numbers = [
        (Compared::Version as fn(u64) -> Compared, entry.version),
        (Compared::CreateRevision, entry.create_revision),
        (Compared::ModRevision, entry.mod_revision),
        (Compared::Lease, lease),
    ];
    let mut cases = Vec::new();
    for (compared, is) in numbers {
        cases.extend([
            (compared(is), [true, false, false, false]),
            (compared(is - 1), [false, true, true, false]),
            (compared(is + 1), [false, true, false, true]),
        ]);
    }
    let value = |value: &str| Compared::Value(value.to_owned().into());
    cases.extend([
        (value("m"), [true, false, false, false]),
        (value("a"), [false, true, true, false]),
        (value("ma"), [false, true, false, true]),
        (value(""), [false, true, true, false]),
    ]);
    cases.extend([(Compared::Version(u64::MAX), [false, true, false, true])]);
    for (compared, expected) in cases {
        let mut seen = [false; 4];
        for (seen, relation) in seen.iter_mut().zip([Equal, NotEqual, Greater, Less]) {
            *seen = asks(place, vec![compare(place, "key", relation, compared.clone())]).await?;
        }
        same("whether it is equal, not equal, greater, less", (&compared, seen), (&compared, expected))?;
    }
    let both = |second| {
        vec![
            compare(place, "key", Equal, Compared::Version(2)),
            compare(place, "key", Equal, Compared::Version(second)),
        ]
    };
    same("two that hold", asks(place, both(2)).await?, true)?;
    same("one of two that holds", asks(place, both(3)).await?, false)?;
    place.one.revoke_lease(lease).await.done("ending a lease")
}

pub(super) async fn absent(place: &Place) -> Result<(), Violation> {
    for number in [
        Compared::Version as fn(u64) -> Compared,
        Compared::CreateRevision,
        Compared::ModRevision,
        Compared::Lease,
    ] {
        same(
            "zero of a key that is not there",
            asks(place, vec![compare(place, "none", Equal, number(0))]).await?,
            true,
        )?;
        same("less than one", asks(place, vec![compare(place, "none", Less, number(1))]).await?, true)?;
        same(
            "greater than zero",
            asks(place, vec![compare(place, "none", Greater, number(0))]).await?,
            false,
        )?;
    }
    for relation in [Equal, NotEqual, Greater, Less] {
        for value in ["", "value"] {
            let compare = compare(place, "none", relation, Compared::Value(value.to_owned().into()));
            same("any value of a key that is not there", asks(place, vec![compare]).await?, false)?;
        }
    }
    Ok(())
}

pub(super) async fn never(place: &Place) -> Result<(), Violation> {
    place.put("key", "1").await?;
    let holding = compare(place, "key", Equal, Compared::Version(1));
    let unknown_relation = Compare { relation: 77, ..holding.clone() };
    let nothing = Compare { compared: None, ..holding.clone() };
    for never in [unknown_relation, nothing] {
        same("what cannot be compared", asks(place, vec![holding.clone(), never]).await?, false)?;
    }
    same("what can", asks(place, vec![holding]).await?, true)
}

pub(super) async fn one_revision(place: &Place) -> Result<(), Violation> {
    let before = place.put("old", "1").await?;
    let then = vec![
        place.put_step("a", "1"),
        TxnOperation { step: None },
        TxnStep::Delete(KeyRange::key(place.key("old"))).into(),
        place.put_step("b", "1"),
    ];
    let Answered { revision, answer } = place.execute(Operation::Txn(Txn { then, ..Txn::default() })).await?;
    let Some(Answer::Txn(answer)) = answer else {
        return Err(Violation::DoesNotHold { what: "the answer to a transaction is one" });
    };
    holds("a transaction has a revision of its own", revision > before)?;
    let revisions: Vec<u64> = answer.steps.iter().map(|step| step.revision).collect();
    same("the revision of each step", revisions, vec![revision; 4])?;
    let expected = vec![Some(Answer::Put(false)), None, Some(Answer::Deleted(1)), Some(Answer::Put(false))];
    same("what the steps did", answers(answer.steps), expected)?;
    for name in ["a", "b"] {
        let entry = place.must_get(name).await?;
        same("the revision of its keys", (entry.create_revision, entry.mod_revision), (revision, revision))?;
    }
    place.must_have("the keys after it", &["a", "b"]).await
}

pub(super) async fn reads_its_own(place: &Place) -> Result<(), Violation> {
    place.put("a", "old").await?;
    let then =
        vec![get(place.all()), place.put_step("a", "new"), place.put_step("b", "new"), get(place.all())];
    let steps = answers(txn(place, Txn { then, ..Txn::default() }).await?.steps);
    let values = |answer: Option<&Option<Answer>>| match answer {
        Some(Some(Answer::Range(read))) => Some(
            read.entries.iter().map(|entry| String::from_utf8_lossy(&entry.value).into_owned()).collect(),
        ),
        _ => None,
    };
    same("what is read before", values(steps.first()), Some(vec!["old".to_owned()]))?;
    same("what is read after", values(steps.last()), Some(vec!["new".to_owned(), "new".to_owned()]))
}

pub(super) async fn only_reads(place: &Place) -> Result<(), Violation> {
    let revision = place.put("key", "1").await?;
    let reads = Txn {
        then: vec![get(place.all()), TxnStep::Delete(KeyRange::key(place.key("none"))).into()],
        ..Txn::default()
    };
    let done = place.execute(Operation::Txn(reads)).await?;
    holds("it is of a revision not before what it sees", done.revision >= revision)?;
    let mut watch = place.watch(revision + 1).await?;
    let next = place.put("key", "2").await?;
    let seen = place.next(&mut watch).await?;
    same("the event after a transaction that changed nothing", seen.2, next)
}

//! The state machine by itself: what commands do, what is refused, what watches see, and that an image is the whole of it.

use dunlin_rafthttp::raftpb::{ConfChangeSingle, ConfChangeType};
use prost::Message;

use super::*;
use crate::limits::{CLIENTS_MAX, KEY_LEN_MAX, LEASES_MAX, TXN_OPERATIONS_MAX, VALUE_LEN_MAX};

mod properties;

fn put(key: &str, value: &str) -> Operation {
    put_under(key, value, 0)
}

fn put_under(key: &str, value: &str, lease: u64) -> Operation {
    Operation::Put(Put { key: key.to_owned().into(), value: value.to_owned().into(), lease })
}

fn delete(range: KeyRange) -> Operation {
    Operation::Delete(range)
}

fn grant(lease: u64, ttl_ms: u64) -> Operation {
    Operation::LeaseGrant(LeaseGrant { lease, ttl_ms })
}

fn compare(key: &str, relation: Relation, compared: Compared) -> Compare {
    Compare { key: key.to_owned().into(), relation: relation.into(), compared: Some(compared) }
}

/// A store to which commands of nobody are applied one after another.
struct Told(Store);

impl Told {
    fn new() -> Self {
        Self(Store::new())
    }

    fn tell(&mut self, operation: Operation) -> Outcome {
        let index = self.0.applied() + 1;
        self.0.apply(index, &Command { operation: Some(operation), ..Command::default() })
    }

    fn answer(&mut self, operation: Operation) -> Answer {
        self.tell(operation).unwrap().answer.unwrap()
    }

    fn tell_for(&mut self, client: u64, sequence: u64, operation: Operation) -> Outcome {
        let index = self.0.applied() + 1;
        self.0.apply(index, &Command { client, sequence, operation: Some(operation), request: 0 })
    }

    fn keys(&self, range: &KeyRange) -> Vec<String> {
        let name = |entry: KeyValue| String::from_utf8(entry.key.to_vec()).unwrap();
        self.0.range(range, 0).entries.into_iter().map(name).collect()
    }

    fn get(&self, key: &str) -> Option<KeyValue> {
        self.0.range(&KeyRange::key(key.to_owned()), 0).entries.pop()
    }
}

#[test]
fn each_change_makes_one_revision_and_a_key_knows_its_own() {
    let mut store = Told::new();
    assert_eq!(store.answer(put("a", "1")), Answer::Put(false));
    assert_eq!(store.tell(put("b", "2")).unwrap().revision, 2);
    assert_eq!(store.answer(put("a", "3")), Answer::Put(true));
    let entry = store.get("a").unwrap();
    assert_eq!((entry.create_revision, entry.mod_revision, entry.version), (1, 3, 2));
    assert_eq!(store.answer(delete(KeyRange::key("c"))), Answer::Deleted(0));
    assert_eq!(store.0.revision(), 3, "nothing was there");
    assert_eq!(store.answer(delete(KeyRange::all())), Answer::Deleted(2));
    assert_eq!((store.0.revision(), store.0.len()), (4, 0));
    store.tell(put("a", "4")).unwrap();
    assert_eq!(store.get("a").map(|entry| (entry.create_revision, entry.version)), Some((5, 1)));
}

#[test]
fn ranges_are_a_key_a_prefix_or_all_up_to_another() {
    let mut store = Told::new();
    for key in ["a", "b", "b/1", "b/2", "b0", "c"] {
        store.tell(put(key, "")).unwrap();
    }
    assert_eq!(store.keys(&KeyRange::key("b")), ["b"]);
    assert_eq!(store.keys(&KeyRange::prefix("b/")), ["b/1", "b/2"]);
    assert_eq!(store.keys(&KeyRange::between("b", "b0")), ["b", "b/1", "b/2"]);
    assert_eq!(store.keys(&KeyRange::between("b0", "")), ["b0", "c"]);
    assert_eq!(store.keys(&KeyRange::between("c", "a")), Vec::<String>::new());
    assert_eq!(store.keys(&KeyRange::all()).len(), 6);
    assert_eq!(KeyRange::prefix(&[0xFF, 0xFF][..]).end.unwrap(), "", "nothing is above these");
    assert!(KeyRange::prefix(&[1, 0xFF][..]).contains(&[1, 0xFF, 3]));
    let answer = store.0.range(&KeyRange::all(), 2);
    assert_eq!((answer.entries.len(), answer.has_more), (2, true));
}

#[test]
fn what_is_over_a_limit_is_refused_and_changes_nothing() {
    let mut store = Told(Store::new().limited_to(1000, 100));
    let long = |len| "x".repeat(len);
    assert_eq!(store.tell(put("", "")), Err(StoreError::KeyEmpty));
    let key_len = KEY_LEN_MAX + 1;
    assert_eq!(store.tell(put(&long(key_len), "")), Err(StoreError::KeyTooLong { key_len }));
    let value_len = VALUE_LEN_MAX + 1;
    assert_eq!(store.tell(put("a", &long(value_len))), Err(StoreError::ValueTooLong { value_len }));
    assert_eq!(store.tell(put_under("a", "", 9)), Err(StoreError::LeaseUnknown { lease: 9 }));
    store.tell(put("a", &long(500))).unwrap();
    let len = store.0.len();
    assert_eq!(store.tell(put("b", &long(500))), Err(StoreError::Full { len, len_max: 1000 }));
    let many = vec![TxnOperation::default(); TXN_OPERATIONS_MAX + 1];
    let txn = Txn { then: many, ..Txn::default() };
    assert_eq!(
        store.tell(Operation::Txn(txn)),
        Err(StoreError::TxnTooLong { operations: TXN_OPERATIONS_MAX + 1 })
    );
    assert_eq!((store.0.revision(), store.keys(&KeyRange::all())), (1, vec!["a".to_owned()]));
    store.tell(delete(KeyRange::all())).unwrap();
    store.tell(put("b", &long(500))).unwrap();
}

#[test]
fn a_transaction_does_all_of_one_branch_at_one_revision_or_nothing() {
    let mut store = Told::new();
    store.tell(put("a", "1")).unwrap();
    let puts = |keys: &[&str]| {
        keys.iter()
            .map(|key| TxnStep::Put(Put { key: (*key).to_owned().into(), ..Put::default() }).into())
            .collect()
    };
    let txn = |compares, then, otherwise| Operation::Txn(Txn { compares, then, otherwise });
    let held = compare("a", Relation::Equal, Compared::Value("1".into()));
    let get = TxnStep::Get(Get { range: KeyRange::prefix("b"), limit: 0 }).into();
    let mut then: Vec<TxnOperation> = puts(&["b1", "b2"]);
    then.push(get);
    then.push(TxnStep::Delete(KeyRange::key("a")).into());
    let Answer::Txn(answer) = store.answer(txn(vec![held.clone()], then, puts(&["no"]))) else { panic!() };
    assert!(answer.has_held);
    let Some(Answer::Range(read)) = &answer.steps[2].answer else { panic!("{answer:?}") };
    assert!(read.entries.iter().all(|entry| entry.mod_revision == 2), "it sees what was put before it");
    assert_eq!(answer.steps[3], Answered { revision: 2, answer: Some(Answer::Deleted(1)) });
    assert_eq!(store.keys(&KeyRange::all()), ["b1", "b2"]);

    let Answer::Txn(answer) = store.answer(txn(vec![held], puts(&["no"]), puts(&["c"]))) else { panic!() };
    assert!(!answer.has_held);
    let bad = vec![
        TxnStep::Put(Put { key: "d".into(), ..Put::default() }).into(),
        TxnStep::Put(Put::default()).into(),
    ];
    assert_eq!(store.tell(txn(vec![], bad, vec![])), Err(StoreError::KeyEmpty));
    assert_eq!(
        (store.keys(&KeyRange::all()), store.0.revision()),
        (vec!["b1".into(), "b2".into(), "c".into()], 3)
    );
}

#[test]
fn comparisons_say_what_their_names_say() {
    use Relation::{Equal, Greater, Less, NotEqual};
    let mut store = Told::new();
    store.tell(grant(5, 2000)).unwrap();
    store.tell(put("a", "1")).unwrap();
    store.tell(put_under("a", "m", 5)).unwrap();
    let holds = |key: &str, relation, compared| store.0.holds(&compare(key, relation, compared));
    let rows = [
        (Compared::Version(2), Compared::Version(1), Compared::Version(3)),
        (Compared::CreateRevision(1), Compared::CreateRevision(0), Compared::CreateRevision(2)),
        (Compared::ModRevision(2), Compared::ModRevision(1), Compared::ModRevision(3)),
        (Compared::Value("m".into()), Compared::Value("a".into()), Compared::Value("z".into())),
        (Compared::Lease(5), Compared::Lease(4), Compared::Lease(6)),
    ];
    for (same, below, above) in rows {
        assert!(holds("a", Equal, same.clone()) && !holds("a", NotEqual, same.clone()), "{same:?}");
        assert!(holds("a", Greater, below.clone()) && holds("a", NotEqual, below.clone()));
        assert!(holds("a", Less, above.clone()) && !holds("a", Equal, above.clone()));
    }
    assert!(holds("b", Equal, Compared::Version(0)) && holds("b", Equal, Compared::CreateRevision(0)));
    assert!(!holds("b", NotEqual, Compared::Value("".into())), "no value is neither equal nor not");
    assert!(!store.0.holds(&Compare { relation: 9, ..compare("a", Equal, Compared::Version(2)) }));
    assert!(!store.0.holds(&Compare { key: "a".into(), ..Compare::default() }));
}

#[test]
fn keys_go_with_the_lease_they_were_put_under_last() {
    let mut store = Told::new();
    assert_eq!(store.answer(grant(7, 2000)), Answer::Lease(7));
    assert_eq!(store.answer(grant(0, 2000)), Answer::Lease(2), "the index of the entry");
    for (key, lease) in [("a", 7), ("b", 7), ("c", 2), ("a", 2)] {
        store.tell(put_under(key, "", lease)).unwrap();
    }
    assert!(store.0.lease_keys(7).eq(["b"]) && store.0.lease_keys(2).eq(["a", "c"]));
    let revoke = |lease| Operation::LeaseRevoke(LeaseRevoke { lease, if_renewed_at: None });
    store.tell(revoke(2)).unwrap();
    assert_eq!((store.keys(&KeyRange::all()), store.0.revision()), (vec!["b".to_owned()], 5));
    store.tell(delete(KeyRange::key("b"))).unwrap();
    assert_eq!(store.tell(revoke(7)).unwrap().revision, 6, "no key, no revision");
    assert_eq!(store.tell(revoke(7)), Err(StoreError::LeaseUnknown { lease: 7 }));
    assert_eq!(store.tell(grant(1, 10)), Err(StoreError::LeaseTtl { ttl_ms: 10 }));
}

#[test]
fn a_lease_that_was_kept_alive_meanwhile_does_not_expire() {
    let mut store = Told::new();
    store.tell(grant(7, 2000)).unwrap();
    let expire =
        |if_renewed_at| Operation::LeaseRevoke(LeaseRevoke { lease: 7, if_renewed_at: Some(if_renewed_at) });
    assert_eq!(store.answer(Operation::LeaseKeepAlive(7)), Answer::Lease(7));
    assert_eq!(store.0.lease(7).unwrap().renewed_at, 2);
    assert_eq!(store.tell(expire(1)), Err(StoreError::LeaseRenewed { lease: 7 }));
    assert_eq!(store.answer(expire(2)), Answer::Lease(7));
    assert_eq!(store.tell(Operation::LeaseKeepAlive(7)), Err(StoreError::LeaseUnknown { lease: 7 }));
}

#[test]
fn leases_are_bounded_and_ids_are_taken_once() {
    let mut store = Told::new();
    store.tell(grant(3, 2000)).unwrap();
    assert_eq!(store.tell(grant(3, 2000)), Err(StoreError::LeaseExists { lease: 3 }));
    assert_eq!(store.answer(grant(0, 2000)), Answer::Lease(4), "3 is taken");
    for _ in 2..LEASES_MAX {
        store.tell(grant(0, 2000)).unwrap();
    }
    assert_eq!(store.tell(grant(0, 2000)), Err(StoreError::TooManyLeases));
}

#[test]
fn a_retry_is_told_what_came_of_the_first_try_and_done_once() {
    let mut store = Told::new();
    let first = store.tell_for(9, 1, put("a", "1"));
    store.tell(put("a", "2")).unwrap();
    assert_eq!(store.tell_for(9, 1, put("a", "1")), first);
    assert_eq!(store.get("a").unwrap().value, "2");
    let refused = store.tell_for(9, 2, put("", ""));
    assert_eq!(store.tell_for(9, 2, put("", "")), refused);
    assert_eq!(refused, Err(StoreError::KeyEmpty));
    let gap = |sequence| Err(StoreError::SequenceGap { client: 9, sequence, last: 2 });
    assert_eq!(store.tell_for(9, 1, put("a", "1")), gap(1));
    assert_eq!(store.tell_for(9, 4, put("a", "1")), gap(4));
    assert_eq!(store.tell_for(8, 2, put("a", "1")), Err(StoreError::ClientForgotten { client: 8 }));
}

#[test]
fn the_client_that_was_silent_for_longest_is_forgotten_and_not_done_twice_for() {
    let mut store = Told::new();
    for client in 1..=CLIENTS_MAX as u64 {
        store.tell_for(client, 1, put("a", "")).unwrap();
    }
    store.tell_for(1, 2, put("a", "")).unwrap();
    store.tell_for(1 << 40, 1, put("a", "")).unwrap();
    let version = store.get("a").unwrap().version;
    assert!(store.tell_for(1, 2, put("a", "")).is_ok(), "it spoke since");
    assert_eq!(store.tell_for(2, 2, put("a", "")), Err(StoreError::ClientForgotten { client: 2 }));
    assert_eq!(store.get("a").unwrap().version, version);
}

#[test]
fn a_long_answer_is_not_kept_and_said_to_be_gone() {
    let mut store = Told::new();
    store.tell(put("a", &"x".repeat(100_000))).unwrap();
    let get = TxnStep::Get(Get { range: KeyRange::all(), limit: 0 }).into();
    let read = || Operation::Txn(Txn { then: vec![get], ..Txn::default() });
    let txn = read();
    assert!(store.tell_for(5, 1, txn.clone()).unwrap().encoded_len() > 100_000);
    assert_eq!(store.tell_for(5, 1, txn), Err(StoreError::AnswerGone { revision: 1 }));
}

#[test]
fn a_watch_that_is_too_far_behind_is_told_so() {
    let mut store = Told(Store::new().limited_to(1 << 20, 4));
    let events = |store: &Told, revision| store.0.events_since(revision, &KeyRange::all(), 100);
    for key in ["a", "b", "c"] {
        store.tell(put(key, "")).unwrap();
    }
    assert_eq!(events(&store, 1).unwrap().0.len(), 3);
    store.tell(delete(KeyRange::all())).unwrap();
    assert_eq!(events(&store, 2), Err(Compacted { compacted: 2 }));
    let (last, next) = events(&store, 3).unwrap();
    assert_eq!((last.len(), next), (4, 5));
    assert!(last[1..].iter().all(|event| event.kind == EventKind::Delete && event.revision() == 4));
    assert_eq!(events(&store, 5).unwrap(), (vec![], 5), "it is up to date");
}

#[test]
fn members_come_with_what_is_said_of_them_and_a_removed_one_is_not_proposed_again() {
    let mut store = Store::new();
    let change = |change_type: ConfChangeType, node_id, context: Bytes| ConfChangeV2 {
        changes: vec![ConfChangeSingle { change_type: change_type.into(), node_id }],
        context,
        ..ConfChangeV2::default()
    };
    let member = Member { id: 0, name: "one".into(), urls: vec!["http://a".into()], ..Member::default() };
    let add = change(ConfChangeType::AddLearnerNode, 1, member.encode_to_vec().into());
    assert_eq!(store.apply_change(1, &add), Ok(true));
    assert_eq!(store.apply_change(2, &change(ConfChangeType::AddNode, 1, Bytes::new())), Ok(true));
    assert_eq!(store.member(1), Some(&Member { id: 1, ..member }), "it has a vote and its name still");
    let update = change(ConfChangeType::UpdateNode, 1, "http://b".into());
    assert_eq!(store.apply_change(3, &update), Ok(false), "none of Raft's business");
    assert_eq!(store.member(1).unwrap().urls, ["http://b"]);
    let remove = change(ConfChangeType::RemoveNode, 1, Bytes::new());
    assert_eq!(store.check_change(&remove), Ok(()));
    store.apply_change(4, &remove).unwrap();
    assert!(store.is_removed(1) && store.members().count() == 0);
    assert_eq!(store.check_change(&add), Err(MemberError::Removed { id: 1 }));
    assert_eq!(
        store.check_change(&change(ConfChangeType::UpdateNode, 2, Bytes::new())),
        Err(MemberError::Unknown { id: 2 })
    );
    let mut strange = add;
    strange.changes[0].change_type = 9;
    assert_eq!(store.apply_change(5, &strange), Err(MemberError::UnknownChange { change_type: 9 }));
}

#[test]
fn an_image_that_is_cut_or_changed_anywhere_is_none() {
    let mut store = Told::new();
    store.tell(grant(5, 2000)).unwrap();
    store.tell_for(9, 1, put_under("key", "value", 5)).unwrap();
    let bytes: Vec<u8> = store.0.image().chunks().flat_map(Bytes::into_iter).collect();
    assert!(Store::from_image(&mut &bytes[..]).is_ok());
    for len in 0..bytes.len() {
        assert!(matches!(Store::from_image(&mut &bytes[..len]), Err(ImageError::CutShort { .. })), "{len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(Store::from_image(&mut &changed[..]).is_err(), "bit {bit}");
    }
}

#[test]
fn a_watch_that_is_ahead_of_its_member_waits_and_sees_nothing_again() {
    let mut store = Told::new();
    let events = |store: &Told, revision| store.0.events_since(revision, &KeyRange::all(), 100).unwrap();
    store.tell(put("a", "")).unwrap();
    let (none, next) = events(&store, 3);
    assert_eq!((none, next), (vec![], 3), "it has seen revision 2 elsewhere");
    store.tell(put("b", "")).unwrap();
    assert_eq!(events(&store, next), (vec![], 3));
    store.tell(put("c", "")).unwrap();
    let (seen, next) = events(&store, next);
    assert_eq!((seen.len(), seen[0].revision(), next), (1, 3, 4));
}

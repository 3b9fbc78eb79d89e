//! Tests of the translation that need no cluster.

use dunlin_registry::store::{Txn, TxnOperation};

use super::*;

fn names() -> Names {
    Names::under("/dunlin/".into()).unwrap()
}

fn range(range: &KeyRange) -> (String, String) {
    let (start, end) = names().range(range);
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    (text(start), text(end))
}

#[test]
fn no_range_reaches_beyond_the_prefix() {
    let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
    assert_eq!(range(&KeyRange::key("a")), pair("/dunlin/a", ""));
    assert_eq!(range(&KeyRange::all()), pair("/dunlin/\0", "/dunlin0"));
    assert_eq!(range(&KeyRange::prefix("a/")), pair("/dunlin/a/", "/dunlin/a0"));
    assert_eq!(range(&KeyRange::between("a", "b")), pair("/dunlin/a", "/dunlin/b"));
    assert_eq!(range(&KeyRange::between("a", "")), pair("/dunlin/a", "/dunlin0"));
    // Nothing is a key that nobody puts.
    for nothing in [KeyRange::key(""), KeyRange::between("b", "a"), KeyRange::between("b", "b")] {
        assert_eq!(range(&nothing), pair("/dunlin/", ""), "{nothing:?}");
    }
    let highest = Names::under(Bytes::from_static(b"\xff\xff")).unwrap();
    assert_eq!(highest.range(&KeyRange::all()).1, ABOVE_ALL);
    assert!(Names::under(Bytes::new()).is_none());
}

#[test]
fn a_key_comes_back_without_the_prefix_and_one_from_elsewhere_is_no_answer() {
    let entry = |key: &'static str| names().entry(KeyValue { key: key.into(), ..KeyValue::default() });
    assert_eq!(entry("/dunlin/a").unwrap().key, "a");
    assert_eq!(entry("/other/a"), Err(RegistryError::NoAnswer));
}

#[test]
fn steps_that_do_nothing_keep_their_places() {
    let nothing = TxnOperation { step: None };
    let put = TxnStep::Put(Put { key: "a".into(), ..Put::default() }).into();
    let txn = Txn { then: vec![nothing.clone(), put, nothing], ..Txn::default() };
    assert_eq!(names().txn(&txn).success.len(), 1);
    let response = ResponseOp { response: Some(ResponseStep::Put(Default::default())) };
    let header = Some(ResponseHeader { revision: 7 });
    let done = TxnResponse { header, succeeded: true, responses: vec![response] };
    let answer = names().txn_answer(&txn, done).unwrap();
    let seen: Vec<_> = answer.steps.into_iter().map(|step| (step.revision, step.answer)).collect();
    assert_eq!(seen, [(7, None), (7, Some(Answer::Put(false))), (7, None)]);
    let empty = TxnResponse { succeeded: true, ..TxnResponse::default() };
    assert_eq!(names().txn_answer(&txn, empty), Err(RegistryError::NoAnswer));
}

#[test]
fn what_only_compares_reads_something_so_that_it_is_fresh() {
    let sent = names().txn(&Txn::default());
    assert!(matches!(
        sent.success.first().and_then(|step| step.request.as_ref()),
        Some(RequestStep::Range(read)) if !read.serializable
    ));
    let done =
        TxnResponse { succeeded: true, responses: vec![ResponseOp::default()], ..TxnResponse::default() };
    assert_eq!(
        names().txn_answer(&Txn::default(), done).unwrap(),
        TxnAnswer { has_held: true, steps: vec![] }
    );
}

#[test]
fn numbers_beyond_etcds_stay_greater_than_all_and_leases_get_whole_seconds() {
    assert_eq!((signed(u64::MAX), signed(7), unsigned(-1)), (i64::MAX, 7, 0));
    assert_eq!([1_000, 1_001, 1_999, 2_000].map(ttl_s), [1, 2, 2, 2]);
    assert_eq!([0, 5, u64::MAX].map(within), [10_000, 5, 10_000]);
}

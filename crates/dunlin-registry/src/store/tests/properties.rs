//! The state machine under random commands.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn any_key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["a", "a/1", "a/2", "b", "c"]).prop_map(Bytes::from)
}

fn any_range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        any_key().prop_map(KeyRange::key),
        any_key().prop_map(KeyRange::prefix),
        (any_key(), any_key()).prop_map(|(start, end)| KeyRange::between(start, end)),
        Just(KeyRange::all()),
    ]
}

fn any_put() -> impl Strategy<Value = Put> {
    (any_key(), 0..4_u8, 0..4_u64).prop_map(|(key, value, lease)| Put {
        key,
        value: vec![value].into(),
        lease,
    })
}

fn any_compare() -> impl Strategy<Value = Compare> {
    let compared = prop_oneof![
        (0..3_u64).prop_map(Compared::Version),
        (0..8_u64).prop_map(Compared::ModRevision),
        (0..4_u8).prop_map(|value| Compared::Value(vec![value].into())),
    ];
    (any_key(), 0..4_i32, compared).prop_map(|(key, relation, compared)| Compare {
        key,
        relation,
        compared: Some(compared),
    })
}

fn any_steps() -> impl Strategy<Value = Vec<TxnOperation>> {
    let step = prop_oneof![
        any_put().prop_map(TxnStep::Put),
        any_range().prop_map(TxnStep::Delete),
        any_range().prop_map(|range| TxnStep::Get(Get { range, limit: 0 })),
    ];
    vec(step.prop_map(TxnOperation::from), 0..4)
}

fn any_command() -> impl Strategy<Value = Command> {
    let operation = prop_oneof![
        4 => any_put().prop_map(Operation::Put),
        2 => any_range().prop_map(Operation::Delete),
        2 => (vec(any_compare(), 0..3), any_steps(), any_steps())
            .prop_map(|(compares, then, otherwise)| Operation::Txn(Txn { compares, then, otherwise })),
        1 => (0..4_u64).prop_map(|lease| Operation::LeaseGrant(LeaseGrant { lease, ttl_ms: 2000 })),
        1 => (0..4_u64).prop_map(|lease| Operation::LeaseRevoke(LeaseRevoke { lease, if_renewed_at: None })),
        1 => (0..4_u64).prop_map(Operation::LeaseKeepAlive),
    ];
    (0..3_u64, 1..4_u64, operation).prop_map(|(client, sequence, operation)| Command {
        client,
        sequence,
        operation: Some(operation),
        request: 0,
    })
}

/// The keys after these events, from what they were before.
fn follow(mut keys: BTreeMap<Bytes, KeyValue>, events: Vec<Event>) -> BTreeMap<Bytes, KeyValue> {
    for event in events {
        match event.kind {
            EventKind::Put => keys.insert(event.entry.key.clone(), event.entry),
            EventKind::Delete => keys.remove(&event.entry.key),
        };
    }
    keys
}

fn keys_of(store: &Store, range: &KeyRange) -> BTreeMap<Bytes, KeyValue> {
    store.range(range, 0).entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect()
}

proptest! {
    #[test]
    fn stores_that_were_told_the_same_are_equal_however_they_came_there(
        commands in vec(any_command(), 1..40),
        cut in 0..40_usize,
    ) {
        let (mut whole, mut restored) = (Store::new(), Store::new());
        for (index, command) in (1..).zip(&commands) {
            let outcome = whole.apply(index, command);
            prop_assert_eq!(&restored.apply(index, command), &outcome);
            if index == cut as u64 {
                let bytes: Vec<u8> = restored.image().chunks().flat_map(Bytes::into_iter).collect();
                restored = Store::from_image(&mut &bytes[..]).unwrap();
            }
        }
        prop_assert_eq!(whole.image().checksum(), restored.image().checksum());
        prop_assert_eq!((whole.len(), whole.applied()), (restored.len(), restored.applied()));
    }

    #[test]
    fn a_watch_sees_every_change_in_order_and_once(
        commands in vec(any_command(), 1..40),
        range in any_range(),
        (begin, events_max) in (0..40_usize, 1..5_usize),
    ) {
        let mut store = Store::new();
        let (mut seen, mut next) = (BTreeMap::new(), 1);
        for (index, command) in (1..).zip(&commands) {
            store.apply(index, command).ok();
            if index == begin as u64 {
                (seen, next) = (keys_of(&store, &range), store.revision() + 1);
            }
        }
        loop {
            let (events, after) = store.events_since(next, &range, events_max).unwrap();
            prop_assert!(events.iter().all(|event| (next..after).contains(&event.revision())));
            prop_assert!(events.is_sorted_by_key(Event::revision));
            seen = follow(seen, events);
            if after == next || after > store.revision() {
                break;
            }
            next = after;
        }
        prop_assert_eq!(seen, keys_of(&store, &range));
    }

    #[test]
    fn what_is_refused_changes_nothing_and_bytes_are_counted(commands in vec(any_command(), 1..40)) {
        let mut store = Store::new().limited_to(700, 100);
        for (index, command) in (1..).zip(&commands) {
            let (before, revision) = (keys_of(&store, &KeyRange::all()), store.revision());
            let outcome = store.apply(index, command);
            let after = keys_of(&store, &KeyRange::all());
            if outcome.is_err() {
                prop_assert_eq!((&before, revision), (&after, store.revision()));
            }
            prop_assert_eq!(after.values().map(KeyValue::len).sum::<usize>(), store.len());
            prop_assert!(store.len() <= 700);
            prop_assert_eq!(store.revision(), revision + u64::from(before != after || store.revision() > revision));
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_image_and_no_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Store::from_image(&mut &bytes[..]).is_err());
    }
}

//! Arbitrary commands and arbitrary images: never a panic, and a store is what its image says.
#![no_main]

use dunlin_registry::store::{Command, KeyRange, Store};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|data: &[u8]| {
    assert_is_whole(&mut { data });
    let mut store = Store::new();
    // A byte says how long the next command is.
    let (mut rest, mut index) = (data, 0);
    while let Some((&len, after)) = rest.split_first() {
        let (bytes, next) = after.split_at(after.len().min(usize::from(len)));
        rest = next;
        let Ok(command) = Command::decode(bytes) else { continue };
        index += 1;
        let (before, revision) = (store.len(), store.revision());
        if store.apply(index, &command).is_err() {
            assert_eq!((before, revision), (store.len(), store.revision()));
        }
        assert!(store.revision() <= revision + 1);
    }
    let bytes: Vec<u8> = store.image().chunks().flat_map(IntoIterator::into_iter).collect();
    let again = Store::from_image(&mut &bytes[..]).expect("our own image");
    assert_eq!(again.range(&KeyRange::all(), 0), store.range(&KeyRange::all(), 0));
    assert_eq!(again.image().checksum(), store.image().checksum());
});

/// What is read as an image gives the same image.
fn assert_is_whole(bytes: &mut &[u8]) {
    if let Ok(store) = Store::from_image(bytes) {
        let again: Vec<u8> = store.image().chunks().flat_map(IntoIterator::into_iter).collect();
        assert_eq!(store.image().checksum(), Store::from_image(&mut &again[..]).expect("it was one").image().checksum());
    }
}

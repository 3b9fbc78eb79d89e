//! Text of old clients: UTF-8 is left alone, folding never lengthens, escapes leave no 4-byte character.
#![no_main]

use std::borrow::Cow;

use dunlin_wire::{escape_non_bmp, fold_cesu8};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folded = fold_cesu8(bytes);
    match (std::str::from_utf8(bytes), &folded) {
        (Ok(text), Ok(Cow::Borrowed(same))) => assert_eq!(text, *same),
        (Ok(_), other) => panic!("UTF-8 gave {other:?}"),
        (Err(_), Ok(text)) => assert!(text.len() <= bytes.len()),
        (Err(_), Err(_)) => {}
    }
    let escaped = escape_non_bmp(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let escaped = std::str::from_utf8(&escaped).expect("still text");
        assert!(escaped.chars().all(|character| character as u32 <= 0xFFFF));
        let wide = text.chars().filter(|character| *character as u32 > 0xFFFF).count();
        assert_eq!(escaped.len(), text.len() + 8 * wide);
    }
});

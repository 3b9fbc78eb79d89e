//! Tests of CESU-8 and of the escapes for old clients.

use super::*;

#[test]
fn valid_utf8_is_borrowed_with_and_without_wide_characters() {
    assert!(matches!(fold_cesu8("a世😀".as_bytes()), Ok(Cow::Borrowed("a世😀"))));
    assert!(matches!(fold_cesu8(b""), Ok(Cow::Borrowed(""))));
}

#[test]
fn surrogate_pair_in_two_sequences_becomes_one_character() {
    let folded = fold_cesu8(b"a\xED\xA0\xBD\xED\xB8\x80b\xED\xA0\xBD\xED\xB8\x81");
    assert_eq!(folded.as_deref(), Ok("a😀b😁"));
}

#[test]
fn lone_surrogates_become_the_replacement_character() {
    assert_eq!(fold_cesu8(b"\xED\xA0\xBDx").as_deref(), Ok("\u{FFFD}x"));
    assert_eq!(fold_cesu8(b"\xED\xB8\x80").as_deref(), Ok("\u{FFFD}"));
    let two_high = fold_cesu8(b"\xED\xA0\xBD\xED\xA0\xBD\xED\xB8\x80");
    assert_eq!(two_high.as_deref(), Ok("\u{FFFD}😀"));
}

#[test]
fn other_invalid_bytes_are_an_error_at_their_index() {
    for (bytes, at) in [
        (&b"ab\xFFc"[..], 2),
        (b"\xED\xA0", 0),
        (b"\xED\xA0\xBD\xED\xB8", 3),
        (b"\xC0\x80", 0),
        (b"x\xF4\x90\x80\x80", 1),
        (b"\xE4\xB8", 0),
    ] {
        assert_eq!(fold_cesu8(bytes), Err(TextError::Invalid { at }), "{bytes:x?}");
    }
}

#[test]
fn only_wide_characters_are_escaped() {
    let escaped = escape_non_bmp("{\"t\":\"é世😀\"}".as_bytes());
    assert_eq!(&*escaped, "{\"t\":\"é世\\uD83D\\uDE00\"}".as_bytes());
    let long = "世".repeat(100);
    assert!(matches!(escape_non_bmp(long.as_bytes()), Cow::Borrowed(_)));
}

#[test]
fn wide_character_is_found_at_any_place_of_a_long_text() {
    for at in 0..200 {
        let text = format!("{}😀{}", "a".repeat(at), "b".repeat(200 - at));
        let expected = text.replace('😀', "\\uD83D\\uDE00");
        assert_eq!(&*escape_non_bmp(text.as_bytes()), expected.as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text_are_left_as_they_are() {
    let bytes = b"\xF0\x9F\x98 \xFF\xF5\xF0";
    assert_eq!(&*escape_non_bmp(bytes), bytes);
}

#[test]
fn ascii_json_string_reads_as_the_same_text() {
    let text = "q\"b\\ n\n \u{7f}é世😀";
    let mut json = Vec::new();
    push_ascii_json_string(text, &mut json);
    assert!(json.is_ascii());
    assert_eq!(serde_json::from_slice::<String>(&json).expect("JSON"), text);
}

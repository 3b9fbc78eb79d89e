//! Tests of what a dictionary takes and refuses.

use super::*;

fn from(pairs: &[(&str, u16)]) -> Result<RouteDictionary, DictionaryError> {
    RouteDictionary::from_pairs(pairs.iter().map(|(route, code)| ((*route).to_owned(), *code)))
}

#[test]
fn names_and_codes_are_found_in_both_directions() {
    let dictionary = from(&[(" b ", 300), ("a", 65_535), ("c", 1)]).expect("a dictionary");
    let pairs: Vec<_> = dictionary.iter().collect();
    assert_eq!(pairs, [("a", 65_535), ("b", 300), ("c", 1)]);
    assert_eq!((dictionary.code("b"), dictionary.route(300)), (Some(300), Some("b")));
    assert_eq!((dictionary.code("d"), dictionary.route(2)), (None, None));
    assert_eq!(dictionary.len(), 3);
    assert!(RouteDictionary::default().is_empty());
}

#[test]
fn duplicates_empty_long_and_zero_are_refused() {
    let long = "r".repeat(256);
    let refusals = [
        from(&[("a", 2), ("b", 3), ("a ", 1)]),
        from(&[("b", 1), ("c", 2), ("a", 1)]),
        from(&[(" ", 1)]),
        from(&[("a", 0)]),
        from(&[(&long, 1)]),
    ];
    let expected = [
        DictionaryError::DuplicateRoute { route: "a".to_owned(), first: 1, second: 2 },
        DictionaryError::DuplicateCode { code: 1, first: "a".to_owned(), second: "b".to_owned() },
        DictionaryError::EmptyRoute { code: 1 },
        DictionaryError::ZeroCode { route: "a".to_owned() },
        DictionaryError::RouteTooLong { route: long },
    ];
    assert_eq!(refusals, expected.map(Err));
}

#[test]
fn a_peers_dictionary_is_taken_as_far_as_it_can_be_used() {
    let pairs = [("a", 0), ("b", 5), ("c", 5)].map(|(route, code)| (route.to_owned(), code));
    let dictionary = RouteDictionary::from_peer(&pairs.into());
    let pairs: Vec<_> = dictionary.iter().collect();
    assert_eq!(pairs, [("a", 0), ("b", 5)]);
}

//! The Origin check: which pages may connect.

use super::*;

fn same_host(origin: &str, host: &str) -> bool {
    OriginPolicy::SameHost.allows(Some(origin), Some(host))
}

#[test]
fn client_without_an_origin_is_allowed_by_every_policy() {
    for policy in [OriginPolicy::SameHost, OriginPolicy::List(Vec::new()), OriginPolicy::Any] {
        assert!(policy.allows(None, Some("a")));
        assert!(policy.allows(None, None));
    }
}

#[test]
fn same_host_compares_host_and_port_with_the_schemes_own_port_filled_in() {
    assert!(same_host("http://a.example", "a.example"));
    assert!(same_host("http://a.example", "a.example:80"));
    assert!(same_host("https://a.example:443", "a.example"));
    assert!(same_host("https://A.Example", "a.EXAMPLE:443"));
    assert!(same_host("http://127.0.0.1:3250", "127.0.0.1:3250"));
    assert!(same_host("http://[::1]:3250", "[::1]:3250"));
    assert!(!same_host("http://a.example", "a.example:8080"));
    assert!(!same_host("http://a.example:8080", "a.example"));
    assert!(!same_host("https://a.example", "a.example:80"));
    assert!(!same_host("http://b.example", "a.example"));
    assert!(!same_host("http://a.example.evil", "a.example"));
    assert!(!same_host("http://evil-a.example", "a.example"));
}

#[test]
fn origin_that_is_none_is_allowed_by_any_alone() {
    let list = OriginPolicy::List(vec!["null".to_owned(), String::new()]);
    let no_origins = [
        "null",
        "",
        "a.example",
        "://a.example",
        "http://",
        "http://:80",
        "http://a.example/",
        "http://u@a.example",
        "http://a.example:",
        "http://a.example:x",
        "http://a.example:+80",
        "http://a.example:99999",
        "http://[::1",
        "http://[::1]x",
        "http://a.example http://b.example",
    ];
    for origin in no_origins {
        assert!(!same_host(origin, "a.example"), "{origin:?}");
        assert!(!list.allows(Some(origin), Some("a.example")), "{origin:?}");
        assert!(OriginPolicy::Any.allows(Some(origin), Some("a.example")), "{origin:?}");
    }
}

#[test]
fn missing_or_malformed_host_never_equals_an_origin() {
    assert!(!OriginPolicy::SameHost.allows(Some("http://a.example"), None));
    assert!(!same_host("http://a.example", ""));
    assert!(!same_host("http://a.example", "a.example/x"));
}

#[test]
fn list_compares_scheme_host_and_port() {
    let list =
        OriginPolicy::List(vec!["https://game.example".to_owned(), "http://localhost:5173".to_owned()]);
    let allows = |origin| list.allows(Some(origin), Some("other.example"));
    assert!(allows("https://game.example"));
    assert!(allows("HTTPS://Game.Example:443"));
    assert!(allows("http://localhost:5173"));
    assert!(!allows("http://game.example"));
    assert!(!allows("https://game.example:8443"));
    assert!(!allows("https://sub.game.example"));
    assert!(!allows("http://localhost"));
    assert!(!allows("http://other.example"), "the host itself is not on the list");
}

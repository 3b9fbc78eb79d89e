//! Claims about the rules for crates: arrows, the promised Rust, and purity.

use super::*;

fn arrow(from: &str, to: &str, kind: DependencyKind) -> Arrow {
    Arrow { from: from.to_owned(), is_example: from.starts_with("example"), to: to.to_owned(), kind }
}

#[test]
fn arrow_that_is_drawn_is_allowed() {
    let drawn = [
        arrow("dunlin-cli", "dunlin", DependencyKind::Normal),
        arrow("dunlin", "dunlin-wire", DependencyKind::Normal),
        arrow("example-chat", "dunlin", DependencyKind::Normal),
        arrow("example-chat", "dunlin-client", DependencyKind::Development),
    ];
    assert_eq!(new_arrows(&drawn), []);
}

#[test]
fn arrow_against_the_stream_is_found() {
    for (from, to) in [("dunlin-wire", "dunlin"), ("dunlin-client", "dunlin"), ("dunlin-poll", "dunlin-wire")]
    {
        assert_eq!(new_arrows(&[arrow(from, to, DependencyKind::Normal)]).len(), 1, "{from} -> {to}");
    }
}

#[test]
fn arrow_allowed_in_tests_is_found_elsewhere() {
    assert_eq!(new_arrows(&[arrow("dunlin", "dunlin-client", DependencyKind::Development)]), []);
    assert_eq!(new_arrows(&[arrow("dunlin", "dunlin-client", DependencyKind::Normal)]).len(), 1);
}

#[test]
fn crate_that_nobody_drew_may_import_nothing() {
    assert_eq!(new_arrows(&[arrow("dunlin-new", "dunlin-wire", DependencyKind::Normal)]).len(), 1);
}

#[test]
fn dependency_that_needs_a_newer_rust_is_named() {
    let declared = BTreeMap::from([("dunlin".to_owned(), Some((1, 88)))]);
    let needed = BTreeMap::from([("old 1.0.0".to_owned(), (1, 88)), ("new 2.0.0".to_owned(), (1, 90))]);
    let findings = newer_rust(&declared, &needed);
    assert_eq!(findings, [Finding::new("new 2.0.0", "needs Rust 1.90, but the workspace promises 1.88")]);
}

#[test]
fn crate_that_promises_no_rust_is_found() {
    assert_eq!(newer_rust(&BTreeMap::from([("dunlin".to_owned(), None)]), &BTreeMap::new()).len(), 1);
}

#[test]
fn runtime_behind_the_pure_crate_is_found_at_any_depth() {
    let uses = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let mut graph = BTreeMap::from([
        (PURE.to_owned(), uses(&["middle"])),
        ("middle".to_owned(), uses(&["serde"])),
        ("aside".to_owned(), uses(&["tokio"])),
    ]);
    assert_eq!(impure(&graph), []);
    graph.insert("middle".to_owned(), uses(&["tokio"]));
    assert_eq!(impure(&graph).len(), 1);
}

#[test]
fn crate_without_the_lints_of_the_workspace_is_found() {
    assert!(takes_lints("dunlin", "[package]\n[lints]\nworkspace = true\n"));
    assert!(!takes_lints("dunlin", "[package]\n"));
    assert!(!takes_lints("dunlin", "[lints.rust]\nunsafe_code = \"deny\"\n"));
    assert!(takes_lints("dunlin-poll", "[lints.rust]\nunsafe_code = \"deny\"\n"));
}

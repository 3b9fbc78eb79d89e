//! Claims about the rules for source files: what they find, and what they leave alone.

use super::*;

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn rust_file_without_a_header_is_found() {
    assert!(first_line(&source("src/a.rs", "use std::fmt;\n")).is_some());
    assert!(first_line(&source("src/a.rs", "// Tells what it is, with the wrong mark.\n")).is_some());
    assert!(first_line(&source("src/a.rs", "//! Tells what it is.\n")).is_none());
}

#[test]
fn header_of_one_word_says_nothing() {
    assert!(first_line(&source("src/a.rs", "//! Shards.\n")).is_some());
}

#[test]
fn header_may_follow_the_line_for_the_shell() {
    assert!(first_line(&source(".ci/run", "#!/usr/bin/env bash\n# Runs all checks.\n")).is_none());
    assert!(first_line(&source(".ci/run", "#!/usr/bin/env bash\nset -e\n")).is_some());
}

#[test]
fn every_language_has_its_own_comment() {
    assert!(first_line(&source("a.css", "/* How the page looks. */\n")).is_none());
    assert!(first_line(&source("a.mjs", "// Drives one client.\n")).is_none());
    assert!(first_line(&source("a.sh", "// Not a comment in a shell.\n")).is_some());
}

#[test]
fn file_of_801_lines_needs_an_excuse() {
    let long = source("src/a.rs", &format!("//! A long file indeed.\n{}", "\n".repeat(800)));
    let nobody = Allowances::default();
    assert_eq!(check(std::slice::from_ref(&long), &nobody).len(), 1);
    let (excused, _) = Allowances::parse("allow.txt", "src/a.rs: a table\n");
    assert_eq!(check(&[long], &excused), []);
}

#[test]
fn excuse_for_a_short_file_is_found() {
    let short = source("src/a.rs", "//! A short file indeed.\n");
    let (excused, _) = Allowances::parse("allow.txt", "src/a.rs: a table\n");
    assert_eq!(check(&[short], &excused).len(), 1);
}

#[test]
fn unsafe_block_outside_its_home_is_found() {
    let block = format!("//! Some file of ours.\nlet x = {} {{ y }};\n", concat!("uns", "afe"));
    assert_eq!(unsafe_code(&source("src/a.rs", &block)).len(), 1);
    assert_eq!(unsafe_code(&source(UNSAFE_HOME, &block)), []);
}

#[test]
fn exemption_from_the_lint_is_found() {
    let text = format!("#![allow({})]\n", concat!("unsafe", "_code"));
    assert_eq!(unsafe_code(&source("src/a.rs", &text)).len(), 1);
}

#[test]
fn prose_and_texts_may_speak_of_unsafe_code() {
    let word = concat!("uns", "afe");
    for text in [format!("// Nothing here is {word} {{}}.\n"), format!("let csp = \"'{word}-inline'\";\n")] {
        assert_eq!(unsafe_code(&source("src/a.rs", &text)), [], "{text}");
    }
}

#[test]
fn unfinished_work_is_found_by_line() {
    for mark in UNFINISHED {
        let findings = unfinished(&source("src/a.rs", &format!("//! A file of ours.\n{mark}\n")));
        assert_eq!(findings.len(), 1, "{mark}");
        assert_eq!(findings.first().map(|finding| finding.place.as_str()), Some("src/a.rs:2"));
    }
}

#[test]
fn prefix_of_a_test_name_is_found() {
    let text = |name| format!("    #[tokio::test(start_paused = true)]\n    async fn {name}() {{}}\n");
    assert_eq!(test_names(&source("src/a.rs", &text("test_heartbeat"))).len(), 1);
    assert_eq!(test_names(&source("src/a.rs", &text("late_heartbeat_closes_the_session"))), []);
}

#[test]
fn function_that_is_no_test_may_speak_of_tests() {
    assert_eq!(test_names(&source("src/a.rs", "#[must_use]\nfn test_names() {}\n")), []);
}

#[test]
fn file_named_after_nothing_is_found() {
    assert!(refused_name(&source("src/util.rs", "")).is_some());
    assert!(refused_name(&source("src/utf8.rs", "")).is_none());
}

#[test]
fn path_of_one_machine_is_found_in_any_text() {
    for folder in MACHINE_FOLDERS {
        let text = format!("see \"{folder}somebody/notes.txt\"\n");
        assert_eq!(machine_paths(&source("notes.md", &text)).len(), 1, "{folder}");
    }
}

#[test]
fn folder_of_the_tree_or_of_an_address_is_no_machine_path() {
    let own =
        format!("bench/src{}echo.rs and https://example.com{}\n", MACHINE_FOLDERS[3], MACHINE_FOLDERS[0]);
    assert_eq!(machine_paths(&source("notes.md", &own)), []);
}

#[test]
fn number_in_a_tracker_is_found_however_it_is_written() {
    let word = concat!("iss", "ue");
    for text in [format!("see {word} 12"), format!("({word} #7)"), format!("{} 3", word.to_uppercase())] {
        assert_eq!(tracker_numbers(&source("a.md", &text)).len(), 1, "{text}");
    }
    assert_eq!(tracker_numbers(&source("a.md", &format!("an {word} with two parts"))), []);
}

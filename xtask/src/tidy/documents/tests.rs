//! Claims about the rules for documents: what counts as a citation, and when it is false.

use super::*;

fn page(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

const MAP: &str = "ARCHITECTURE.md";
const PATHS: [&str; 2] = ["crates/dunlin/src/edge/shard.rs", "docs/limits.md"];

#[test]
fn cited_file_may_be_named_by_the_tail_of_its_path() {
    let text = "The loop is `edge/shard.rs`, whole: `crates/dunlin/src/edge/shard.rs`.\n";
    assert_eq!(missing_files(&page(MAP, text), &PATHS), []);
}

#[test]
fn cited_file_that_is_gone_is_found_by_line() {
    let findings = missing_files(&page(MAP, "One.\nSee `edge/gone.rs`.\n"), &PATHS);
    assert_eq!(findings, [Finding::at_line(MAP, 2, "there is no `edge/gone.rs` in the tree")]);
}

#[test]
fn tail_must_begin_at_a_folder() {
    assert_eq!(missing_files(&page(MAP, "See `ge/shard.rs`.\n"), &PATHS).len(), 1);
}

#[test]
fn pattern_or_block_is_no_citation() {
    let text =
        "Bars go to `target/bench/AREA.json`, sources are `src/*/tests.rs`.\n```\n`edge/gone.rs`\n```\n";
    assert_eq!(missing_files(&page(MAP, text), &PATHS), []);
}

#[test]
fn link_is_followed_from_the_folder_of_its_page() {
    assert_eq!(dead_links(&page("docs/services.md", "[limits](limits.md#queue)\n"), &PATHS), []);
    assert_eq!(dead_links(&page("README.md", "[limits](docs/limits.md) [docs](docs)\n"), &PATHS), []);
    assert_eq!(dead_links(&page("docs/design/one.md", "[limits](../limits.md)\n"), &PATHS), []);
    assert_eq!(dead_links(&page("README.md", "[limits](limits.md)\n"), &PATHS).len(), 1);
    assert_eq!(dead_links(&page("README.md", "<img src=\"docs/none.svg\">\n"), &PATHS).len(), 1);
}

#[test]
fn address_and_anchor_are_not_followed() {
    let text = "[a](https://example.com/x) [b](#below)\n";
    assert_eq!(dead_links(&page("README.md", text), &PATHS), []);
}

#[test]
fn name_on_a_page_about_the_code_must_be_in_the_code() {
    let known = names("pub fn poll_packet() {} struct Agent;").collect();
    assert_eq!(unknown_names(&page(MAP, "`Agent::poll_packet()` and `Agent`\n"), &known), []);
    assert_eq!(unknown_names(&page(MAP, "`Agent::gone`\n"), &known).len(), 1);
}

#[test]
fn name_said_to_be_in_a_file_must_be_in_that_file() {
    let files = [page(PATHS[0], "fn run() {}"), page("src/other.rs", "fn start() {}")];
    let faults = |text: &str| misplaced_names(&page(MAP, text), &files).len();
    assert_eq!(faults("`Shard::run` in `edge/shard.rs`, and `start` (`src/other.rs`)\n"), 0);
    assert_eq!(faults("`Shard::start` in `edge/shard.rs`\n"), 1);
    assert_eq!(faults("`run` and `src/other.rs`\n"), 0, "nothing is said of where it is");
}

#[test]
fn constant_must_have_the_value_that_a_page_says() {
    let files = [page("src/a.rs", "/// Why.\npub(crate) const EVENTS_MAX: usize = 64 * 2;\n")];
    let faults = |text: &str| stale_constants(&page("docs/limits.md", text), &files).len();
    assert_eq!(faults("`EVENTS_MAX = 64 * 2`\n"), 0);
    assert_eq!(faults("`EVENTS_MAX = 256`\n"), 1);
    assert_eq!(faults("`NOT_THERE = 1` and `mailbox = 1024`\n"), 1, "an option is no constant");
}

#[test]
fn sentence_between_backticks_is_no_name() {
    let known = HashSet::new();
    assert_eq!(unknown_names(&page(MAP, "`cargo xtask tidy` and `a + b` and `42`\n"), &known), []);
}

#[test]
fn readme_must_show_the_example_as_a_whole() {
    let example = page(SHOWN, "//! A chat.\nfn main() {}\n");
    let faults = |code: &str| {
        let readme = page(SHOWN_IN, &format!("# Hello\n```rust,no_run\n{code}```\n```sh\nls\n```\n"));
        stale_examples(&readme, &[&example]).len()
    };
    assert_eq!(faults("//! A chat.\nfn main() {}\n"), 0);
    assert_eq!(faults("fn main() {}\n"), 1, "a part of it is not the whole");
    assert_eq!(faults("//! A chat.\nfn main() { }\n"), 2, "retold, and thus not shown");
}

#[test]
fn readme_may_show_a_part_of_the_tests() {
    let example = page(SHOWN, "fn main() {}\n");
    let tests = page("examples/chat/src/tests.rs", "//! Tests.\n\n#[test]\nfn a() {}\n");
    let readme = page(SHOWN_IN, "```rust\nfn main() {}\n```\n```rust,ignore\n#[test]\nfn a() {}\n```\n");
    assert_eq!(stale_examples(&readme, &[&example, &tests]), []);
}

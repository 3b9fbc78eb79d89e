//! Whether the documents are true: the files, links and names they cite exist, and the README shows the example.
//!
//! A span between backticks that ends like a file is a citation of a file: by its path from the root, or by any tail
//! of it (`edge/shard.rs`). On the pages about the code a span that is a plain name is a citation of a name in the code,
//! "`name` in `file.rs`" one of a name in that file, and `NAME = value` one of a constant with that value.

use std::collections::HashSet;

use super::{Finding, Source, resolve};

#[cfg(test)]
mod tests;

/// Pages and folders of pages about the code, whose every name must be found in it.
const ABOUT_CODE: [&str; 7] = [
    "ARCHITECTURE.md",
    "README.md",
    "docs/services.md",
    "docs/limits.md",
    "docs/http-behaviours",
    "docs/rafthttp-behaviours.md",
    "docs/design/",
];

/// The page that shows the example: this file of it whole, and of the others in this folder what it likes.
const SHOWN_IN: &str = "README.md";
const SHOWN: &str = "examples/chat/src/main.rs";
const SHOWN_FROM: &str = "examples/chat/src/";

/// Endings that make a span a citation of a file.
const CITED_ENDINGS: [&str; 9] = [".rs", ".js", ".mjs", ".md", ".toml", ".txt", ".json", ".svg", ".html"];

/// Checks the documents against the tree they describe.
pub(crate) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for page in files.iter().filter(|file| file.extension() == "md" && is_ours(&file.path)) {
        findings.extend(missing_files(page, &paths));
        findings.extend(dead_links(page, &paths));
    }
    let code = files.iter().filter(|file| ["rs", "js", "toml"].contains(&file.extension()));
    let known: HashSet<&str> = code.flat_map(|file| names(&file.text)).collect();
    for page in files.iter().filter(|file| ABOUT_CODE.iter().any(|about| file.path.starts_with(about))) {
        findings.extend(unknown_names(page, &known));
        findings.extend(misplaced_names(page, files));
        findings.extend(stale_constants(page, files));
    }
    if let Some(page) = files.iter().find(|file| file.path == SHOWN_IN) {
        let examples: Vec<_> = files.iter().filter(|file| file.path.starts_with(SHOWN_FROM)).collect();
        findings.extend(stale_examples(page, &examples));
    }
    findings
}

/// The pages about this tree as it is; the log of changes speaks of what was.
fn is_ours(path: &str) -> bool {
    path != "CHANGELOG.md"
}

fn missing_files(page: &Source, paths: &[&str]) -> Vec<Finding> {
    let cited = spans(&page.text).filter(|(_, span)| is_file(span));
    let missing = cited.filter(|(_, span)| !paths.iter().any(|path| is_tail(path, span)));
    missing
        .map(|(line, span)| Finding::at_line(&page.path, line, format!("there is no `{span}` in the tree")))
        .collect()
}

/// A span with the ending of a file; patterns and addresses are none.
fn is_file(span: &str) -> bool {
    CITED_ENDINGS.iter().any(|ending| span.ends_with(ending))
        && !span.starts_with("./")
        && !span.starts_with("target/")
        && !span.chars().any(|c| c.is_whitespace() || "*{}<>$:".contains(c))
}

/// Whether the cited path is the whole path, or its end from some folder on.
fn is_tail(path: &str, cited: &str) -> bool {
    path.strip_suffix(cited).is_some_and(|head| head.is_empty() || head.ends_with('/'))
}

fn dead_links(page: &Source, paths: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, target) in links(&page.text) {
        let target = target.split('#').next().unwrap_or_default();
        if target.is_empty() || target.contains(':') {
            continue;
        }
        let is_there = resolve(&page.path, target).is_some_and(|whole| {
            paths.iter().any(|path| *path == whole || path.starts_with(&format!("{whole}/")))
        });
        if !is_there {
            findings.push(Finding::at_line(&page.path, line, format!("the link to {target} leads nowhere")));
        }
    }
    findings
}

fn unknown_names(page: &Source, known: &HashSet<&str>) -> Vec<Finding> {
    let cited = spans(&page.text).filter(|(_, span)| is_name(span));
    let unknown = cited.filter(|(_, span)| !names(span).all(|name| known.contains(name)));
    unknown
        .map(|(line, span)| {
            Finding::at_line(&page.path, line, format!("nothing in the code is called `{span}`"))
        })
        .collect()
}

/// Names that are said to be in a file, and are not in any file so called.
fn misplaced_names(page: &Source, files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line_number, line) in prose(&page.text) {
        let pieces: Vec<&str> = line.split('`').collect();
        for piece in pieces.windows(3).skip(1).step_by(2) {
            let &[name, between, file] = piece else { continue };
            if !is_name(name) || !is_file(file) || ![" in ", " of ", " ("].contains(&between) {
                continue;
            }
            let last = names(name).last().unwrap_or_default();
            let holds = |source: &Source| names(&source.text).any(|known| known == last);
            if !files.iter().any(|source| is_tail(&source.path, file) && holds(source)) {
                let fault = format!("there is no `{last}` in `{file}`");
                findings.push(Finding::at_line(&page.path, line_number, fault));
            }
        }
    }
    findings
}

/// Constants that are said to have a value that no constant of that name has.
fn stale_constants(page: &Source, files: &[Source]) -> Vec<Finding> {
    let is_so = |name: &str, value: &str| {
        let (start, end) = (format!("const {name}: "), format!(" = {value};"));
        let code = files.iter().filter(|file| file.extension() == "rs");
        code.flat_map(|file| file.text.lines()).any(|line| line.contains(&start) && line.ends_with(&end))
    };
    let cited = spans(&page.text).filter_map(|(line, span)| Some((line, span.split_once(" = ")?)));
    let is_constant =
        |name: &str| name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let stale = cited.filter(|(_, (name, value))| is_constant(name) && !is_so(name, value));
    stale
        .map(|(line, (name, value))| {
            Finding::at_line(&page.path, line, format!("no constant `{name}` is {value}"))
        })
        .collect()
}

/// `name`, `Type::name` or `name()`: letters, digits and underscores, joined by dots or double colons.
fn is_name(span: &str) -> bool {
    let span = span.strip_suffix("()").unwrap_or(span);
    !span.is_empty()
        && !is_file(span)
        && span.chars().all(|c| c.is_alphanumeric() || "_:.".contains(c))
        && span.chars().any(char::is_alphabetic)
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|name| name.chars().any(char::is_alphabetic))
}

/// The code on the page is code that is compiled and tested: word for word, not retold.
fn stale_examples(page: &Source, examples: &[&Source]) -> Vec<Finding> {
    let blocks = rust_blocks(&page.text);
    let mut findings = Vec::new();
    let is_found = |block: &str| examples.iter().any(|example| example.text.contains(block.trim_end()));
    let strange = blocks.iter().filter(|(_, block)| !is_found(block));
    findings.extend(strange.map(|(line, _)| {
        Finding::at_line(&page.path, *line, format!("this code is not in {SHOWN_FROM} word for word"))
    }));
    let whole = examples.iter().find(|example| example.path == SHOWN);
    let is_shown = |text: &str| blocks.iter().any(|(_, block)| block.trim() == text.trim());
    if whole.is_some_and(|example| !is_shown(&example.text)) {
        findings.push(Finding::new(&page.path, format!("must show {SHOWN} as a whole")));
    }
    findings
}

/// Each fenced block of Rust with the line it begins at.
fn rust_blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some(_)) => {
                let closed = open.take().filter(|(is_rust, ..)| *is_rust);
                blocks.extend(closed.map(|(_, line_number, block)| (line_number, block)));
            }
            (None, Some(language)) => open = Some((language.starts_with("rust"), index + 1, String::new())),
            (Some((_, _, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Each span between backticks with its line, fenced blocks aside.
fn spans(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |span| (number, span)))
}

/// Each target of a link or picture with its line, fenced blocks aside.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(number, line)| {
        let after = line.split("](").skip(1);
        let marked = after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
        let pictured = ["src=\"", "srcset=\""].into_iter().flat_map(|name| line.split(name).skip(1));
        let pictured = pictured.filter_map(|rest| rest.split_once('"').map(|(target, _)| target));
        marked.chain(pictured).map(move |target| (number, target))
    })
}

fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        (!is_fenced && !is_fence).then_some((index + 1, line))
    })
}

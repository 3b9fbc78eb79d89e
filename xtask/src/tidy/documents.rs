//! Whether the documents are true: the files, links and names they cite exist, and the README shows the example.
//!
//! A span between backticks that ends like a file is a citation of a file: by its path from the root, or by any tail
//! of it (`edge/shard.rs`). In `ARCHITECTURE.md` a span that is a plain name is a citation of a name in the code.

use std::collections::HashSet;

use super::{Finding, Source};

#[cfg(test)]
mod tests;

/// The map of the code, whose every name must be found in the code.
const MAP: &str = "ARCHITECTURE.md";

/// The page that shows the example, word for word.
const SHOWN_IN: &str = "README.md";
const SHOWN: &str = "examples/chat/src/main.rs";

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
    if let Some(map) = files.iter().find(|file| file.path == MAP) {
        let code = files.iter().filter(|file| ["rs", "js", "toml"].contains(&file.extension()));
        let known: HashSet<&str> = code.flat_map(|file| names(&file.text)).collect();
        findings.extend(unknown_names(map, &known));
    }
    let page = files.iter().find(|file| file.path == SHOWN_IN);
    let example = files.iter().find(|file| file.path == SHOWN);
    if let (Some(page), Some(example)) = (page, example) {
        findings.extend(stale_example(page, example));
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

/// A span with a folder in it and the ending of a file; patterns and addresses are none.
fn is_file(span: &str) -> bool {
    span.contains('/')
        && CITED_ENDINGS.iter().any(|ending| span.ends_with(ending))
        && !span.starts_with("./")
        && !span.starts_with("target/")
        && !span.chars().any(|c| c.is_whitespace() || "*{}<>$:".contains(c))
}

/// Whether the cited path is the whole path, or its end from some folder on.
fn is_tail(path: &str, cited: &str) -> bool {
    path.strip_suffix(cited).is_some_and(|head| head.is_empty() || head.ends_with('/'))
}

fn dead_links(page: &Source, paths: &[&str]) -> Vec<Finding> {
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (line, target) in links(&page.text) {
        let target = target.split('#').next().unwrap_or_default();
        if target.is_empty() || target.contains(':') {
            continue;
        }
        let whole = resolve(folder, target);
        let is_there = paths.iter().any(|path| *path == whole || path.starts_with(&format!("{whole}/")));
        if !is_there {
            findings.push(Finding::at_line(&page.path, line, format!("the link to {target} leads nowhere")));
        }
    }
    findings
}

/// The path from the root that a link means, as seen from a folder.
fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn unknown_names(map: &Source, known: &HashSet<&str>) -> Vec<Finding> {
    let cited = spans(&map.text).filter(|(_, span)| is_name(span));
    let unknown = cited.filter(|(_, span)| !names(span).all(|name| known.contains(name)));
    unknown
        .map(|(line, span)| {
            Finding::at_line(&map.path, line, format!("nothing in the code is called `{span}`"))
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
        && !CITED_ENDINGS.iter().any(|ending| span.ends_with(ending))
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|name| name.chars().any(char::is_alphabetic))
}

fn stale_example(page: &Source, example: &Source) -> Option<Finding> {
    let is_shown = blocks(&page.text).iter().any(|block| block.trim() == example.text.trim());
    (!is_shown).then(|| Finding::new(&page.path, format!("must show {SHOWN} word for word in a code block")))
}

/// The text of each fenced block.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (&mut open, line.trim_start().starts_with("```")) {
            (Some(_), true) => blocks.extend(open.take()),
            (None, true) => open = Some(String::new()),
            (Some(block), false) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, false) => {}
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
        let pictured = line.split("src=\"").skip(1);
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

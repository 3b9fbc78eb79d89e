//! What a source file must be: it says what it is, is not too long, is finished, and knows no machine but the reader's.

use super::allowances::Allowances;
use super::{Finding, Source};

#[cfg(test)]
mod tests;

/// Over this a file needs a reason in the list of allowances.
const LINES_MAX: usize = 800;

/// The one file with an `unsafe` block, together with its proof.
const UNSAFE_HOME: &str = "crates/dunlin-poll/src/register.rs";

/// What counts as a source file; other text is only looked through for machine paths.
const SOURCE_EXTENSIONS: [&str; 7] = ["rs", "js", "mjs", "ts", "go", "css", "sh"];

/// Work that is not done. Spelled in halves so that this file does not find itself.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("dbg", "!("), concat!("#[ign", "ore")];

/// Names that say nothing about what is inside.
const REFUSED_NAMES: [&str; 8] = ["manager", "helper", "helpers", "util", "utils", "common", "misc", "stuff"];

/// Where people and machines keep their things: a path that starts so is true on one machine only.
const MACHINE_FOLDERS: [&str; 6] = [
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/t", "mp/"),
    concat!("C:\\Us", "ers\\"),
];

/// Checks all files.
pub(crate) fn check(files: &[Source], allowances: &Allowances) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut long = Vec::new();
    for file in files {
        findings.extend(machine_paths(file));
        findings.extend(tracker_numbers(file));
        if !is_source(file) {
            continue;
        }
        findings.extend(first_line(file));
        findings.extend(refused_name(file));
        findings.extend(unfinished(file));
        if file.extension() == "rs" {
            findings.extend(unsafe_code(file));
            findings.extend(test_names(file));
        }
        if is_too_long(file) {
            long.push(file.path.as_str());
        }
    }
    let unexcused = long.iter().filter(|path| !allowances.excuse(path));
    findings.extend(unexcused.map(|path| {
        Finding::new(
            *path,
            format!("over {LINES_MAX} lines; split it, or excuse it in tidy-allow.txt with a reason"),
        )
    }));
    findings.extend(allowances.stale(&long));
    findings
}

fn is_source(file: &Source) -> bool {
    SOURCE_EXTENSIONS.contains(&file.extension()) || file.text.starts_with("#!/")
}

fn is_too_long(file: &Source) -> bool {
    file.text.lines().count() > LINES_MAX
}

/// The first line, after a line for the shell, is a comment that says what the file is.
fn first_line(file: &Source) -> Option<Finding> {
    let mut lines = file.text.lines();
    let mut line = lines.next().unwrap_or_default();
    if line.starts_with("#!/") {
        line = lines.next().unwrap_or_default();
    }
    let markers: &[&str] = match file.extension() {
        "rs" => &["//!"],
        "css" => &["/*"],
        "sh" => &["#"],
        _ => &["//", "/*", "#", "<!--"],
    };
    let words = markers.iter().find_map(|marker| line.strip_prefix(marker));
    let says_something = words.is_some_and(|words| words.split_whitespace().count() >= 3);
    (!says_something).then(|| {
        let marker = markers.first().copied().unwrap_or("//");
        Finding::at_line(&file.path, 1, format!("the first line must say what the file is, after `{marker}`"))
    })
}

fn refused_name(file: &Source) -> Option<Finding> {
    let stem = file.name().split('.').next().unwrap_or_default();
    REFUSED_NAMES
        .contains(&stem)
        .then(|| Finding::new(&file.path, format!("`{stem}` says nothing; name what the file does")))
}

fn unfinished(file: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line_number, line) in numbered(&file.text) {
        for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
            findings.push(Finding::at_line(&file.path, line_number, format!("`{mark}` is unfinished work")));
        }
    }
    findings
}

/// The compiler forbids unsafe code by the workspace's lints; this rule sees the exemptions from it.
fn unsafe_code(file: &Source) -> Vec<Finding> {
    if file.path == UNSAFE_HOME {
        return Vec::new();
    }
    let faulty = numbered(&file.text).filter(|(_, line)| {
        let code = line.split_once("//").map_or(*line, |(code, _)| code);
        opens_unsafe(code) || exempts_itself(code)
    });
    faulty
        .map(|(line_number, _)| {
            Finding::at_line(&file.path, line_number, format!("unsafe code belongs in {UNSAFE_HOME} alone"))
        })
        .collect()
}

/// Whether the keyword stands there with what may follow it; the bare word in a text is no code.
fn opens_unsafe(code: &str) -> bool {
    let mut pieces = code.split(concat!("uns", "afe"));
    let mut before = pieces.next();
    pieces.any(|after| {
        let is_word =
            !before.is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        before = Some(after);
        let after = after.trim_start();
        is_word && ["{", "(", "fn ", "impl", "trait ", "extern "].iter().any(|next| after.starts_with(next))
    })
}

fn exempts_itself(code: &str) -> bool {
    let lint = concat!("unsafe", "_code");
    ["allow(", "expect(", "warn("].iter().any(|level| code.contains(&format!("{level}{lint}")))
}

/// A test is named after the claim it makes.
fn test_names(file: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_test = false;
    for (line_number, line) in numbered(&file.text) {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        if is_test && line.starts_with("fn test_") {
            findings.push(Finding::at_line(
                &file.path,
                line_number,
                "name the test after its claim, without `test_`",
            ));
        }
        is_test = line.starts_with("#[") && (is_test || line.contains("test"));
    }
    findings
}

fn machine_paths(file: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line_number, line) in numbered(&file.text) {
        for folder in MACHINE_FOLDERS.iter().filter(|folder| starts_a_path(line, folder)) {
            findings.push(Finding::at_line(
                &file.path,
                line_number,
                format!("`{folder}` is a path of one machine"),
            ));
        }
    }
    findings
}

/// Whether the folder stands at the start of a path, not within a longer one or an address.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "./_-})>~*".contains(c))
    })
}

/// A number in somebody's tracker tells the reader nothing; the sentence must say what it means.
fn tracker_numbers(file: &Source) -> Vec<Finding> {
    let faulty = numbered(&file.text).filter(|(_, line)| {
        let mut words = words(line).map(str::to_ascii_lowercase).peekable();
        std::iter::from_fn(|| words.next().map(|word| (word, words.peek().cloned()))).any(|(word, next)| {
            let is_number = next.is_some_and(|next| next.bytes().all(|byte| byte.is_ascii_digit()));
            word == concat!("iss", "ue") && is_number
        })
    });
    faulty
        .map(|(line_number, _)| {
            Finding::at_line(&file.path, line_number, "say what it is instead of a number in a tracker")
        })
        .collect()
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

//! `cargo xtask tidy`: the rules of the tree that no compiler checks, as code.
//!
//! Reads the tracked files (and those that git would track), cargo's metadata and the documents, and prints one line
//! for every fault. Each rule is a pure function over text, so that its tests need no tree; only this file reads
//! anything. Read next: `tidy/sources.rs`, what a source file must be.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

mod allowances;
mod crates;
mod documents;
mod links;
mod sources;

use crate::programs::root;
use allowances::Allowances;

/// Where long files are excused, each with its reason.
const ALLOWANCES: &str = "xtask/tidy-allow.txt";

/// One fault: where, and what the mend is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    place: String,
    fault: String,
}

impl Finding {
    fn new(place: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { place: place.into(), fault: fault.into() }
    }

    fn at_line(path: &str, line: usize, fault: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), fault)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}

/// One file of the tree, by its path from the root with forward slashes. One that is no text has an empty text.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    path: String,
    text: String,
}

impl Source {
    fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// Checks the tree and prints what is wrong with it.
///
/// # Errors
///
/// When a rule is broken, or git or cargo cannot say what belongs to the tree.
pub(crate) fn run() -> Result<()> {
    let root = root()?;
    let paths = tracked(&root)?;
    let mut files = Vec::new();
    for path in &paths {
        files.extend(read(&root, path)?);
    }
    let allowances = read(&root, ALLOWANCES)?.map(|source| source.text).unwrap_or_default();
    let metadata =
        MetadataCommand::new().current_dir(&root).exec().context("cargo cannot describe the workspace")?;

    let mut findings = Vec::new();
    let (allowances, faults) = Allowances::parse(ALLOWANCES, &allowances);
    findings.extend(faults);
    findings.extend(sources::check(&files, &allowances));
    findings.extend(documents::check(&files));
    findings.extend(crates::check(&metadata));
    findings.extend(paths.iter().filter_map(|path| stale_lock(&root, path)));
    // Of what is no link nothing can be said.
    let linked = |path: &String| links::check(path, &std::fs::read_link(root.join(path)).ok()?);
    findings.extend(paths.iter().filter_map(linked));
    findings.sort();
    findings.dedup();
    report(&findings, files.len())
}

#[expect(clippy::print_stdout, reason = "the findings are the output of this chore")]
fn report(findings: &[Finding], files: usize) -> Result<()> {
    for finding in findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} faults in {files} files", findings.len());
    }
    println!("tidy: {files} files, nothing to mend");
    Ok(())
}

/// The lock file of a workspace beside this one, which no build of this one keeps up, where its crates have moved on.
fn stale_lock(root: &Path, path: &str) -> Option<Finding> {
    let folder = path.strip_suffix("/Cargo.lock")?;
    let mut cargo = MetadataCommand::new();
    cargo.manifest_path(root.join(folder).join("Cargo.toml")).other_options(["--locked".to_owned()]);
    let error = cargo.exec().err()?.to_string();
    let why = error.lines().next().unwrap_or_default();
    Some(Finding::new(path, format!("`cargo metadata --locked` in {folder} fails: {why}")))
}

/// The path from the root that a file means by a relative one; `None` when that is out of the tree.
fn resolve(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Every file that git tracks or would track.
fn tracked(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let listed = git.output().context("git cannot be run")?;
    if !listed.status.success() {
        bail!("git cannot list the tree: {}", String::from_utf8_lossy(&listed.stderr).trim());
    }
    let listed = String::from_utf8(listed.stdout).context("a path of the tree is not UTF-8")?;
    Ok(listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// The file, or `None` where it is gone or a folder.
fn read(root: &Path, path: &str) -> Result<Option<Source>> {
    let whole = root.join(path);
    if !whole.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(&whole).with_context(|| format!("cannot read {path}"))?;
    Ok(Some(Source { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default() }))
}

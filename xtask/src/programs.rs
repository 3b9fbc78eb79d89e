//! The programs of the workspace that chores run: where the tree is, and how they are built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;

/// How long building a program may take on a cold machine.
const BUILD_TIME: Duration = Duration::from_secs(1200);

/// The folder of the workspace.
///
/// # Errors
///
/// When this does not lie in one.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest.parent().context("xtask lies in the workspace")?.to_owned())
}

/// Builds a program that is under test, an `--example` or a `--bin`, and says where it is.
///
/// # Errors
///
/// When it does not build.
pub(crate) fn build(root: &Path, package: &str, target: (&str, &str)) -> Result<PathBuf> {
    build_with(root, package, target, &[])
}

/// The same with optimizations, for what is measured.
///
/// # Errors
///
/// As of [`build`].
pub(crate) fn build_release(root: &Path, package: &str, target: (&str, &str)) -> Result<PathBuf> {
    build_with(root, package, target, &["--release"])
}

fn build_with(root: &Path, package: &str, (kind, name): (&str, &str), more: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command.args(["build", "--package", package, kind, name]).args(more);
    command.args(["--message-format", "json-render-diagnostics"]);
    let built = process::run(command, BUILD_TIME).with_context(|| format!("cannot build {name}"))?;
    if !built.is_success {
        bail!("{name} does not build:\n{}", built.stderr);
    }
    let messages =
        built.stdout.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = messages.filter(|message| message["target"]["name"] == name);
    let program = programs.next_back();
    let executable = program.as_ref().and_then(|message| message["executable"].as_str());
    Ok(executable.with_context(|| format!("cargo does not name {name}"))?.into())
}

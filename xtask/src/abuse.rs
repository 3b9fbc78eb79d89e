//! Attacks on a gate with its defaults: runs the test that makes them, and lets it write `docs/abuse.md`.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs the attacks. They take half a minute.
pub(crate) fn run() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let attacks = ["test", "--package", "dunlin", "--test", "abuse", "--", "--nocapture"];
    let status =
        Command::new(cargo).args(attacks).env("UPDATE", "1").status().context("cargo cannot be run")?;
    ensure!(status.success(), "an attack was not held; the table says which");
    Ok(())
}

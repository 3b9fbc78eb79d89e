//! `dunlin kv`: keys of the store that the voters keep.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use dunlin_registry::store::{Event, EventKind, KeyRange, KeyValue};
use dunlin_registry::{Consistency, Registry, RegistryExt as _};
use serde_json::{Value, json};

use super::args::{Keys, KvArgs, KvCommand};
use super::{NOT_FOUND, say};

pub(super) async fn run(registry: &impl Registry, args: &KvArgs, out: &mut impl Write) -> Result<ExitCode> {
    let is_json = args.at.json;
    match &args.command {
        KvCommand::Put { key, value } => {
            let revision = registry.put(key.clone(), value.clone(), 0).await.context("the key is not set")?;
            if is_json {
                say(out, format_args!("{}", json!({ "revision": revision })))?;
            }
        }
        KvCommand::Get { keys, stale } => return get(registry, keys, (*stale, is_json), out).await,
        KvCommand::Del { keys } => {
            let count = registry.delete(range(keys)).await.context("the keys are not removed")?;
            match is_json {
                true => say(out, format_args!("{}", json!({ "deleted": count })))?,
                false => say(out, format_args!("{count}"))?,
            }
        }
        KvCommand::Watch { keys, from } => watch(registry, keys, (*from, is_json), out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn get(
    registry: &impl Registry,
    keys: &Keys,
    (is_stale, is_json): (bool, bool),
    out: &mut impl Write,
) -> Result<ExitCode> {
    let consistency = if is_stale { Consistency::Stale } else { Consistency::Linearizable };
    let mut rest = range(keys);
    let mut is_any = false;
    loop {
        let (answer, _) =
            registry.range(rest.clone(), 0, consistency).await.context("the keys are not read")?;
        is_any |= !answer.entries.is_empty();
        for entry in &answer.entries {
            match (is_json, keys.prefix) {
                (true, _) => say(out, format_args!("{}", told(entry)))?,
                (false, true) => say(out, format_args!("{}\t{}", text(&entry.key), text(&entry.value)))?,
                (false, false) => say(out, format_args!("{}", text(&entry.value)))?,
            }
        }
        match answer.entries.last() {
            // The next key there can be.
            Some(last) if answer.has_more => rest.start = [&last.key[..], &[0]].concat().into(),
            _ => break,
        }
    }
    Ok(if is_any || keys.prefix { ExitCode::SUCCESS } else { ExitCode::from(NOT_FOUND) })
}

async fn watch(
    registry: &impl Registry,
    keys: &Keys,
    (from, is_json): (u64, bool),
    out: &mut impl Write,
) -> Result<()> {
    let mut watch = registry.watch(range(keys), from).await.context("the watch does not begin")?;
    loop {
        let Event { kind, entry } = watch.next().await.context("the watch has ended")?;
        let is_put = kind == EventKind::Put;
        let (key, value) = (text(&entry.key), text(&entry.value));
        match (is_json, is_put) {
            (true, _) => {
                let kind = if is_put { "put" } else { "delete" };
                say(out, format_args!("{}", json!({ "event": kind, "entry": told(&entry) })))?;
            }
            (false, true) => say(out, format_args!("put\t{key}\t{value}"))?,
            (false, false) => say(out, format_args!("delete\t{key}"))?,
        }
        out.flush().context("standard output is closed")?;
    }
}

fn range(keys: &Keys) -> KeyRange {
    if keys.prefix { KeyRange::prefix(keys.key.clone()) } else { KeyRange::key(keys.key.clone()) }
}

fn told(entry: &KeyValue) -> Value {
    json!({
        "key": text(&entry.key),
        "value": text(&entry.value),
        "create_revision": entry.create_revision,
        "mod_revision": entry.mod_revision,
        "version": entry.version,
        "lease": entry.lease,
    })
}

/// Bytes that are no text are shown as they can be.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use dunlin_registry::MemoryRegistry;

    use super::*;
    use crate::cli::{Cli, Command};

    async fn ask(registry: &MemoryRegistry, line: &str) -> (ExitCode, String) {
        let Command::Kv(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else { panic!() };
        let mut out = Vec::new();
        let code = run(registry, &args, &mut out).await.unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn what_was_put_is_got_by_key_and_by_prefix_and_gone_when_it_was_deleted() {
        let registry = MemoryRegistry::new();
        assert_eq!(ask(&registry, "dunlin kv put rooms/a one").await.1, "");
        assert_eq!(ask(&registry, "dunlin kv put rooms/b two --json").await.1, "{\"revision\":2}\n");
        assert_eq!(ask(&registry, "dunlin kv get rooms/a").await, (ExitCode::SUCCESS, "one\n".to_owned()));
        let all = "rooms/a\tone\nrooms/b\ttwo\n";
        assert_eq!(ask(&registry, "dunlin kv get rooms/ --prefix").await.1, all);
        assert_eq!(ask(&registry, "dunlin kv del rooms/ --prefix").await.1, "2\n");
        assert_eq!(ask(&registry, "dunlin kv get rooms/a").await, (ExitCode::from(NOT_FOUND), String::new()));
    }

    #[tokio::test]
    async fn a_long_range_is_read_to_its_end() {
        let registry = MemoryRegistry::new();
        for n in 0..10_050 {
            registry.put(format!("key-{n:05}"), "x", 0).await.unwrap();
        }
        let (_, out) = ask(&registry, "dunlin kv get key- --prefix --json").await;
        assert_eq!(out.lines().count(), 10_050);
        let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(last["key"], "key-10049");
    }
}

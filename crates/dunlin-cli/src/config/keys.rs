//! Every key there is, read from the structure itself: for suggestions, for the environment, and for the table in the documents.

use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::Value;

use super::sections::Config;

/// Below this likeness a key is no suggestion.
const LIKENESS_MIN: f64 = 0.75;

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Where it is, such as `clients.listen`.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: String,
    /// Its default, as it would be written; empty for none.
    pub(super) default: String,
    /// What it does.
    pub(super) docs: String,
}

impl Key {
    /// Whether its value is text, whatever it looks like.
    pub(super) fn is_text(&self) -> bool {
        matches!(&*self.kind, "text" | "time" | "size") || self.kind.starts_with('`')
    }

    /// Whether it is a table of the operator's own keys.
    pub(super) fn is_table(&self) -> bool {
        self.kind == "table"
    }
}

/// All keys, in the order of the structure.
pub(super) fn keys() -> &'static [Key] {
    static KEYS: OnceLock<Vec<Key>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let schema = schemars::schema_for!(Config).to_value();
        let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
        let mut keys = Vec::new();
        walk(&schema, &schema, ("", &defaults), &mut keys);
        keys
    })
}

/// The key at a path; one within a table is that of the table.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    keys().iter().find(|key| {
        key.path == path
            || (key.is_table() && path.strip_prefix(&*key.path).is_some_and(|rest| rest.starts_with('.')))
    })
}

/// Whether there are keys below a path.
pub(super) fn is_section(path: &str) -> bool {
    keys().iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The key that somebody may have meant.
pub(super) fn suggestion(path: &str) -> Option<&'static str> {
    let name = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let likeness = |key: &Key| {
        let whole = strsim::jaro_winkler(path, &key.path);
        // In the wrong section a key is meant all the same.
        if name(path) == name(&key.path) { whole.max(0.9) } else { whole }
    };
    let scored = keys().iter().map(|key| (likeness(key), &*key.path));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= LIKENESS_MIN).then_some(best.1)
}

fn walk(root: &Value, schema: &Value, (path, default): (&str, &Value), keys: &mut Vec<Key>) {
    let Some(properties) = resolve(root, schema)["properties"].as_object() else { return };
    let absent = Value::Null;
    for (name, property) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let default = default.get(name).unwrap_or(&absent);
        let resolved = resolve(root, property);
        if resolved["properties"].is_object() {
            walk(root, property, (&path, default), keys);
            continue;
        }
        let docs = property["description"].as_str().or(resolved["description"].as_str()).unwrap_or_default();
        let default = if default.is_null() { &property["default"] } else { default };
        keys.push(Key {
            path,
            kind: kind(resolved),
            default: written(default),
            docs: docs.split_whitespace().collect::<Vec<_>>().join(" "),
        });
    }
}

/// The schema itself, past references and "or nothing".
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return root.pointer(reference.trim_start_matches('#')).map_or(schema, |found| resolve(root, found));
    }
    let options = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    let option = options.and_then(|options| {
        options.iter().find(|option| option["$ref"].is_string() || option["format"].is_string())
    });
    option.map_or(schema, |option| resolve(root, option))
}

fn kind(schema: &Value) -> String {
    let choices =
        |values: Vec<&str>| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    if let Some(values) = schema["enum"].as_array() {
        return choices(values.iter().filter_map(Value::as_str).collect());
    }
    if let Some(options) = schema["oneOf"].as_array() {
        return choices(options.iter().filter_map(|option| option["const"].as_str()).collect());
    }
    let of_type = |name: &str| {
        schema["type"] == name
            || schema["type"].as_array().is_some_and(|types| types.iter().any(|one| one == name))
    };
    match schema["format"].as_str() {
        Some(format @ ("time" | "size")) => format.to_owned(),
        Some("limit") => "number, or `none`".to_owned(),
        _ if of_type("boolean") => "yes or no".to_owned(),
        _ if of_type("integer") => "number".to_owned(),
        _ if of_type("array") => "list".to_owned(),
        _ if of_type("object") => "table".to_owned(),
        _ => "text".to_owned(),
    }
}

fn written(default: &Value) -> String {
    match default {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => String::new(),
        Value::Object(table) if table.is_empty() => String::new(),
        other => other.to_string(),
    }
}

/// The table of all keys, as the documents have it.
pub(crate) fn table() -> String {
    let mut table = "| key | value | default | what it does |\n|---|---|---|---|\n".to_owned();
    for Key { path, kind, default, docs } in keys() {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        // Writing to a string does not fail.
        writeln!(table, "| `{path}` | {kind} | {default} | {docs} |").ok();
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_says_what_it_does_and_what_it_is() {
        for key in keys() {
            assert!(key.docs.ends_with('.'), "{key:?}");
            assert!(!key.kind.is_empty(), "{key:?}");
        }
        let of = |path: &str| find(path).unwrap_or_else(|| panic!("{path}")).clone();
        assert_eq!(of("clients.heartbeat_interval").default, "30s");
        assert_eq!(of("clients.packet_body_in_max").default, "64KiB");
        assert_eq!(of("cluster.voter.tick").default, "100ms");
        assert_eq!(of("clients.compress_from").kind, "size");
        assert_eq!(of("log.format").kind, "`human`, `json`");
        assert_eq!(of("clients.connections_max").kind, "number");
        assert!(of("cluster.voters.1").is_table());
        assert!(is_section("cluster.tls") && !is_section("cluster.voters") && !is_section("cluster.t"));
    }

    #[test]
    fn a_key_that_is_nearly_right_is_suggested() {
        assert_eq!(suggestion("clients.lisen"), Some("clients.listen"));
        assert_eq!(suggestion("clients.heartbeat"), Some("clients.heartbeat_interval"));
        assert_eq!(suggestion("node.token_file"), Some("admin.token_file"));
        assert_eq!(suggestion("zzz"), None);
    }

    #[test]
    fn the_table_in_the_documents_is_that_of_the_code() {
        let page = include_str!("../../../../docs/configuration.md");
        assert!(page.contains(&table()), "put this into docs/configuration.md:\n{}", table());
    }
}

//! The sources of a node's settings: a file, the environment, the command line, of which the later ones win.

use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::keys::{find, is_section, suggestion};
use super::sections::Config;

/// What variables of the environment begin with.
const PREFIX: &str = "DUNLIN_";

/// What stands between the sections of a variable's name.
const SEPARATOR: &str = "__";

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// A file in TOML.
    pub(crate) file: Option<PathBuf>,
    /// Variables of the environment, of which those that begin with `DUNLIN_` and name a section are taken.
    pub(crate) environment: Vec<(String, String)>,
    /// `key=value`, from the command line.
    pub(crate) set: Vec<(String, String)>,
}

/// Why settings cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration cannot be read from {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file is none of settings.
    #[error("{}: {said}", path.display())]
    Syntax { path: PathBuf, said: String },
    /// There is no such setting.
    #[error("{from}: there is no setting `{key}`{}", meant(suggestion))]
    Unknown { from: String, key: String, suggestion: Option<&'static str> },
    /// A setting that is none of that kind.
    #[error("{from}: `{key}` {said}")]
    Value { from: String, key: String, said: String },
}

fn meant(suggestion: &Option<&str>) -> String {
    suggestion.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default()
}

impl Sources {
    /// Reads them all.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        let (text, file) = match &self.file {
            Some(path) => from_file(path)?,
            None => Default::default(),
        };
        let single = self.single();
        match with(&file, &single, None)? {
            Ok(config) => Ok(config),
            Err(error) => {
                // What is wrong in the file by itself is told with its place.
                if let (Some(path), Err(error)) = (&self.file, toml::from_str::<Config>(&text)) {
                    return Err(syntax(path, &error));
                }
                // Whoever is wrong is the one without whom it is right.
                let is_it = |at: &usize| matches!(with(&file, &single, Some(*at)), Ok(Ok(_)));
                let (from, key) = match (0..single.len()).find(is_it) {
                    Some(at) => (single[at].from.clone(), single[at].path.clone()),
                    None => ("the configuration".to_owned(), "a setting".to_owned()),
                };
                Err(ConfigError::Value { from, key, said: first_line(&error) })
            }
        }
    }

    /// The settings that are given one by one, in the order in which they win.
    fn single(&self) -> Vec<Single<'_>> {
        let variables = self.environment.iter().filter_map(|(name, text)| {
            let path = name.strip_prefix(PREFIX)?.to_lowercase().replace(SEPARATOR, ".");
            path.contains('.').then_some(Single { from: format!("the variable {name}"), path, text })
        });
        let flags = self.set.iter().map(|(key, text)| Single {
            from: format!("--set {key}"),
            path: key.clone(),
            text,
        });
        variables.chain(flags).collect()
    }
}

/// A setting that is given by itself.
struct Single<'a> {
    from: String,
    path: String,
    text: &'a str,
}

/// The file with all that is given one by one, but for one of them.
fn with(
    file: &Table,
    single: &[Single<'_>],
    without: Option<usize>,
) -> Result<Result<Config, toml::de::Error>, ConfigError> {
    let mut table = file.clone();
    for (at, Single { from, path, text }) in single.iter().enumerate() {
        if without != Some(at) {
            put(&mut table, path, text).map_err(|refused| refused.of(from, path))?;
        }
    }
    Ok(table.try_into())
}

fn first_line(error: &toml::de::Error) -> String {
    format!("cannot be taken: {}", error.message().lines().next().unwrap_or_default())
}

fn syntax(path: &Path, error: &toml::de::Error) -> ConfigError {
    ConfigError::Syntax { path: path.to_owned(), said: error.to_string().trim_end().to_owned() }
}

/// What a file says, as text and as a table. Whether its values are what they are to be is seen with those from elsewhere, which may complete them.
fn from_file(path: &Path) -> Result<(String, Table), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
    let table: Table = toml::from_str(&text).map_err(|error| syntax(path, &error))?;
    if let Some(key) = unknown("", &table) {
        let line = line_of(&text, &key);
        let from =
            line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()));
        let suggestion = suggestion(&key);
        return Err(ConfigError::Unknown { from, key, suggestion });
    }
    Ok((text, table))
}

/// The first key of a table that is none.
fn unknown(path: &str, table: &Table) -> Option<String> {
    table.iter().find_map(|(name, value)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            _ if find(&path).is_some() => None,
            Value::Table(inner) if is_section(&path) => unknown(&path, inner),
            // A section that is none of a table is told by its kind.
            _ if is_section(&path) => None,
            _ => Some(path),
        }
    })
}

/// The line in which a key is first written, as far as can be told without a parser of places.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let name = key.rsplit('.').next()?;
    let is_it = |line: &str| {
        let line = line.trim_start().trim_start_matches('[');
        let rest = line.strip_prefix(key).or_else(|| line.strip_prefix(name));
        rest.is_some_and(|rest| rest.trim_start().starts_with(['=', ']', '.']))
    };
    text.lines().position(is_it).map(|at| at + 1)
}

/// Why a single setting cannot be put.
enum Refused {
    Unknown,
    NoTable,
}

impl Refused {
    fn of(self, from: &str, path: &str) -> ConfigError {
        let (from, key) = (from.to_owned(), path.to_owned());
        match self {
            Self::Unknown => ConfigError::Unknown { suggestion: suggestion(&key), from, key },
            Self::NoTable => {
                ConfigError::Value { from, key, said: "lies within something that is no section".to_owned() }
            }
        }
    }
}

/// Puts a setting into a table, its value read as what the setting is.
fn put(table: &mut Table, path: &str, text: &str) -> Result<(), Refused> {
    let key = find(path).ok_or(Refused::Unknown)?;
    let parsed = || toml::from_str::<Table>(&format!("value = {text}")).ok()?.remove("value");
    let value = match parsed() {
        _ if key.is_text() || (key.is_table() && key.path != path) => Value::String(text.to_owned()),
        Some(value) => value,
        // A list of one thing, or of several with commas between them.
        None if key.kind == "list" => {
            Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect())
        }
        None => Value::String(text.to_owned()),
    };
    let mut table = table;
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            table.insert(name.to_owned(), value);
            break;
        }
        let inner = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
        table = inner.as_table_mut().ok_or(Refused::NoTable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::config::units::Size;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_command_line_over_both() {
        let file = file("[node]\nname = \"a\"\n[clients]\nlisten = [\"127.0.0.1:1\"]\nunanswered_max = 5\n");
        let mut sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
        assert_eq!(sources.load().unwrap().node.name.as_deref(), Some("a"));
        sources.environment = pairs(&[
            ("DUNLIN_NODE__NAME", "42"),
            ("DUNLIN_CLIENTS__UNANSWERED_MAX", "6"),
            ("DUNLIN_CLIENTS__PACKET_BODY_IN_MAX", "1MiB"),
            ("DUNLIN_AT", "http://elsewhere"),
            ("PATH", "/bin"),
        ]);
        sources.set = pairs(&[
            ("clients.unanswered_max", "7"),
            ("clients.listen", "0.0.0.0:1, 0.0.0.0:2"),
            ("cluster.voters.1", "http://10.0.0.1:7001"),
        ]);
        let config = sources.load().unwrap();
        assert_eq!(config.node.name.as_deref(), Some("42"), "text stays text");
        assert_eq!(config.clients.unanswered_max, 7);
        assert_eq!(config.clients.packet_body_in_max, Size(1 << 20));
        assert_eq!(config.clients.listen, ["0.0.0.0:1", "0.0.0.0:2"]);
        assert_eq!(config.cluster.voters["1"], "http://10.0.0.1:7001");
    }

    #[test]
    fn what_a_file_leaves_open_may_come_from_the_environment() {
        let file = file("[cluster]\nvoter = { dir = \"log\" }\n");
        let mut sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
        assert!(sources.load().unwrap_err().to_string().contains("missing field `id`"));
        sources.environment = pairs(&[("DUNLIN_CLUSTER__VOTER__ID", "2")]);
        assert_eq!(sources.load().unwrap().cluster.voter.unwrap().id, 2);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_what_was_meant() {
        let file = file("[clients]\nlisten = []\n\nlisen = []\n");
        let error = Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(".toml:4: there is no setting `clients.lisen`; did you mean `clients.listen`?"),
            "{text}"
        );
        let set = Sources { set: pairs(&[("log.levle", "debug")]), ..Sources::default() };
        let text = set.load().unwrap_err().to_string();
        assert_eq!(text, "--set log.levle: there is no setting `log.levle`; did you mean `log.level`?");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_told_where_it_stands() {
        let file = file("[clients]\nheartbeat_interval = 30\n");
        let error = Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 2") && text.contains("such as \"500ms\""), "{text}");
        let variable = pairs(&[("DUNLIN_CLIENTS__UNANSWERED_MAX", "many")]);
        let text = Sources { environment: variable, ..Sources::default() }.load().unwrap_err().to_string();
        assert!(
            text.starts_with("the variable DUNLIN_CLIENTS__UNANSWERED_MAX: `clients.unanswered_max` cannot"),
            "{text}"
        );
    }
}

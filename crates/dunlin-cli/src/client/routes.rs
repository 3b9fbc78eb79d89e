//! The routes that can be completed: those that the server tells, those of a file, and those that were used.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use dunlin_client::Client;

use super::line::WORDS;

/// The most routes that are kept: as many as a dictionary has codes.
const ROUTES_MAX: usize = 1 << 16;

/// The most that is read of a file of routes.
const FILE_LEN_MAX: u64 = 4 << 20;

/// A route, or the start of one, may have no more bytes in a message.
const ROUTE_LEN_MAX: usize = 255;

/// Names, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Routes {
    names: BTreeSet<String>,
}

impl Routes {
    /// The routes of a file, one a line; `#` starts a remark.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let mut text = String::new();
        let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let len = file.take(FILE_LEN_MAX + 1).read_to_string(&mut text);
        let len = len.with_context(|| format!("{} cannot be read", path.display()))?;
        ensure!(
            u64::try_from(len).is_ok_and(|len| len <= FILE_LEN_MAX),
            "{} has more than {FILE_LEN_MAX} bytes; write one route a line",
            path.display()
        );
        let mut routes = Self::default();
        routes.add(text.lines().map(|line| line.split('#').next().unwrap_or_default()));
        Ok(routes)
    }

    /// Adds what the server told in its handshake.
    pub(super) fn add_told(&mut self, client: &Client) {
        let handshake = client.handshake();
        let Some(sys) = &handshake.sys else { return };
        let by_route = [&sys.dict, &sys.route_to_code].into_iter().flatten();
        self.add(by_route.flat_map(|routes| routes.keys()).map(String::as_str));
        let by_code = sys.code_to_route.iter().flat_map(|routes| routes.values());
        self.add(by_code.map(String::as_str));
    }

    /// Adds names; those that could not be typed as one word, and those beyond the bound, are left out.
    pub(super) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            let name = name.trim();
            let is_word = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control());
            if is_word && name.len() <= ROUTE_LEN_MAX && self.names.len() < ROUTES_MAX {
                self.names.insert(name.to_owned());
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// What the line may go on with where the cursor is: where that word begins, and the words.
    pub(super) fn complete(&self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let before = line.get(..cursor).unwrap_or(line);
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let (head, begun) = before.split_at(start);
        let mut words = head.split_whitespace();
        let found = match (words.next(), words.next()) {
            (None, _) => {
                let words = WORDS.iter().map(|(word, ..)| *word).filter(|word| word.starts_with(begun));
                words.map(|word| format!("{word} ")).collect()
            }
            (Some("request" | "notify" | "watch"), None) => {
                let names = self.names.range(begun.to_owned()..).take_while(|name| name.starts_with(begun));
                names.map(|name| format!("{name} ")).collect()
            }
            _ => Vec::new(),
        };
        (start, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let mut routes = Routes::default();
        routes.add(["Chat.say", "Chat.join", "Room.enter"]);
        routes
    }

    fn complete(line: &str) -> (usize, Vec<String>) {
        routes().complete(line, line.len())
    }

    #[test]
    fn the_first_word_is_completed_by_commands_and_the_second_by_routes() {
        assert_eq!(complete("re"), (0, vec!["request ".to_owned()]));
        assert_eq!(complete("request Chat."), (8, vec!["Chat.join ".to_owned(), "Chat.say ".to_owned()]));
        assert_eq!(complete("notify R"), (7, vec!["Room.enter ".to_owned()]));
        assert_eq!(complete("watch ").1.len(), 3);
    }

    #[test]
    fn bodies_and_commands_without_routes_are_not_completed() {
        assert_eq!(complete("request Chat.join Ch").1, Vec::<String>::new());
        assert_eq!(complete("quit Ch").1, Vec::<String>::new());
    }

    #[test]
    fn the_cursor_decides_and_not_the_end_of_the_line() {
        assert_eq!(routes().complete("no Chat.say {}", 2), (0, vec!["notify ".to_owned()]));
    }

    #[test]
    fn a_file_has_a_route_on_each_line_and_remarks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.txt");
        std::fs::write(&path, "# the chat\nChat.join  # enters\n\nChat.say\nno route\n").unwrap();
        let routes = Routes::read(&path).unwrap();
        assert_eq!(routes.iter().collect::<Vec<_>>(), ["Chat.join", "Chat.say"]);
        let error = Routes::read(&dir.path().join("none.txt")).unwrap_err();
        assert!(format!("{error:#}").contains("none.txt cannot be read"), "{error:#}");
    }
}

//! One line of the log: what it says, and its two forms. Pure.
//!
//! Invariants: a line has at most [`LINE_LEN_MAX`] bytes; nothing in it that came from outside can end it, colour it or turn
//! its direction; a line of JSON is whole JSON.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value, json};
use tracing::Level;
use tracing::field::{Field, Visit};

/// Bytes of one line, its end included.
pub(super) const LINE_LEN_MAX: usize = 1024;
/// What stands for what was cut.
const CUT: &str = "…";

/// What one line says.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) time: &'a str,
    pub(super) level: Level,
    pub(super) target: &'a str,
    /// The spans around it.
    pub(super) spans: &'a str,
    pub(super) said: Said,
}

/// The message and the fields of an event.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Said {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.push((field.name(), value.into()));
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = text_of(format_args!("{value:?}"));
        if field.name() == "message" {
            self.message = text;
        } else {
            self.add(field, text);
        }
    }
}

/// What a value says, as far as a line could hold it, with everything escaped that is no character to be read.
pub(super) fn text_of(value: fmt::Arguments<'_>) -> String {
    let mut text = Text(String::new());
    // It fails when the text is full, which is when enough was said.
    text.write_fmt(value).ok();
    text.0
}

/// Text that grows to the length of a line and no further.
struct Text(String);

impl fmt::Write for Text {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for character in piece.chars() {
            if self.0.len() >= LINE_LEN_MAX {
                return Err(fmt::Error);
            }
            if is_readable(character) {
                self.0.push(character);
            } else {
                self.0.extend(character.escape_default());
            }
        }
        Ok(())
    }
}

/// Not those that control a terminal, end a line, or turn the direction of what follows.
fn is_readable(character: char) -> bool {
    let is_direction =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !is_direction
}

/// Cuts a text to a length in bytes.
fn cut(text: &mut String, len_max: usize) {
    if text.len() > len_max {
        let mut end = len_max.saturating_sub(CUT.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT);
    }
}

impl Line<'_> {
    /// For people: time, level, place, message, fields.
    pub(super) fn human(&self, is_styled: bool) -> String {
        let level = self.level.as_str();
        let (head, place) = if is_styled {
            let colour = match self.level {
                Level::ERROR => "\u{1b}[31m",
                Level::WARN => "\u{1b}[33m",
                Level::INFO => "\u{1b}[32m",
                _ => "\u{1b}[34m",
            };
            let (dim, plain) = ("\u{1b}[2m", "\u{1b}[0m");
            (
                format!("{dim}{}{plain} {colour}{level:>5}{plain} ", self.time),
                format!("{dim}{}:{plain} ", self.target),
            )
        } else {
            (format!("{} {level:>5} ", self.time), format!("{}: ", self.target))
        };
        let mut said = String::new();
        if !self.spans.is_empty() {
            said = format!("{}: ", self.spans);
        }
        said.push_str(&self.said.message);
        for (name, value) in &self.said.fields {
            let written = match value {
                Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => text.clone(),
                // Texts of more than a word are quoted.
                value => value.to_string(),
            };
            said.extend([" ", name, "=", &written]);
        }
        cut(&mut said, LINE_LEN_MAX.saturating_sub(head.len() + place.len() + 1));
        format!("{head}{place}{said}\n")
    }

    /// For programs: one object, with fewer bytes of each text until it fits.
    pub(super) fn json(&self) -> String {
        let mut text_len_max = LINE_LEN_MAX;
        loop {
            let mut line = self.object(text_len_max).to_string();
            line.push('\n');
            if line.len() <= LINE_LEN_MAX || text_len_max < CUT.len() {
                return line;
            }
            text_len_max /= 2;
        }
    }

    fn object(&self, text_len_max: usize) -> Value {
        let short = |text: &str| {
            let mut text = text.to_owned();
            cut(&mut text, text_len_max);
            Value::from(text)
        };
        let mut object = Map::new();
        object.insert("time".to_owned(), json!(self.time));
        object.insert("level".to_owned(), json!(self.level.as_str()));
        object.insert("target".to_owned(), short(self.target));
        object.insert("message".to_owned(), short(&self.said.message));
        if !self.spans.is_empty() {
            object.insert("spans".to_owned(), short(self.spans));
        }
        let fields = self.said.fields.iter().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.clone(), short);
            ((*name).to_owned(), value)
        });
        let fields: Map<String, Value> = fields.collect();
        if !fields.is_empty() {
            object.insert("fields".to_owned(), fields.into());
        }
        object.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, fields: Vec<(&'static str, Value)>) -> Line<'static> {
        let message = text_of(format_args!("{message}"));
        let said = Said { message, fields };
        Line { time: "2026-01-02T03:04:05Z", level: Level::WARN, target: "gate", spans: "", said }
    }

    #[test]
    fn a_line_says_when_how_bad_where_what_and_with_what() {
        let line =
            line("turned away", vec![("shed", 5.into()), ("why", "too many".into()), ("from", "a".into())]);
        assert_eq!(
            line.human(false),
            "2026-01-02T03:04:05Z  WARN gate: turned away shed=5 why=\"too many\" from=a\n"
        );
        let object: Value = serde_json::from_str(&line.json()).unwrap();
        assert_eq!(
            object,
            json!({ "time": "2026-01-02T03:04:05Z", "level": "WARN", "target": "gate", "message": "turned away",
                    "fields": { "shed": 5, "why": "too many", "from": "a" } })
        );
    }

    #[test]
    fn nothing_from_outside_ends_a_line_colours_it_or_turns_it_around() {
        let hostile = "a\nb\r\u{1b}[31mred\u{9b}\u{202e}drawkcab\u{2028}\0\u{7f}";
        let text = text_of(format_args!("{hostile}"));
        let line = line(hostile, vec![("route", text.into())]);
        for written in [line.human(false), line.human(true).replace("\u{1b}[", ""), line.json()] {
            let said = written.strip_suffix('\n').unwrap();
            assert!(said.chars().all(is_readable), "{said:?}");
            assert!(said.contains("drawkcab"));
        }
    }

    #[test]
    fn a_line_has_a_kilobyte_at_most_whatever_is_said() {
        for piece in ["x", "\0", "\"", "é", "𝄞", "\\"] {
            let long = piece.repeat(100_000);
            let text = text_of(format_args!("{long}"));
            assert!(text.len() < LINE_LEN_MAX + 16, "it is not even kept");
            let fields = vec![("a", text.clone().into()), ("b", text.clone().into()), ("c", 1.into())];
            let line = line(&long, fields);
            for written in [line.human(false), line.human(true), line.json()] {
                assert!(written.len() <= LINE_LEN_MAX, "{} bytes", written.len());
                assert!(written.contains(CUT) && written.ends_with('\n'));
            }
            assert!(serde_json::from_str::<Value>(&line.json()).is_ok());
        }
    }
}

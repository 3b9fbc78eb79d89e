//! What is typed at the prompt of `dunlin client`, or comes in lines: text in, what is meant out.

/// The words that a line begins with, each with what it takes, and what it does.
pub(super) const WORDS: [(&str, &str, &str); 6] = [
    ("request", "ROUTE [JSON]", "ask, and show the answer"),
    ("notify", "ROUTE [JSON]", "say something that wants no answer"),
    ("watch", "[ROUTE|off]", "show pushes of this route alone, of all, or none"),
    ("routes", "", "show the routes that are known, which Tab completes"),
    ("help", "", "show this"),
    ("quit", "", "close the connection; Ctrl-D does as well"),
];

/// What a message says when nothing is said.
const EMPTY_BODY: &str = "{}";

/// What a line means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing, or a remark after `#`.
    Nothing,
    Request {
        route: String,
        body: String,
    },
    Notify {
        route: String,
        body: String,
    },
    Watch(Watching),
    Routes,
    Help,
    Quit,
}

/// Which pushes are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Watching {
    #[default]
    All,
    Route(String),
    None,
}

impl Watching {
    pub(super) fn shows(&self, route: &str) -> bool {
        match self {
            Self::All => true,
            Self::Route(shown) => shown == route,
            Self::None => false,
        }
    }
}

/// Reads a line; the error says what to type instead.
pub(super) fn parse(text: &str) -> Result<Line, String> {
    let (word, rest) = split_word(text.trim());
    match word {
        "" => Ok(Line::Nothing),
        word if word.starts_with('#') => Ok(Line::Nothing),
        "request" => message(word, rest).map(|(route, body)| Line::Request { route, body }),
        "notify" => message(word, rest).map(|(route, body)| Line::Notify { route, body }),
        "watch" => Ok(Line::Watch(match rest {
            "" => Watching::All,
            "off" => Watching::None,
            route => Watching::Route(route.to_owned()),
        })),
        "routes" => Ok(Line::Routes),
        "help" => Ok(Line::Help),
        "quit" | "exit" => Ok(Line::Quit),
        // The most likely slip: a route where its word should be.
        word if word.contains('.') => Err(format!("write `request {word} …` or `notify {word} …`")),
        word => Err(format!("there is no `{word}`; `help` shows what there is")),
    }
}

fn message(word: &str, rest: &str) -> Result<(String, String), String> {
    let (route, body) = split_word(rest);
    if route.is_empty() {
        return Err(format!("write a route, such as `{word} Chat.join {{\"room\":\"r\"}}`"));
    }
    let body = if body.is_empty() { EMPTY_BODY } else { body };
    Ok((route.to_owned(), body.to_owned()))
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_all_that_follows_the_route() {
        let request =
            |route: &str, body: &str| Ok(Line::Request { route: route.to_owned(), body: body.to_owned() });
        assert_eq!(
            parse("request Chat.join {\"a\": 1, \"b\": 2} "),
            request("Chat.join", "{\"a\": 1, \"b\": 2}")
        );
        assert_eq!(parse("  request   Chat.join"), request("Chat.join", "{}"));
        let notify = Line::Notify { route: "Chat.say".to_owned(), body: "\"hi\"".to_owned() };
        assert_eq!(parse("notify Chat.say \"hi\""), Ok(notify));
    }

    #[test]
    fn what_is_no_command_is_answered_with_what_is() {
        assert!(parse("request").unwrap_err().contains("such as `request Chat.join"));
        assert!(parse("Chat.join {}").unwrap_err().contains("`request Chat.join …`"));
        assert!(parse("hello").unwrap_err().contains("`help`"));
    }

    #[test]
    fn remarks_and_empty_lines_mean_nothing() {
        assert_eq!([parse(""), parse("  "), parse("# request Chat.join")], [const { Ok(Line::Nothing) }; 3]);
    }

    #[test]
    fn every_word_that_is_listed_is_understood() {
        for (word, ..) in WORDS {
            assert!(parse(&format!("{word} Chat.join")).is_ok(), "{word}");
        }
    }

    #[test]
    fn watching_shows_one_route_all_or_none() {
        let watching = |text| match parse(text) {
            Ok(Line::Watch(watching)) => watching,
            other => panic!("{other:?}"),
        };
        assert!(watching("watch").shows("onLine"));
        assert!(watching("watch onLine").shows("onLine") && !watching("watch onLine").shows("onMove"));
        assert!(!watching("watch off").shows("onLine"));
    }
}

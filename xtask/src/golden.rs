//! Golden scripts: what a client sends and what it must get back, as data, read into steps and compared here.
//!
//! Knows nothing of sockets; `golden/player.rs` plays a script against a server. The notation is explained at the
//! top of `interop/golden/pitaya.txt`. Invariant: a line that begins with a sign is either understood or an error,
//! never prose, so that a slip of the pen cannot make a script weaker.

use std::io::Read;

use serde_json::Value;

pub(crate) mod player;
#[cfg(test)]
mod tests;

/// The longest body a compressed packet may inflate to.
const INFLATED_LEN_MAX: u64 = 1 << 20;

/// The claims of one script, in the order of the file.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) claims: Vec<Claim>,
}

/// Steps over one connection that stand for one claim.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) name: String,
    /// The name of the server it is played against.
    pub(crate) server: String,
    pub(crate) steps: Vec<Step>,
}

/// One line of the script.
#[derive(Debug)]
pub(crate) struct Step {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) action: Action,
}

#[derive(Debug)]
pub(crate) enum Action {
    /// Bytes to send, one item for each write.
    Send(Vec<Vec<u8>>),
    /// The next packet must look like this.
    Expect(Pattern),
    /// The server must end the connection.
    ExpectEnd,
}

/// What a whole packet must look like.
#[derive(Debug, PartialEq)]
pub(crate) struct Pattern {
    /// The first bytes; `None` is any byte.
    head: Vec<Option<u8>>,
    rest: Rest,
}

/// What must follow the first bytes.
#[derive(Debug, PartialEq)]
enum Rest {
    Nothing,
    Anything,
    Json(Value),
    Zlib(Value),
}

/// Why a script cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ScriptError {
    /// A step came before the first claim.
    #[error("line {line}: a step before the first `== NAME on SERVER`")]
    NoClaim { line: usize },
    /// A heading is not `== NAME on SERVER`.
    #[error("line {line}: a heading is `== NAME on SERVER`")]
    Heading { line: usize },
    /// Bytes are not pairs of hexadecimal digits.
    #[error("line {line}: `{text}` is not hexadecimal")]
    Hex { line: usize, text: String },
    /// What follows `json` or `zlib` is not JSON.
    #[error("line {line}: the expected JSON cannot be read")]
    Json {
        line: usize,
        #[source]
        source: JsonFault,
    },
    /// A claim without a single step would always hold.
    #[error("claim `{name}` on `{server}` expects nothing")]
    Empty { name: String, server: String },
}

/// What is wrong with the JSON of a line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct JsonFault(String);

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    ///
    /// [`ScriptError`] for the first line that cannot be read.
    pub(crate) fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut claims: Vec<Claim> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            if let Some(heading) = text.strip_prefix("==") {
                let (name, server) = heading.split_once(" on ").ok_or(ScriptError::Heading { line })?;
                let (name, server) = (name.trim().to_owned(), server.trim().to_owned());
                claims.push(Claim { name, server, steps: Vec::new() });
            } else if text.starts_with(['>', '<']) {
                let action = parse_action(text, line)?;
                let claim = claims.last_mut().ok_or(ScriptError::NoClaim { line })?;
                claim.steps.push(Step { line, action });
            }
        }
        let expects_nothing = |claim: &&Claim| {
            !claim.steps.iter().any(|step| matches!(step.action, Action::Expect(_) | Action::ExpectEnd))
        };
        match claims.iter().find(expects_nothing) {
            Some(Claim { name, server, .. }) => {
                Err(ScriptError::Empty { name: name.clone(), server: server.clone() })
            }
            None => Ok(Self { claims }),
        }
    }
}

fn parse_action(text: &str, line: usize) -> Result<Action, ScriptError> {
    if let Some(sent) = text.strip_prefix('>') {
        let writes = sent.split('|').map(|write| parse_bytes(write, line));
        return writes.collect::<Result<_, _>>().map(Action::Send);
    }
    let expected = text.trim_start_matches('<').trim();
    if expected == "end" { Ok(Action::ExpectEnd) } else { parse_pattern(expected, line).map(Action::Expect) }
}

fn parse_bytes(text: &str, line: usize) -> Result<Vec<u8>, ScriptError> {
    let wrong = || ScriptError::Hex { line, text: text.trim().to_owned() };
    parse_head(text, line)?.into_iter().map(|byte| byte.ok_or_else(wrong)).collect()
}

fn parse_pattern(text: &str, line: usize) -> Result<Pattern, ScriptError> {
    let json = |json: &str| {
        serde_json::from_str(json)
            .map_err(|source| ScriptError::Json { line, source: JsonFault(source.to_string()) })
    };
    let (head, rest) = if let Some((head, body)) = text.split_once(" json ") {
        (head, Rest::Json(json(body)?))
    } else if let Some((head, body)) = text.split_once(" zlib ") {
        (head, Rest::Zlib(json(body)?))
    } else if let Some(head) = text.strip_suffix("...") {
        (head, Rest::Anything)
    } else {
        (text, Rest::Nothing)
    };
    Ok(Pattern { head: parse_head(head, line)?, rest })
}

/// Pairs of hexadecimal digits or question marks, with spaces wherever they help the reader.
fn parse_head(text: &str, line: usize) -> Result<Vec<Option<u8>>, ScriptError> {
    let wrong = || ScriptError::Hex { line, text: text.trim().to_owned() };
    let digits: Vec<char> = text.chars().filter(|character| !character.is_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| match pair {
        ['?', '?'] => Ok(None),
        [high, low] => match (high.to_digit(16), low.to_digit(16)) {
            (Some(high), Some(low)) => u8::try_from(high << 4 | low).map(Some).map_err(|_| wrong()),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    });
    pairs.collect()
}

impl Pattern {
    /// Whether the pattern asks for packets of this type.
    pub(crate) fn asks_for(&self, packet_type: u8) -> bool {
        self.head.first() == Some(&Some(packet_type))
    }

    /// Compares a whole packet with the pattern.
    ///
    /// # Errors
    ///
    /// What differs, for people.
    pub(crate) fn compare(&self, packet: &[u8]) -> Result<(), String> {
        if packet.len() < self.head.len() {
            let (len, head_len) = (packet.len(), self.head.len());
            return Err(format!("{len} bytes where at least {head_len} were expected: {}", hex(packet)));
        }
        let (head, rest) = packet.split_at(self.head.len());
        let differs =
            |(expected, byte): (&Option<u8>, &u8)| expected.is_some_and(|expected| expected != *byte);
        if let Some(at) = self.head.iter().zip(head).position(differs) {
            return Err(format!("byte {at} differs in {}", hex(packet)));
        }
        match &self.rest {
            Rest::Nothing if rest.is_empty() => Ok(()),
            Rest::Nothing => Err(format!("{} more bytes than expected in {}", rest.len(), hex(packet))),
            Rest::Anything => Ok(()),
            Rest::Json(expected) => compare_json(expected, rest),
            Rest::Zlib(expected) => {
                let mut inflated = Vec::new();
                let mut stream = flate2::read::ZlibDecoder::new(rest).take(INFLATED_LEN_MAX);
                match stream.read_to_end(&mut inflated) {
                    Ok(_) => compare_json(expected, &inflated),
                    Err(error) => Err(format!("not a zlib stream ({error}): {}", hex(rest))),
                }
            }
        }
    }
}

fn compare_json(expected: &Value, bytes: &[u8]) -> Result<(), String> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(actual) => compare_values(expected, Some(&actual), "the body"),
        Err(error) => Err(format!("not JSON ({error}): {}", String::from_utf8_lossy(bytes))),
    }
}

/// `actual` is at least what is `expected`: objects may have further members, everything else is the same.
fn compare_values(expected: &Value, actual: Option<&Value>, path: &str) -> Result<(), String> {
    let is_empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    let holds = match (expected.as_str(), actual) {
        (Some("<any>"), actual) => actual.is_some(),
        (Some("<absent>"), actual) => actual.is_none(),
        (Some("<absent or empty>"), actual) => actual.is_none_or(is_empty),
        (_, None) => false,
        (_, Some(actual)) => match (expected.as_object(), actual.as_object()) {
            (Some(members), Some(found)) => {
                return members.iter().try_for_each(|(key, member)| {
                    compare_values(member, found.get(key), &format!("{path}.{key}"))
                });
            }
            _ => expected == actual,
        },
    };
    if holds {
        return Ok(());
    }
    let actual = actual.map_or_else(|| "nothing".to_owned(), Value::to_string);
    Err(format!("{path} is {actual} where {expected} was expected"))
}

/// The first bytes of a packet in hexadecimal, for people.
fn hex(bytes: &[u8]) -> String {
    const SHOWN_LEN: usize = 64;
    let mut text: String = bytes.iter().take(SHOWN_LEN).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > SHOWN_LEN {
        text.push('…');
    }
    text
}

//! What clients of real members did with keys that are put and read by their value, and whether some order of it explains all of it.
//!
//! Of such a group nobody sees more than its clients do, so what came of a put that was not answered is open. No value is put
//! twice, which makes that easy to judge: an open put whose value nobody read may as well not have been done, and one whose
//! value was read was done before the first such read ended. Neither choice makes a wrong history right, or a right one wrong.
//!
//! Knows nothing of the simulation. Invariant: a text that is no history is refused, never judged in part.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use porcupine_rs::{Model, Operation};

use crate::history::explain;

/// What is asked of a key, and what it is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Put(u64),
    /// None where it is not there.
    Got(Option<u64>),
}

/// One thing that a client did, in the time of its own.
#[derive(Debug, Clone, Copy)]
struct Done {
    client: u32,
    called: i64,
    /// None for a put that was not answered.
    returned: Option<i64>,
    act: Act,
}

/// What was judged and found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judged {
    /// Keys.
    pub keys: usize,
    /// What clients did with them.
    pub acts: usize,
    /// Puts without an answer.
    pub open: usize,
    /// Those of them whose value was read.
    pub open_done: usize,
}

/// A key.
#[derive(Debug, Clone)]
struct Register;

impl Model for Register {
    type State = Option<u64>;
    type Op = Act;
    type Metadata = ();

    fn init() -> Option<u64> {
        None
    }

    fn step(is: &Option<u64>, act: &Act) -> (bool, Option<u64>) {
        match *act {
            Act::Put(value) => (true, Some(value)),
            Act::Got(value) => (value == *is, *is),
        }
    }
}

/// Judges a history, an act a line: `KEY CLIENT CALLED RETURNED put VALUE`, with `-` for RETURNED where there was no answer, and
/// `KEY CLIENT CALLED RETURNED got VALUE`, with `-` for VALUE where there is no such key. All are numbers; times have one origin.
///
/// # Errors
///
/// When a line is no act, or no order explains what clients saw of a key.
pub fn judge_registers(text: &str) -> Result<Judged> {
    let mut keys: BTreeMap<u64, Vec<Done>> = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        let (key, done) = parse(line).with_context(|| format!("line {number} is no act: {line:.80}"))?;
        keys.entry(key).or_default().push(done);
    }
    let mut judged = Judged { keys: keys.len(), acts: 0, open: 0, open_done: 0 };
    for (key, acts) in keys {
        let open = acts.iter().filter(|done| done.returned.is_none()).count();
        let history: Vec<_> = acts.iter().filter_map(|done| operation(done, &acts)).collect();
        judged.acts += acts.len();
        judged.open += open;
        judged.open_done += history.len() + open - acts.len();
        if let Err(why) = explain(&history) {
            bail!("{why} the {} acts on key {key}", history.len());
        }
    }
    Ok(judged)
}

/// From when to when it may have been done; none for what need not have been.
fn operation(done: &Done, all: &[Done]) -> Option<Operation<Register>> {
    let return_time = match (done.returned, done.act) {
        (Some(returned), _) => returned,
        (None, Act::Got(_)) => return None,
        (None, Act::Put(value)) => {
            let reads = all.iter().filter(|other| other.act == Act::Got(Some(value)));
            // Whoever read it before it was asked for read what was not there: no span explains that, a point least of all.
            reads.filter_map(|read| read.returned).min()?.max(done.called)
        }
    };
    let (client_id, call_time) = (Some(done.client), done.called);
    Some(Operation { client_id, call_time, return_time, op: done.act, metadata: None })
}

fn parse(line: &str) -> Result<(u64, Done)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [key, client, called, returned, what, value] = words.as_slice() else {
        bail!("it has not six words")
    };
    let (value, returned) = (given(value)?, given(returned)?);
    let act = match (*what, value) {
        ("put", Some(value)) => Act::Put(value),
        ("got", value) if returned.is_some() => Act::Got(value),
        _ => bail!("it is neither put nor read"),
    };
    let returned = returned.map(i64::try_from).transpose()?;
    Ok((key.parse()?, Done { client: client.parse()?, called: called.parse()?, returned, act }))
}

fn given(word: &str) -> Result<Option<u64>> {
    Ok(if word == "-" { None } else { Some(word.parse()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_right(acts: &[&str]) -> bool {
        judge_registers(&acts.join("\n")).is_ok()
    }

    #[test]
    fn read_that_begins_after_a_put_was_answered_sees_it() {
        assert!(is_right(&["1 0 0 5 put 7", "1 1 6 8 got 7"]));
        assert!(!is_right(&["1 0 0 5 put 7", "1 1 6 8 got -"]), "the put is lost");
        assert!(!is_right(&["1 0 0 1 put 7", "1 0 2 3 put 8", "1 1 4 5 got 7"]), "the read is stale");
        assert!(is_right(&["1 0 0 5 put 7", "1 1 2 3 got -"]), "it was not done yet");
    }

    #[test]
    fn nobody_reads_what_was_there_after_what_came_next() {
        let puts = ["1 0 0 1 put 7", "1 0 2 9 put 8"];
        assert!(is_right(&[&puts[..], &["1 1 3 4 got 7", "1 1 5 6 got 8"]].concat()));
        assert!(!is_right(&[&puts[..], &["1 1 3 4 got 8", "1 2 5 6 got 7"]].concat()));
    }

    #[test]
    fn put_without_an_answer_is_done_at_any_time_or_never_and_not_twice() {
        let open = ["1 0 0 1 put 7", "1 0 2 - put 8"];
        for reads in [["1 1 3 4 got 7", "1 1 5 6 got 7"], ["1 1 3 4 got 7", "1 1 5 6 got 8"]] {
            assert!(is_right(&[&open[..], &reads].concat()));
        }
        let again = ["1 1 3 4 got 8", "1 2 5 6 put 9", "1 1 7 8 got 9", "1 1 9 10 got 8"];
        assert!(!is_right(&[&open[..], &again].concat()));
        assert!(!is_right(&["1 1 3 4 got 8", "1 0 5 - put 8"]), "it was read before it was put");
    }

    #[test]
    fn keys_are_judged_apart_and_what_was_judged_is_counted() {
        let text = "1 0 0 1 put 7\n2 0 2 - put 8\n2 0 3 4 got 8\n2 0 5 - put 9\n1 0 6 7 got 7\n";
        let judged = judge_registers(text).unwrap();
        assert_eq!(judged, Judged { keys: 2, acts: 5, open: 2, open_done: 1 });
    }

    #[test]
    fn text_that_is_no_history_is_refused() {
        for line in ["", "1 0 0 1 put", "1 0 0 1 put -", "1 0 0 - got 7", "1 0 0 1 del 7", "x 0 0 1 put 7"] {
            assert!(judge_registers(&format!("{line}\n")).is_err(), "{line:?}");
        }
    }
}

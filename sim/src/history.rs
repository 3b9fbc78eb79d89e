//! What clients asked of keys and were told, and whether some order of it explains all of it: linearizability.
//!
//! Each key is judged by itself. What came of a command that nobody was told of is open. One that no member has applied was not done,
//! and is left out, as is a read that failed; any other was done when some member first applied it: a read that ended before cannot
//! have seen it, and one that began later must. (Said to be done at any time at all, as where nobody can look into members, a history
//! of many such commands has more orders than can be tried.) A key knows how often it was put, so that a command that is done twice
//! is seen.

use std::collections::BTreeMap;
use std::time::Duration;

use porcupine_rs::{CheckResult, Model, Operation, check_operations_timeout};

use crate::ground::Wrong;
use crate::plan::Time;

/// How long one history may be looked at. None of them takes as long; one that does is reported.
const TIME_MAX: Duration = Duration::from_secs(10);

/// A key as it is: its value, and how often it was put since it is there.
pub(crate) type Kept = Option<(u64, u64)>;

/// What is asked of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// What it is.
    Get,
    /// To be this.
    Put(u64),
    /// To be gone.
    Delete,
    /// To be the second if it is the first, or if it is not there for none.
    Swap(Option<u64>, u64),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// It is this.
    Got(Kept),
    /// It is put, and was there before or not.
    Put(bool),
    /// It is gone, and was there before or not.
    Deleted(bool),
    /// It was what it had to be, or not.
    Swapped(bool),
    /// Nobody knows.
    Open,
}

/// One thing that a client did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub(crate) client: usize,
    pub(crate) key: u64,
    pub(crate) called: Time,
    /// None for never.
    pub(crate) returned: Option<Time>,
    /// Where nobody was told of it: when it was done, and after how many others in the same unit of time.
    pub(crate) done_at: Option<(Time, u64)>,
    pub(crate) input: Input,
    pub(crate) output: Output,
}

/// Into so many parts a unit of time is cut, so that what is done in the same one has an order.
const PARTS: Time = 1 << 16;

impl Act {
    /// From when to when it may have been done.
    fn span(&self) -> (i64, i64) {
        let part =
            |time: Time, part: u64| i64::try_from(time * PARTS + part.min(PARTS - 1)).unwrap_or(i64::MAX);
        match (self.done_at, self.returned) {
            (Some((time, place)), _) => (part(time, place), part(time, place)),
            (None, Some(returned)) => (part(self.called, 0), part(returned, PARTS - 1)),
            (None, None) => (part(self.called, 0), i64::MAX),
        }
    }
}

/// One key.
#[derive(Debug, Clone)]
struct Key;

impl Model for Key {
    type State = Kept;
    type Op = (Input, Output);
    type Metadata = ();

    fn init() -> Kept {
        None
    }

    fn step(kept: &Kept, (input, output): &(Input, Output)) -> (bool, Kept) {
        let put = |value: u64| Some((value, kept.map_or(1, |(_, version)| version + 1)));
        let (expected, next) = match *input {
            Input::Get => (Output::Got(*kept), *kept),
            Input::Put(value) => (Output::Put(kept.is_some()), put(value)),
            Input::Delete => (Output::Deleted(kept.is_some()), None),
            Input::Swap(from, to) => {
                let holds = kept.map(|(value, _)| value) == from;
                (Output::Swapped(holds), if holds { put(to) } else { *kept })
            }
        };
        (*output == Output::Open || *output == expected, next)
    }
}

/// Looks for an order that explains everything.
pub(crate) fn judge(acts: &[Act]) -> Result<(), Wrong> {
    let mut keys: BTreeMap<u64, Vec<Operation<Key>>> = BTreeMap::new();
    for act in acts {
        let (call_time, return_time) = act.span();
        keys.entry(act.key).or_default().push(Operation {
            client_id: u32::try_from(act.client).ok(),
            call_time,
            return_time,
            op: (act.input, act.output),
            metadata: None,
        });
    }
    for (key, history) in keys {
        explain(&history).map_err(|why| {
            let text = format!("{why} the {} acts on key {key}", history.len());
            Wrong { checker: "linearizable", text }
        })?;
    }
    Ok(())
}

/// Looks for an order that explains one history, and says how it looks when there is none.
pub(crate) fn explain<M: Model>(history: &[Operation<M>]) -> Result<(), &'static str> {
    match check_operations_timeout(history, TIME_MAX) {
        CheckResult::Ok => Ok(()),
        CheckResult::Illegal => Err("no order explains"),
        CheckResult::Unknown => Err("it took too long to explain"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(called: Time, returned: Time, input: Input, output: Output) -> Act {
        Act { client: 0, key: 1, called, returned: Some(returned), done_at: None, input, output }
    }

    #[test]
    fn read_of_what_was_put_before_is_explained_and_of_what_was_there_earlier_is_not() {
        let put = |at, value| act(at, at + 1, Input::Put(value), Output::Put(at > 0));
        let get = |value, version| act(10, 11, Input::Get, Output::Got(Some((value, version))));
        assert!(judge(&[put(0, 7), put(2, 8), get(8, 2)]).is_ok());
        assert!(judge(&[put(0, 7), put(2, 8), get(7, 1)]).is_err());
        assert!(judge(&[put(0, 7), put(2, 8), get(8, 3)]).is_err(), "it was put twice");
    }

    #[test]
    fn what_nobody_knows_of_may_come_later_and_twice_never() {
        let open = Act { returned: None, ..act(0, 0, Input::Put(7), Output::Open) };
        let gone = act(5, 6, Input::Get, Output::Got(None));
        let there = act(8, 9, Input::Get, Output::Got(Some((7, 1))));
        assert!(judge(&[open, gone, there]).is_ok());
        let gone_again = act(10, 11, Input::Get, Output::Got(None));
        assert!(judge(&[open, there, gone_again]).is_err());
    }
}

//! What must hold in the end, whatever happened: nothing acknowledged is lost, what clients saw is linearizable, all members are equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::clients::{Act, Book, CLIENTS, What, is_once, longest_gap, path, value_of};
use super::trio::{MEMBERS, Trio};
use crate::http::Client;
use crate::process;
use crate::table::{Outcome, Seen};
use crate::wait::wait;

/// How long a member may take to answer a read in the end, when nothing happens any more.
const READ_TIME: Duration = Duration::from_secs(30);

/// How long the judge may take.
const JUDGE_TIME: Duration = Duration::from_secs(300);

/// Who reads through each member in the end.
const READERS: usize = 3;

/// What is said of all that is lost, at most.
const SHOWN: usize = 5;

/// Judges a group that nothing happens to any more. Each claim with what became of it.
pub(crate) fn judge(trio: &Trio, book: &Book, program: &Path, dir: &Path) -> Vec<(&'static str, Outcome)> {
    let count = |count: usize| Outcome::Counted { count: count.to_string(), detail: String::new() };
    let times = book.acknowledgements();
    let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
    let gap = longest_gap(&times, first, last) / 1_000;
    let (puts, reads) = {
        let acts = book.acts();
        let puts = acts.iter().filter(|act| matches!(act.what, What::Put(_))).count();
        (puts, acts.len() - puts)
    };
    let mut claims = vec![
        ("writes", count(times.len())),
        ("unanswered", count(puts - times.len())),
        ("reads", count(reads)),
        ("longest gap", Outcome::Counted { count: format!("{gap} ms"), detail: String::new() }),
    ];
    let finals = match read_all(trio, book) {
        Ok(finals) => finals,
        Err(error) => {
            claims.push(("lost", Outcome::Failed(format!("{error:#}"))));
            return claims;
        }
    };
    claims.push(("lost", lost(book, &finals).into()));
    claims.push(("equal", equal(trio, book, &finals).into()));
    claims.push(("linearizable", linearizable(book, program, dir).into()));
    claims
}

/// Reads each key through some member, and not stale.
fn read_all(trio: &Trio, book: &Book) -> Result<BTreeMap<u64, Option<u64>>> {
    trio.ids().into_iter().try_for_each(|id| trio.wait_served(id))?;
    let keys: BTreeSet<u64> = book.acts().iter().map(|act| act.key).collect();
    let keys: Vec<u64> = keys.into_iter().collect();
    let share = keys.len().div_ceil(READERS * MEMBERS).max(1);
    let read = |(place, keys): (usize, &[u64])| -> Result<Vec<(u64, Option<u64>)>> {
        let client = trio.members()[place % MEMBERS].client();
        keys.iter().map(|key| Ok((*key, read(book, &client, CLIENTS + place, *key)?))).collect()
    };
    let parts = in_parallel(keys.chunks(share).enumerate(), read)?;
    Ok(parts.into_iter().flatten().collect())
}

fn read(book: &Book, client: &Client, place: usize, key: u64) -> Result<Option<u64>> {
    wait(&format!("key {key} is read"), READ_TIME, || book.get(place, client, key))
}

/// Keys that were put once and acknowledged are there.
fn lost(book: &Book, finals: &BTreeMap<u64, Option<u64>>) -> Result<Seen> {
    let acts = book.acts();
    let acknowledged = acts.iter().filter(|act| is_once(act.key) && act.returned.is_some());
    let acknowledged = acknowledged.filter_map(|act| match act.what {
        What::Put(value) => Some((act.key, value)),
        What::Got(_) => None,
    });
    let lost: Vec<(u64, u64)> =
        acknowledged.filter(|(key, value)| finals.get(key) != Some(&Some(*value))).collect();
    ensure!(
        lost.is_empty(),
        "{} writes, of them {:?}",
        lost.len(),
        lost.iter().take(SHOWN).collect::<Vec<_>>()
    );
    Ok(Seen { count: "0".into(), detail: String::new() })
}

/// Each member has each key as all of them do.
fn equal(trio: &Trio, book: &Book, finals: &BTreeMap<u64, Option<u64>>) -> Result<Seen> {
    let keys: Vec<(u64, Option<u64>)> = finals.iter().map(|(key, value)| (*key, *value)).collect();
    let share = keys.len().div_ceil(READERS).max(1);
    let work = trio.members().iter().flat_map(|member| keys.chunks(share).map(move |keys| (member, keys)));
    in_parallel(work, |(member, keys)| {
        let client = member.client();
        keys.iter().try_for_each(|(key, value)| {
            let stale = || value_of(&client, &format!("{}?stale", path(*key)));
            let text = value.map(|value| value.to_string());
            if stale() == Some(text) {
                return Ok(());
            }
            // A put without an answer may have been done after it was read, or this member may be behind.
            wait(&format!("{} has key {key} as the others", member.name()), READ_TIME, || {
                let value = book.get(CLIENTS, &client, *key)?;
                (stale()? == value.map(|value| value.to_string())).then_some(())
            })
        })
    })?;
    Ok(Seen { count: format!("{} keys", keys.len()), detail: String::new() })
}

/// Some order explains all that clients saw; what that is like, the judge says.
fn linearizable(book: &Book, program: &Path, dir: &Path) -> Result<Seen> {
    let strange = book.strange();
    ensure!(strange.is_empty(), "strange answers: {strange:?}");
    let file = dir.join("history");
    fs::write(&file, text_of(&book.acts())?).with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = Command::new(program);
    command.arg("--judge").arg(&file);
    let finished = process::run(command, JUDGE_TIME)?;
    let said = finished.stdout.trim();
    ensure!(finished.is_success, "{said}{}; the history is {}", finished.stderr.trim(), file.display());
    Ok(Seen { count: "ok".into(), detail: said.to_owned() })
}

/// A history as the judge reads it.
fn text_of(acts: &[Act]) -> Result<String> {
    let mut text = String::new();
    let or_none = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    for Act { key, client, called, returned, what } in acts {
        let (what, value) = match what {
            What::Put(value) => ("put", Some(*value)),
            What::Got(value) => ("got", *value),
        };
        writeln!(text, "{key} {client} {called} {} {what} {}", or_none(*returned), or_none(value))?;
    }
    Ok(text)
}

/// Does all of it at the same time, and gives what came of each, or the first failure.
fn in_parallel<W: Send, T: Send>(
    work: impl Iterator<Item = W>,
    act: impl Fn(W) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = work.map(|work| scope.spawn(move || act(work))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a reader panicked")))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_written_as_the_judge_reads_it() {
        let act = |returned, what| Act { key: 7, client: 3, called: 10, returned, what };
        let acts = [
            act(Some(12), What::Put(5)),
            act(None, What::Put(6)),
            act(Some(13), What::Got(None)),
            act(Some(14), What::Got(Some(5))),
        ];
        assert_eq!(
            text_of(&acts).unwrap(),
            "7 3 10 12 put 5\n7 3 10 - put 6\n7 3 10 13 got -\n7 3 10 14 got 5\n"
        );
    }
}

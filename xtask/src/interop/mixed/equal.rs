//! Whether all members have the same, and all that was acknowledged.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use super::lab::{Lab, TIME};
use crate::member::{Kind, Member};
use crate::wait::wait;

/// Characters of a value that are shown when it is wrong.
const SHOWN: usize = 80;

/// What was compared.
#[derive(Debug)]
pub(crate) struct Equal {
    /// Writes that were acknowledged, each of which is on every member.
    pub(crate) acknowledged: usize,
    /// Writes of which nobody knew, and how many of them are there.
    pub(crate) unknown: usize,
    pub(crate) unknown_there: usize,
    pub(crate) keys: usize,
    pub(crate) members: usize,
}

impl std::fmt::Display for Equal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { acknowledged, unknown, unknown_there, keys, members } = self;
        write!(
            f,
            "{acknowledged} acknowledged, 0 missing; {unknown} without an answer, {unknown_there} of them there; \
             {keys} keys equal on {members} members"
        )
    }
}

impl Lab {
    /// Compares all running members with each other and with what was acknowledged, key by key.
    ///
    /// # Errors
    ///
    /// For the first difference.
    pub(crate) fn equal(&self) -> Result<Equal> {
        // Who reads what was written last has everything before it.
        let fence = format!("fence-{}", self.ledger.count());
        let ids = self.running_ids();
        self.put(*ids.first().context("nobody runs")?, &fence, "")?;
        for id in &ids {
            ensure!(self.get(*id, &fence)?.is_some(), "member {id} does not read what was just written");
        }
        let listing = self.equal_images()?;
        let keys = parse(&listing)?;
        let written = self.ledger.written();
        for (key, value) in &written.acknowledged {
            ensure!(keys.get(key.as_str()) == Some(&value.as_str()), "the acknowledged {key} is missing");
        }
        let unknown_there = written.unknown.keys().filter(|key| keys.contains_key(key.as_str()));
        let unknown_there = unknown_there.count();
        let mut expected: Vec<(&str, Option<&str>)> =
            keys.iter().map(|(key, value)| (*key, Some(*value))).collect();
        let gone = written.unknown.keys().filter(|key| !keys.contains_key(key.as_str()));
        expected.extend(gone.map(|key| (key.as_str(), None)));
        let ours =
            self.members.values().filter(|member| member.is_running() && member.plan.kind == Kind::Dunlin);
        thread::scope(|scope| {
            let reads: Vec<_> = ours.map(|member| scope.spawn(|| has(member, &expected))).collect();
            reads.into_iter().try_for_each(|read| read.join().unwrap_or_else(|_| bail!("a reader panicked")))
        })?;
        Ok(Equal {
            acknowledged: written.acknowledged.len(),
            unknown: written.unknown.len(),
            unknown_there,
            keys: keys.len(),
            members: ids.len(),
        })
    }

    /// The images of etcd's members are equal to the byte once they are of one index; what is then in all of them.
    fn equal_images(&self) -> Result<String> {
        let members =
            || self.members.values().filter(|member| member.is_running() && member.plan.kind == Kind::Etcd);
        let ask = |member: &Member, path| Some(member.client().ask("GET", path, "").ok()?.body);
        wait("the images of etcd's members are equal", TIME, || {
            let images: Vec<_> =
                members().map(|member| ask(member, "/debug/image")).collect::<Option<_>>()?;
            let is_equal = images.windows(2).all(|pair| pair[0] == pair[1]);
            let listing = ask(members().next()?, "/debug/keys")?;
            is_equal.then_some(listing)
        })
        .and_then(|listing| Ok(String::from_utf8(listing)?))
    }
}

/// Keys and values of a listing: a line is a key, its value and its three numbers.
fn parse(listing: &str) -> Result<BTreeMap<&str, &str>> {
    listing
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            words.next().zip(words.next()).with_context(|| format!("a listing has the line {line}"))
        })
        .collect()
}

/// That a member of ours has these keys with these values, and not those without one.
fn has(member: &Member, expected: &[(&str, Option<&str>)]) -> Result<()> {
    let client = member.client();
    for (key, value) in expected {
        let answer = client.ask("GET", &format!("/{key}?stale"), "")?;
        let found = (answer.status == 200).then(|| answer.text());
        let short = |value: Option<&str>| value.map(|value| value.chars().take(SHOWN).collect::<String>());
        let (is, should) = (short(found.as_deref()), short(*value));
        ensure!(found.as_deref() == *value, "{} has {is:?} for {key} instead of {should:?}", member.name());
    }
    Ok(())
}

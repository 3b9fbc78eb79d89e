//! The Go nodes that have registered here, and what each was told of the others: pure.
//!
//! A Go node keeps every member that it is told of as often as it is told, and takes away one at most; so it is never told twice of one address
//! without word between that it is gone. What a node was told and may not have heard is taken back before it is said again.
//!
//! Invariants: nobody is told of itself; a node that was not heard of for as long as it may be silent is over, and no sooner.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dunlin_registry::nodes::{NodeRecord, NodeState, NodeTable};

use super::convert;
use super::messages::MemberInfo;

/// Members by their addresses.
pub(crate) type Members = BTreeMap<String, MemberInfo>;

/// The members that a Go node is to know: whoever serves, and the node that it has registered with, unless that one takes nothing new.
pub(crate) fn wanted(table: &NodeTable, me: &NodeRecord, is_leaving: bool) -> Members {
    let serves = |node: &&NodeRecord| node.state() == NodeState::Up && !node.services.is_empty();
    let others = table.iter().filter(serves).filter(|node| node.id != me.id);
    let takes_new = |node: &NodeRecord| matches!(node.state(), NodeState::Joining | NodeState::Up);
    let is_there = !is_leaving && table.get(me.id).is_none_or(takes_new);
    let nodes = others.chain(is_there.then_some(me));
    // Of two lives of one node the one that is still there when the other one's lease ends is not told anew.
    nodes.filter_map(convert::member_info).map(|info| (info.service_addr.clone(), info)).collect()
}

/// Something that a Go node is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// There is another member.
    New(MemberInfo),
    /// The member with this address is gone.
    Gone(String),
}

impl News {
    fn addr(&self) -> &str {
        match self {
            Self::New(info) => &info.service_addr,
            Self::Gone(addr) => addr,
        }
    }
}

/// What a Go node knows of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Knows {
    Member(MemberInfo),
    /// It may or may not have heard what it was told last.
    Something,
}

#[derive(Debug)]
struct Member {
    id: u64,
    heard_at: Instant,
    knows: BTreeMap<String, Knows>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Roster {
    by_addr: BTreeMap<String, Member>,
    silence_max: Duration,
}

impl Roster {
    /// Nobody yet; a member may be silent for so long.
    pub(crate) const fn new(silence_max: Duration) -> Self {
        Self { by_addr: BTreeMap::new(), silence_max }
    }

    /// A node has registered, and is answered with these members. Whoever was at its address before is over.
    pub(crate) fn handle_register(
        &mut self,
        now: Instant,
        (addr, id): (&str, u64),
        wanted: &Members,
    ) -> Vec<MemberInfo> {
        let members: Vec<MemberInfo> = others(wanted, addr).cloned().collect();
        let knows =
            members.iter().map(|info| (info.service_addr.clone(), Knows::Member(info.clone()))).collect();
        self.by_addr.insert(addr.to_owned(), Member { id, heard_at: now, knows });
        members
    }

    /// A node that registered with a life of this node that is over, or elsewhere, is here now. It may know anything of those there are.
    pub(crate) fn handle_adopted(&mut self, now: Instant, (addr, id): (&str, u64), wanted: &Members) {
        let knows = others(wanted, addr).map(|info| (info.service_addr.clone(), Knows::Something)).collect();
        self.by_addr.insert(addr.to_owned(), Member { id, heard_at: now, knows });
    }

    /// Something was heard of whoever is at this address. Whether that is a member.
    pub(crate) fn handle_heard(&mut self, now: Instant, addr: &str) -> bool {
        self.by_addr.get_mut(addr).is_some_and(|member| {
            member.heard_at = member.heard_at.max(now);
            true
        })
    }

    /// A member is over.
    pub(crate) fn remove(&mut self, addr: &str, id: u64) {
        if self.id(addr) == Some(id) {
            self.by_addr.remove(addr);
        }
    }

    /// Who is at this address.
    pub(crate) fn id(&self, addr: &str) -> Option<u64> {
        Some(self.by_addr.get(addr)?.id)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_addr.len()
    }

    /// All members, with their addresses.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, u64)> {
        self.by_addr.iter().map(|(addr, member)| (&**addr, member.id))
    }

    /// When a member will be over if nothing is heard of it until then; `None` when it is.
    pub(crate) fn ends_at(&self, addr: &str, id: u64) -> Option<Instant> {
        Some(self.member(addr, id)?.heard_at + self.silence_max)
    }

    /// What a member is to be told next; `None` when it knows what it is to know.
    pub(crate) fn poll_news(&self, (addr, id): (&str, u64), wanted: &Members) -> Option<News> {
        let member = self.member(addr, id)?;
        let stale = member.knows.iter().find(|(other, knows)| match (knows, wanted.get(*other)) {
            (Knows::Member(known), Some(wanted)) => known != wanted,
            _ => true,
        });
        if let Some((other, _)) = stale {
            return Some(News::Gone(other.clone()));
        }
        let missing = others(wanted, addr).find(|info| !member.knows.contains_key(&info.service_addr))?;
        Some(News::New(missing.clone()))
    }

    /// A member was told something, and has heard it or not.
    pub(crate) fn handle_told(&mut self, (addr, id): (&str, u64), news: &News, is_heard: bool) {
        let Some(member) = self.by_addr.get_mut(addr).filter(|member| member.id == id) else { return };
        let other = news.addr().to_owned();
        match (news, is_heard) {
            (News::New(info), true) => drop(member.knows.insert(other, Knows::Member(info.clone()))),
            (News::Gone(_), true) => drop(member.knows.remove(&other)),
            (_, false) => drop(member.knows.insert(other, Knows::Something)),
        }
    }

    fn member(&self, addr: &str, id: u64) -> Option<&Member> {
        self.by_addr.get(addr).filter(|member| member.id == id)
    }
}

fn others<'a>(wanted: &'a Members, addr: &str) -> impl Iterator<Item = &'a MemberInfo> {
    wanted.values().filter(move |info| info.service_addr != addr)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const SILENCE_MAX: Duration = Duration::from_secs(120);

    fn info(addr: &str, service: &str) -> MemberInfo {
        MemberInfo {
            label: addr.to_owned(),
            service_addr: addr.to_owned(),
            services: vec![service.to_owned()],
        }
    }

    fn members(infos: &[(&str, &str)]) -> Members {
        infos.iter().map(|(addr, service)| ((*addr).to_owned(), info(addr, service))).collect()
    }

    #[test]
    fn whoever_registers_is_answered_with_all_but_itself_and_told_of_them_no_more() {
        let mut roster = Roster::new(SILENCE_MAX);
        let wanted = members(&[("a", "A"), ("me", "M")]);
        let answer = roster.handle_register(Instant::now(), ("a", 1), &wanted);
        assert_eq!(answer, [info("me", "M")]);
        assert_eq!(roster.poll_news(("a", 1), &wanted), None);
    }

    #[test]
    fn a_member_that_serves_something_else_now_is_taken_back_before_it_is_told_again() {
        let mut roster = Roster::new(SILENCE_MAX);
        roster.handle_register(Instant::now(), ("a", 1), &members(&[("b", "B")]));
        let wanted = members(&[("b", "C")]);
        let gone = roster.poll_news(("a", 1), &wanted).unwrap();
        assert_eq!(gone, News::Gone("b".to_owned()));
        roster.handle_told(("a", 1), &gone, true);
        assert_eq!(roster.poll_news(("a", 1), &wanted), Some(News::New(info("b", "C"))));
    }

    #[test]
    fn what_may_not_have_been_heard_is_taken_back_before_it_is_said_again() {
        let mut roster = Roster::new(SILENCE_MAX);
        let wanted = members(&[("b", "B")]);
        roster.handle_register(Instant::now(), ("a", 1), &Members::new());
        let new = roster.poll_news(("a", 1), &wanted).unwrap();
        roster.handle_told(("a", 1), &new, false);
        assert_eq!(roster.poll_news(("a", 1), &wanted), Some(News::Gone("b".to_owned())));
        // So it is with one whose knowledge is another node's.
        roster.handle_adopted(Instant::now(), ("a", 1), &wanted);
        assert_eq!(roster.poll_news(("a", 1), &wanted), Some(News::Gone("b".to_owned())));
    }

    #[test]
    fn a_member_is_over_when_it_was_silent_for_as_long_as_it_may_be() {
        let mut roster = Roster::new(SILENCE_MAX);
        let begin = Instant::now();
        roster.handle_register(begin, ("a", 1), &Members::new());
        assert!(roster.handle_heard(begin + Duration::from_secs(30), "a"));
        assert_eq!(roster.ends_at("a", 1), Some(begin + Duration::from_secs(150)));
        roster.handle_register(begin, ("a", 2), &Members::new());
        assert_eq!(roster.ends_at("a", 1), None, "another one is there now");
        roster.remove("a", 1);
        assert_eq!(roster.id("a"), Some(2));
        assert!(!roster.handle_heard(begin, "b"));
    }

    proptest! {
        #[test]
        fn nobody_is_told_twice_of_an_address_and_all_is_known_in_the_end(
            steps in proptest::collection::vec((0_usize..5, any::<bool>(), any::<bool>()), 1..100),
        ) {
            const ADDRS: [&str; 5] = ["a", "b", "c", "d", "e"];
            let mut roster = Roster::new(SILENCE_MAX);
            let mut wanted = Members::new();
            roster.handle_register(Instant::now(), ("a", 1), &wanted);
            // What the Go node has, which takes whatever arrives; an answer of it can be lost.
            let mut has = BTreeSet::new();
            let mut tell = |roster: &mut Roster, wanted: &Members, arrives: bool, is_heard: bool| {
                let Some(news) = roster.poll_news(("a", 1), wanted) else { return Ok(false) };
                if arrives {
                    match &news {
                        News::New(info) => prop_assert!(has.insert(info.service_addr.clone())),
                        News::Gone(addr) => drop(has.remove(addr)),
                    }
                }
                roster.handle_told(("a", 1), &news, arrives && is_heard);
                prop_assert!(!has.contains("a"));
                Ok(true)
            };
            for (which, arrives, is_heard) in steps {
                if wanted.remove(ADDRS[which]).is_none() {
                    wanted.insert(ADDRS[which].to_owned(), info(ADDRS[which], "S"));
                }
                tell(&mut roster, &wanted, arrives, is_heard)?;
            }
            while tell(&mut roster, &wanted, true, true)? {}
            wanted.remove("a");
            prop_assert_eq!(has, wanted.into_keys().collect());
        }
    }
}

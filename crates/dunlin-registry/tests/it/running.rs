//! What a group of members does for programs, also when some of them are gone.

use std::time::Duration;

use dunlin_rafthttp::{Builder, ClusterId, MemberId};
use dunlin_registry::driver::ChangeError;
use dunlin_registry::limits::{CLIENTS_MAX, PROPOSALS_MAX};
use dunlin_registry::log::LogError;
use dunlin_registry::store::{
    Compare, Compared, EventKind, KeyRange, Member, MemberError, Operation, Put, Relation, StoreError, Txn,
    TxnStep,
};
use dunlin_registry::{
    Begin, Consistency, Health, Node, NodeConfig, Registry as _, RegistryError, RegistryExt as _, StartError,
};

use crate::group::{Group, until};

#[tokio::test]
async fn what_one_member_is_told_every_member_knows() {
    let group = Group::of(3).await;
    let leader = group.leader().await;
    for id in 1..=3 {
        group.registry(id).put(format!("key-{id}"), "value", 0).await.unwrap();
    }
    for id in 1..=3 {
        let registry = group.registry(id);
        let (answer, revision) =
            registry.range(KeyRange::prefix("key-"), 0, Consistency::Linearizable).await.unwrap();
        assert_eq!((answer.entries.len(), revision), (3, 3), "member {id}, and {leader} leads");
        assert_eq!(registry.members(), group.members);
    }
}

#[tokio::test]
async fn without_its_leader_a_group_goes_on_and_loses_nothing() {
    let mut group = Group::of(3).await;
    let leader = group.leader().await;
    let alive = group.others(leader)[0];
    group.registry(leader).put("before", "1", 0).await.unwrap();
    group.kill(leader).await;
    group.registry(alive).put("after", "2", 0).await.unwrap();
    let (answer, _) =
        group.registry(alive).range(KeyRange::all(), 0, Consistency::Linearizable).await.unwrap();
    assert_eq!(answer.entries.len(), 2);
    group.restart(leader).await;
    let back = group.registry(leader);
    let (answer, _) = back.range(KeyRange::all(), 0, Consistency::Linearizable).await.unwrap();
    assert_eq!(answer.entries.len(), 2, "what it missed too");
}

#[tokio::test]
async fn without_a_quorum_nothing_is_said_to_be_done_and_stale_reads_still_work() {
    let mut group = Group::of(3).await;
    group.registry(1).put("key", "1", 0).await.unwrap();
    until(async || group.registry(3).get("key", Consistency::Stale).await.unwrap()).await;
    group.kill(1).await;
    group.kill(2).await;
    let registry = group.registry(3).with_timeout(Duration::from_millis(500));
    let put = registry.put("key", "2", 0).await.unwrap_err();
    assert!(matches!(put, RegistryError::TimedOut | RegistryError::NoLeader), "{put:?}");
    let read = registry.get("key", Consistency::Linearizable).await.unwrap_err();
    assert!(matches!(read, RegistryError::TimedOut | RegistryError::NoLeader), "{read:?}");
    let stale = registry.get("key", Consistency::Stale).await.unwrap().unwrap();
    assert_eq!(stale.value, "1");
    assert!(put.is_retryable() && read.is_retryable());
}

#[tokio::test]
async fn all_members_at_once_start_again_with_everything() {
    let mut group = Group::of(3).await;
    for n in 0..20 {
        group.registry(1 + n % 3).put(format!("key-{n}"), "x", 0).await.unwrap();
    }
    for id in 1..=3 {
        group.kill(id).await;
    }
    for id in 1..=3 {
        group.restart(id).await;
    }
    let (answer, _) = group.registry(2).range(KeyRange::all(), 0, Consistency::Linearizable).await.unwrap();
    assert_eq!(answer.entries.len(), 20);
}

#[tokio::test]
async fn a_numbered_command_is_done_once_wherever_it_is_asked_for() {
    let group = Group::of(3).await;
    let put = || Operation::Put(Put { key: "key".into(), value: "x".into(), lease: 0 });
    let first = group.registry(1).execute_numbered((99, 1), put()).await.unwrap();
    group.registry(2).put("other", "y", 0).await.unwrap();
    let again = group.registry(3).execute_numbered((99, 1), put()).await.unwrap();
    assert_eq!(first, again);
    let entry = group.registry(1).get("key", Consistency::Linearizable).await.unwrap().unwrap();
    assert_eq!(entry.version, 1);
    let gap = group.registry(1).execute_numbered((99, 3), put()).await.unwrap_err();
    assert!(matches!(gap, RegistryError::Store(StoreError::SequenceGap { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_was_silent_while_very_many_others_asked_goes_on_and_nothing_of_them_stays_behind() {
    let group = Group::of(1).await;
    let put = || Operation::Put(Put { key: "key".into(), value: "x".into(), lease: 0 });
    let silent = group.registry(1);
    silent.put("key", "first", 0).await.unwrap();
    // More than are remembered, and more than may wait.
    let others = u64::try_from(CLIENTS_MAX.max(PROPOSALS_MAX)).unwrap() + 100;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64 {
        let registry = group.registry(1);
        tasks.spawn(async move {
            for client in (1 + task..=others).step_by(64) {
                registry.execute_numbered((client, 1), put()).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    silent.put("key", "second", 0).await.unwrap();
    let forgotten = group.registry(1).execute_numbered((1, 2), put()).await;
    assert!(matches!(forgotten, Err(RegistryError::Store(StoreError::ClientForgotten { client: 1 }))));
    let entry = silent.get("key", Consistency::Linearizable).await.unwrap().unwrap();
    assert_eq!((entry.version, entry.value.as_ref()), (others + 2, &b"second"[..]));
}

#[tokio::test]
async fn of_many_who_want_a_key_at_once_one_gets_it() {
    let group = Group::of(3).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20_u64 {
        let registry = group.registry(1 + n % 3);
        tasks.spawn(async move {
            let free = Compare {
                key: "lock".into(),
                relation: Relation::Equal.into(),
                compared: Some(Compared::CreateRevision(0)),
            };
            let put = Put { key: "lock".into(), value: n.to_string().into(), lease: 0 };
            let txn = Txn { compares: vec![free], then: vec![TxnStep::Put(put).into()], ..Txn::default() };
            registry.txn(txn).await.unwrap().has_held
        });
    }
    let held = tasks.join_all().await;
    assert_eq!(held.iter().filter(|held| **held).count(), 1);
}

#[tokio::test]
async fn a_lease_nobody_keeps_alive_ends_with_its_keys_and_one_that_is_kept_does_not() {
    let group = Group::of(3).await;
    let registry = group.registry(1);
    let (kept, left) = (
        registry.grant_lease(Duration::from_secs(1)).await.unwrap(),
        registry.grant_lease(Duration::from_secs(1)).await.unwrap(),
    );
    registry.put("kept", "", kept).await.unwrap();
    registry.put("left", "", left).await.unwrap();
    let mut watch = registry.watch(KeyRange::key("left"), 0).await.unwrap();
    let event = until(async || {
        registry.keep_alive(kept).await.unwrap();
        tokio::time::timeout(Duration::from_millis(100), watch.next()).await.ok()
    })
    .await;
    assert_eq!(event.unwrap().kind, EventKind::Delete);
    assert!(registry.get("kept", Consistency::Linearizable).await.unwrap().is_some());
    let unknown = registry.keep_alive(left).await.unwrap_err();
    assert_eq!(unknown, RegistryError::Store(StoreError::LeaseUnknown { lease: left }));
}

#[tokio::test]
async fn a_watch_on_one_member_sees_what_others_are_told_in_order_from_any_revision() {
    let group = Group::of(3).await;
    let mut live = group.registry(2).watch(KeyRange::prefix("key"), 1).await.unwrap();
    for n in 0..50 {
        group.registry(1 + n % 3).put(format!("key-{n}"), "x", 0).await.unwrap();
    }
    let mut revisions = Vec::new();
    for _ in 0..50 {
        revisions.push(live.next().await.unwrap().revision());
    }
    assert_eq!(revisions, (1..=50).collect::<Vec<_>>());
    let mut late = group.registry(3).watch(KeyRange::prefix("key"), 41).await.unwrap();
    assert_eq!((late.next().await.unwrap().revision(), late.resume_revision()), (41, 42));
}

#[tokio::test]
async fn a_member_joins_catches_up_votes_and_another_one_leaves_for_ever() {
    let mut group = Group::of(3).await;
    group.registry(1).put("before", "1", 0).await.unwrap();
    let newcomer = group.join().await;
    let leader = group.leader().await;
    let registry = group.registry(newcomer);
    until(async || registry.get("before", Consistency::Stale).await.unwrap()).await;
    let mut state = group.node(newcomer).state();
    state.wait_for(|state| state.is_voter).await.unwrap();
    let leaver = group.others(leader)[0];
    group.registry(leader).remove_member(leaver).await.unwrap();
    let mut state = group.node(leaver).state();
    let stopped = state.wait_for(|state| matches!(state.health, Health::Stopped(Some(_)))).await.unwrap();
    assert!(matches!(&stopped.health, Health::Stopped(Some(why)) if why.contains("removed")), "{stopped:?}");
    drop(stopped);
    let again = group.members.iter().find(|member| member.id == leaver).unwrap().clone();
    let refused = group.registry(leader).add_learner(&again).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Member(_)), "{refused:?}");
    group.registry(newcomer).put("after", "2", 0).await.unwrap();
}

#[tokio::test]
async fn a_newcomer_gets_a_snapshot_where_the_log_is_gone_and_a_restart_goes_on_from_one() {
    let mut group = Group::with(3, |config| {
        config.snapshot_entries = 50;
        config.snapshot_tail = 5;
    })
    .await;
    let leader = group.leader().await;
    for n in 0..300 {
        group.registry(leader).put(format!("key-{}", n % 40), n.to_string(), 0).await.unwrap();
    }
    let snapshots = group.dir_of(leader).join("snapshots");
    until(async || {
        let kept = std::fs::read_dir(&snapshots).unwrap().count();
        (1..=3).contains(&kept).then_some(())
    })
    .await;
    let newcomer = group.join().await;
    let registry = group.registry(newcomer);
    until(async || {
        let entry = registry.get("key-19", Consistency::Stale).await.unwrap()?;
        (entry.value == "299").then_some(())
    })
    .await;
    let behind = group.others(leader)[0];
    group.kill(behind).await;
    group.restart(behind).await;
    let (answer, _) =
        group.registry(behind).range(KeyRange::all(), 0, Consistency::Linearizable).await.unwrap();
    assert_eq!(answer.entries.len(), 40);
}

#[tokio::test]
async fn leadership_is_handed_over_whoever_is_asked() {
    let group = Group::of(3).await;
    for place in 0..3 {
        let leader = group.leader().await;
        let next = group.others(leader)[1];
        let asked = [leader, group.others(leader)[0], next][place];
        until(async || {
            // One that leads for a moment only may not hand over yet.
            group.registry(asked).transfer_leadership(next).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            (group.leader().await == next).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn every_change_of_members_can_be_asked_of_a_follower_which_answers_when_it_has_followed() {
    let mut group = Group::of(3).await;
    let leader = group.leader().await;
    let [asked, other] = group.others(leader)[..] else { panic!() };
    let registry = group.registry(asked);
    let newcomer = group.join_through(asked).await;
    let mut state = group.node(newcomer).state();
    state.wait_for(|state| state.is_voter).await.unwrap();
    let find = |id: u64| registry.members().into_iter().find(|member| member.id == id);
    let renamed = Member { name: "renamed".into(), ..find(newcomer).unwrap() };
    registry.update_member(&renamed).await.unwrap();
    assert_eq!(find(newcomer).unwrap().name, "renamed");
    registry.remove_member(other).await.unwrap();
    assert_eq!(find(other), None);
    let again = registry.remove_member(other).await;
    assert_eq!(again, Err(RegistryError::Member(MemberError::Removed { id: other })));
    let back = registry.add_learner(&Member { id: other, ..Member::default() }).await;
    assert_eq!(back, Err(RegistryError::Member(MemberError::Removed { id: other })));
    let stranger = registry.promote(99).await;
    assert_eq!(stranger, Err(RegistryError::Change(ChangeError::NotLearner { id: 99 })));
}

#[tokio::test]
async fn a_change_that_the_leader_refuses_is_not_said_to_be_done_by_the_follower_that_was_asked() {
    let group = Group::of(3).await;
    let leader = group.leader().await;
    let registry = group.registry(group.others(leader)[0]);
    // Nobody is there, so it never learns.
    let absent = Member { id: 4, urls: vec!["http://127.0.0.1:1".into()], ..Member::default() };
    registry.add_learner(&absent).await.unwrap();
    let short = group.registry(group.others(leader)[0]).with_timeout(Duration::from_millis(500));
    assert_eq!(short.promote(4).await, Err(RegistryError::TimedOut));
    assert!(registry.members().iter().any(|member| member.id == 4 && member.is_learner));
    // The next one is not in its way.
    registry.remove_member(4).await.unwrap();
}

#[tokio::test]
async fn without_a_leader_a_change_of_members_is_not_said_to_be_done() {
    let mut group = Group::of(3).await;
    group.kill(1).await;
    group.kill(2).await;
    let mut state = group.node(3).state();
    state.wait_for(|state| state.leader == 0).await.unwrap();
    let registry = group.registry(3).with_timeout(Duration::from_millis(300));
    assert_eq!(registry.remove_member(2).await, Err(RegistryError::NoLeader));
}

#[tokio::test]
async fn a_member_alone_is_a_group() {
    let mut group = Group::of(1).await;
    group.registry(1).put("key", "value", 0).await.unwrap();
    group.kill(1).await;
    group.restart(1).await;
    assert!(group.registry(1).get("key", Consistency::Linearizable).await.unwrap().is_some());
}

#[tokio::test]
async fn a_stopped_member_answers_everybody_who_waits() {
    let mut group = Group::of(3).await;
    group.kill(1).await;
    group.kill(2).await;
    let registry = group.registry(3);
    let waiting = tokio::spawn(async move { registry.put("key", "", 0).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let registry = group.registry(3);
    group.kill(3).await;
    assert_eq!(waiting.await.unwrap(), Err(RegistryError::Stopped));
    assert_eq!(registry.put("key", "", 0).await, Err(RegistryError::Stopped));
    // What it has is never fresh again, so whoever asks from afar has to go elsewhere.
    assert_eq!(registry.get("key", Consistency::Stale).await, Err(RegistryError::Stopped));
    assert_eq!(registry.watch(KeyRange::all(), 0).await.unwrap_err(), RegistryError::Stopped);
}

#[tokio::test]
async fn a_directory_of_another_member_or_in_use_is_refused() {
    let mut group = Group::of(1).await;
    let start = |id: u64, cluster: u64| {
        let dir = group.dir_of(1);
        async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let config = NodeConfig::new(MemberId(id), ClusterId(cluster), dir);
            Node::start(&config, &Begin::Join(Vec::new()), listener, Builder::plain_text).map(drop)
        }
    };
    assert!(matches!(start(1, 0x77).await, Err(StartError::LogDirectory(_))), "it is in use");
    let (another_member, another_cluster) = (start(2, 0x77), start(1, 0x78));
    group.kill(1).await;
    for refused in [another_member.await, another_cluster.await] {
        assert!(matches!(refused, Err(StartError::Log(LogError::OtherIdentity { .. }))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_leader_that_stops_hands_over_so_that_nobody_waits_for_an_election() {
    // An election without a word takes ten ticks at least: two seconds here.
    let mut group = Group::with(3, |config| config.tick = Duration::from_millis(200)).await;
    let leader = group.leader().await;
    let alive = group.others(leader)[0];
    group.registry(alive).put("before", "1", 0).await.unwrap();
    let begin = std::time::Instant::now();
    group.kill(leader).await;
    group.registry(alive).put("after", "2", 0).await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(1_800), "{:?}", begin.elapsed());
}

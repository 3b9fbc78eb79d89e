//! A member that is started again from its directory alone.

use std::path::Path;

use dunlin_rafthttp::{Builder, ClusterId, MemberId};
use dunlin_registry::log::LogError;
use dunlin_registry::store::Member;
use dunlin_registry::{Begin, Consistency, Node, NodeConfig, RegistryExt as _, StartError};
use tokio::net::TcpListener;

use crate::group::{Group, until};

/// Starts a member again, knowing nothing but its directory.
async fn restart(dir: &Path) -> Node {
    let config = NodeConfig::recover(dir).unwrap().unwrap();
    let addr = config.urls[0].trim_start_matches("http://").to_owned();
    let listener = until(async || TcpListener::bind(&addr).await.ok()).await;
    Node::start(&config, &Begin::Restart, listener, Builder::plain_text).unwrap()
}

#[tokio::test]
async fn a_whole_group_goes_on_from_its_directories_alone() {
    let mut group = Group::of(3).await;
    group.registry(1).put("key", "value", 0).await.unwrap();
    for id in 1..=3 {
        group.kill(id).await;
    }
    for id in 1..=3 {
        let config = NodeConfig::recover(group.dir_of(id)).unwrap().unwrap();
        let urls = &group.members.iter().find(|member| member.id == id).unwrap().urls;
        assert_eq!((config.id, config.cluster, &config.urls), (MemberId(id), ClusterId(0x77), urls));
        let node = restart(&group.dir_of(id)).await;
        group.put_back(id, node);
    }
    let entry = group.registry(2).get("key", Consistency::Linearizable).await.unwrap();
    assert_eq!(entry.unwrap().value, "value");
}

#[tokio::test]
async fn who_joined_later_moved_and_has_but_a_snapshot_still_knows_where_it_is() {
    let mut group = Group::with(1, |config| {
        (config.snapshot_entries, config.snapshot_tail) = (20, 2);
    })
    .await;
    let newcomer = group.join().await;
    let mut state = group.node(newcomer).state();
    state.wait_for(|state| state.is_voter).await.unwrap();
    let urls = vec!["http://127.0.0.1:1".to_owned(), group.members[1].urls[0].clone()];
    let moved = Member { urls: urls.clone(), ..group.members[1].clone() };
    let leader = group.leader().await;
    group.registry(leader).update_member(&moved).await.unwrap();
    for n in 0..100 {
        group.registry(leader).put(format!("key-{n}"), "x", 0).await.unwrap();
    }
    let registry = group.registry(newcomer);
    until(async || registry.get("key-99", Consistency::Stale).await.unwrap()).await;
    let snapshots = group.dir_of(newcomer).join("snapshots");
    until(async || std::fs::read_dir(&snapshots).unwrap().next()).await.unwrap();
    group.kill(newcomer).await;
    let config = NodeConfig::recover(group.dir_of(newcomer)).unwrap().unwrap();
    assert_eq!((config.id, config.urls), (MemberId(newcomer), urls));
}

#[tokio::test]
async fn where_no_member_was_none_is_found_or_started_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = dir.path().join("nobody");
    assert!(NodeConfig::recover(&nobody).unwrap().is_none());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = NodeConfig::new(MemberId(1), ClusterId(1), &nobody);
    let refused = Node::start(&config, &Begin::Restart, listener, Builder::plain_text).unwrap_err();
    assert!(matches!(&refused, StartError::NoMember { path } if *path == nobody), "{refused:?}");
    assert!(!nobody.exists());
}

#[tokio::test]
async fn a_directory_in_use_tells_nothing_and_one_of_somebody_else_says_whose_it_is() {
    let mut group = Group::of(1).await;
    let dir = group.dir_of(1);
    assert!(matches!(NodeConfig::recover(&dir), Err(StartError::LogDirectory(_))));
    group.kill(1).await;
    let found = NodeConfig::recover(&dir).unwrap().unwrap();
    for config in [
        NodeConfig { id: MemberId(2), ..found.clone() },
        NodeConfig { cluster: ClusterId(0x78), ..found.clone() },
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = Node::start(&config, &Begin::Restart, listener, Builder::plain_text).unwrap_err();
        let StartError::Log(LogError::OtherIdentity { .. }) = &refused else { panic!("{refused:?}") };
        let said = std::error::Error::source(&refused).unwrap().to_string();
        let asked = format!("member {:x} of cluster {:x}", config.id.0, config.cluster.0);
        assert!(said.contains("member 1 of cluster 77") && said.contains(&asked), "{said}");
    }
}

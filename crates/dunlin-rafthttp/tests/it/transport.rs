//! Two transports over real sockets on the loopback.

use std::time::Duration;

use dunlin_rafthttp::MemberId;
use dunlin_rafthttp::raftpb::MessageType;
use tokio::time::timeout;

use crate::members::{Member, pair, samples};

#[tokio::test]
async fn every_kind_of_message_arrives_as_it_was_sent() {
    let (one, mut two) = pair().await;
    for message in samples() {
        one.transport.send([message.clone()]);
        assert_eq!(two.next_message().await, message);
    }
    one.transport.stop().await;
    two.transport.stop().await;
}

#[tokio::test]
async fn a_removed_member_is_told_so_and_the_word_is_kept() {
    let (one, two) = (Member::start(1).await, Member::start(2).await);
    two.removed.lock().unwrap().push(MemberId(1));
    one.transport.add_peer(MemberId(2), [two.url.as_str()]).unwrap();
    let mut critical = one.transport.critical();
    let told = timeout(Duration::from_secs(5), critical.wait_for(Option::is_some)).await.unwrap();
    assert!(told.is_ok());
}

#[tokio::test]
async fn appends_are_counted_at_both_ends() {
    let (one, mut two) = pair().await;
    let append = samples().into_iter().find(|message| message.is(MessageType::App)).unwrap();
    one.transport.send([append.clone()]);
    assert_eq!(two.next_message().await, append);
    let json = |stats| serde_json::to_value::<dunlin_rafthttp::ServerStatsReport>(stats).unwrap();
    assert_eq!(json(one.transport.server_stats())["sendAppendRequestCnt"], 1);
    assert_eq!(json(two.transport.server_stats())["recvAppendRequestCnt"], 1);
    let leader = serde_json::to_value(one.transport.leader_stats()).unwrap();
    assert_eq!(leader["followers"]["2"]["counts"]["success"], 1);
}

#[tokio::test]
async fn a_peer_that_was_aborted_is_not_there_any_more() {
    let (one, two) = pair().await;
    let is_active = || two.transport.active_since(MemberId(1)).is_some();
    let until = async |is_so: &dyn Fn() -> bool| {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), waiting).await.unwrap();
    };
    until(&is_active).await;
    one.transport.abort();
    until(&|| !is_active()).await;
}

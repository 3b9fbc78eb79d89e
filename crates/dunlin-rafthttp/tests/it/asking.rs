//! What a member asks its peers, and what it makes of their answers.

use std::time::Duration;

use dunlin_rafthttp::raftpb::{self, Message, MessageType};
use dunlin_rafthttp::{Critical, MemberId};
use http::{Method, StatusCode};
use tokio::time::timeout;

use crate::members::{Member, Told, message, until};
use crate::scripted::{Scripted, with_status, with_version};

#[tokio::test]
async fn a_post_says_who_sends_it_and_holds_the_message() {
    let peer = Scripted::answering(StatusCode::NO_CONTENT).await;
    let member = Member::start_with(1, |builder| builder.urls(["http://127.0.0.1:2380"]).unwrap()).await;
    member.transport.add_peer(MemberId(2), [peer.url.as_str()]).unwrap();
    let sent = Message { commit: 3, ..message(MessageType::Heartbeat) };
    member.transport.send([sent.clone()]);
    until(|| peer.posts().len() == 1).await;
    let (head, body) = &peer.posts()[0];
    assert_eq!(head.uri.path(), "/raft");
    for (name, value) in [
        ("content-type", "application/protobuf"),
        ("x-server-from", "1"),
        ("x-server-version", "3.5.0"),
        ("x-min-cluster-version", "3.0.0"),
        ("x-etcd-cluster-id", "1000"),
        ("x-peerurls", "http://127.0.0.1:2380"),
    ] {
        assert_eq!(head.headers[name], value, "{name}");
    }
    assert_eq!(head.headers["content-length"], body.len().to_string());
    assert_eq!(raftpb::decode::<Message>(body, &dunlin_rafthttp::RaftLimits::DEFAULT), Ok(sent));
}

#[tokio::test]
async fn a_stream_is_asked_for_by_who_will_read_it_and_of_whom() {
    let peer = Scripted::answering(StatusCode::NOT_FOUND).await;
    let member = Member::start(0x1f).await;
    member.transport.add_peer(MemberId(2), [peer.url.as_str()]).unwrap();
    for kind in ["msgapp", "message"] {
        let path = format!("/raft/stream/{kind}/1f");
        until(|| !peer.asked(&path).is_empty()).await;
        let (head, _) = &peer.asked(&path)[0];
        assert_eq!((&head.method, head.uri.path()), (&Method::GET, path.as_str()));
        assert_eq!(head.headers["x-raft-to"], "2");
        assert_eq!(head.headers["x-etcd-cluster-id"], "1000");
    }
}

#[tokio::test]
async fn every_message_is_tried_though_each_post_fails_and_any_success_but_204_is_a_failure() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::OK, StatusCode::CREATED] {
        let peer = Scripted::answering(status).await;
        let mut member = Member::start(1).await;
        member.transport.add_peer(MemberId(2), [peer.url.as_str()]).unwrap();
        for _ in 0..50 {
            member.transport.send([message(MessageType::Heartbeat)]);
        }
        for _ in 0..50 {
            let told = timeout(Duration::from_secs(5), member.told.recv()).await.unwrap();
            assert_eq!(told, Some(Told::Unreachable(MemberId(2))), "{status}");
        }
        assert_eq!(peer.posts().len(), 50, "{status}");
    }
}

#[tokio::test]
async fn four_posts_are_at_work_and_sixty_four_wait_and_one_more_is_dropped() {
    let peer =
        Scripted::start(|head| (head.method == Method::GET).then(|| with_status(StatusCode::NOT_FOUND)))
            .await;
    let mut member = Member::start(1).await;
    member.transport.add_peer(MemberId(2), [peer.url.as_str()]).unwrap();
    for sent in 1..=4 {
        member.transport.send([message(MessageType::Heartbeat)]);
        until(|| peer.posts().len() == sent).await;
    }
    for _ in 0..64 {
        member.transport.send([message(MessageType::Heartbeat)]);
    }
    assert!(member.told.try_recv().is_err(), "nothing was dropped yet");
    member.transport.send([message(MessageType::Heartbeat)]);
    assert_eq!(member.told.try_recv(), Ok(Told::Unreachable(MemberId(2))));
    assert_eq!(peer.posts().len(), 4);
}

#[tokio::test]
async fn who_is_refused_as_removed_hears_of_it_by_post_and_by_stream() {
    let by_post = Scripted::start(|head| {
        let status = if head.method == Method::POST { StatusCode::FORBIDDEN } else { StatusCode::NOT_FOUND };
        Some(with_status(status))
    });
    let by_stream = Scripted::start(|_| Some(with_version(StatusCode::GONE)));
    for peer in [by_post.await, by_stream.await] {
        let member = Member::start(1).await;
        let mut critical = member.transport.critical();
        assert_eq!(*critical.borrow(), None);
        member.transport.add_peer(MemberId(2), [peer.url.as_str()]).unwrap();
        member.transport.send([message(MessageType::Heartbeat)]);
        let told = timeout(Duration::from_secs(5), critical.wait_for(Option::is_some)).await.unwrap();
        assert_eq!(*told.unwrap(), Some(Critical::Removed { by: MemberId(2) }));
    }
}

#[tokio::test]
async fn a_stream_without_a_version_is_not_looked_at_further() {
    let peer = Scripted::answering(StatusCode::GONE).await;
    let member = Member::start(1).await;
    member.transport.add_peer(MemberId(2), [peer.url.as_str()]).unwrap();
    until(|| peer.asked("/raft/stream").len() >= 4).await;
    assert_eq!(*member.transport.critical().borrow(), None);
}

#[tokio::test]
async fn messages_to_nobody_and_to_strangers_go_nowhere() {
    let peer = Scripted::answering(StatusCode::NO_CONTENT).await;
    let mut member = Member::start(1).await;
    member.transport.add_peer(MemberId(2), [peer.url.as_str()]).unwrap();
    for to in [0, 9] {
        member.transport.send([Message { to, ..message(MessageType::Heartbeat) }]);
    }
    member.transport.send([message(MessageType::HeartbeatResp)]);
    until(|| peer.posts().len() == 1).await;
    assert!(member.told.try_recv().is_err());
}

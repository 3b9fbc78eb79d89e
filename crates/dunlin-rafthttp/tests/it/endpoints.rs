//! What the server answers, request by request, over a socket.

use bytes::Bytes;
use dunlin_http::{RequestBody, ResponseBody, Transport as Http};
use dunlin_rafthttp::codec::encode_snapshot_head;
use dunlin_rafthttp::raftpb::{self, Message, MessageType, Snapshot as RaftSnapshot};
use dunlin_rafthttp::{MemberId, RaftLimits};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;

use crate::members::{Member, message, metadata, until};

/// A stranger who knows the protocol.
struct Stranger {
    http: Http,
    url: String,
    headers: HeaderMap,
}

impl Stranger {
    fn of(member: &Member) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-server-from", "2"),
            ("x-server-version", "3.5.0"),
            ("x-min-cluster-version", "3.0.0"),
            ("x-etcd-cluster-id", "1000"),
            ("x-raft-to", "1"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        Self { http: Http::default(), url: member.url.clone(), headers }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    async fn ask(&self, method: Method, path: &str, body: impl Into<RequestBody>) -> Response<ResponseBody> {
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.url).parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        self.http.round_trip(request).await.unwrap()
    }

    async fn post(&self, path: &str, body: impl Into<RequestBody>) -> (StatusCode, String) {
        told(self.ask(Method::POST, path, body).await).await
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.ask(Method::GET, path, RequestBody::empty()).await;
        assert!(response.headers().contains_key("x-server-version"), "without it etcd does not look further");
        told(response).await
    }
}

async fn told(response: Response<ResponseBody>) -> (StatusCode, String) {
    let status = response.status();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(text.to_vec()).unwrap().trim_end().to_owned())
}

fn encoded(message: &Message) -> Bytes {
    let mut bytes = bytes::BytesMut::new();
    raftpb::encode(message, &mut bytes);
    bytes.freeze()
}

#[tokio::test]
async fn the_pipeline_takes_a_message_and_refuses_what_is_none() {
    let mut member = Member::start(1).await;
    let peer = Stranger::of(&member);
    let sent = Message { to: 1, from: 2, ..message(MessageType::Heartbeat) };
    assert_eq!(peer.post("/raft", encoded(&sent)).await, (StatusCode::NO_CONTENT, String::new()));
    assert_eq!(member.next_message().await, sent);
    let garbage = peer.post("/raft", "garbage").await;
    assert_eq!(garbage, (StatusCode::BAD_REQUEST, "error unmarshalling raft message".into()));
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = peer.ask(method, "/raft", RequestBody::empty()).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], "POST");
    }
}

#[tokio::test]
async fn a_removed_sender_is_told_so_by_the_pipeline() {
    let member = Member::start(1).await;
    member.removed.lock().unwrap().push(MemberId(2));
    let sent = Message { to: 1, from: 2, ..message(MessageType::Heartbeat) };
    let answer = Stranger::of(&member).post("/raft", encoded(&sent)).await;
    assert_eq!(
        answer,
        (StatusCode::FORBIDDEN, "member 2 has been permanently removed from the cluster".into())
    );
}

#[tokio::test]
async fn a_raft_that_takes_nothing_is_an_error() {
    let member = Member::start(1).await;
    let sent = Message { to: 1, from: 2, ..message(MessageType::Heartbeat) };
    member.is_stopped.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = Stranger::of(&member).post("/raft", encoded(&sent)).await;
    assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, "error processing raft message".into()));
}

#[tokio::test]
async fn nobody_speaks_for_another_by_a_message_or_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut member = Member::start_with(1, |builder| builder.snapshot_dir(dir.path())).await;
    let liar = Stranger::of(&member);
    let spoken = Message { to: 1, from: 3, ..message(MessageType::Heartbeat) };
    let answer = liar.post("/raft", encoded(&spoken)).await;
    assert_eq!(answer, (StatusCode::UNAUTHORIZED, "message from member 3 is brought by member 2".into()));
    let snapshot = RaftSnapshot { metadata: metadata(7), ..RaftSnapshot::default() };
    for (from, status) in [(3, StatusCode::UNAUTHORIZED), (2, StatusCode::NO_CONTENT)] {
        let sent = Message { to: 1, from, snapshot: snapshot.clone(), ..message(MessageType::Snap) };
        let mut body = bytes::BytesMut::new();
        encode_snapshot_head(&sent, &RaftLimits::DEFAULT, &mut body).unwrap();
        body.extend_from_slice(b"database");
        assert_eq!(liar.post("/raft/snapshot", body.freeze()).await.0, status);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), usize::from(from == 2));
    }
    assert_eq!(member.next_message().await.from, 2);
}

#[tokio::test]
async fn who_does_not_say_who_it_is_is_refused() {
    let member = Member::start(1).await;
    let sent = Message { to: 1, from: 2, ..message(MessageType::Heartbeat) };
    let answer = Stranger::of(&member).without("x-server-from").post("/raft", encoded(&sent)).await;
    assert_eq!(answer.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn another_cluster_is_refused_and_does_not_learn_which_this_is() {
    let member = Member::start(1).await;
    for stranger in [
        Stranger::of(&member).with("x-etcd-cluster-id", "1001"),
        Stranger::of(&member).with("x-etcd-cluster-id", "0x1000"),
        Stranger::of(&member).without("x-etcd-cluster-id"),
    ] {
        let answer = stranger.ask(Method::POST, "/raft", "").await;
        assert!(!answer.headers().contains_key("x-etcd-cluster-id"));
        let refused = (StatusCode::PRECONDITION_FAILED, "cluster ID mismatch".to_owned());
        assert_eq!(told(answer).await, refused);
        assert_eq!(stranger.get("/raft/stream/message/2").await, refused);
    }
}

#[tokio::test]
async fn a_stream_is_refused_to_whom_it_is_not_for() {
    let member = Member::start(1).await;
    let peer = Stranger::of(&member);
    let unknown = (StatusCode::NOT_FOUND, "error sender not found".to_owned());
    assert_eq!(peer.get("/raft/stream/message/2").await, unknown);
    member.transport.add_peer(MemberId(2), ["http://127.0.0.1:9"]).unwrap();
    assert_eq!(peer.get("/raft/stream/strange/2").await, (StatusCode::NOT_FOUND, "invalid path".into()));
    assert_eq!(peer.get("/raft/stream/strange").await, (StatusCode::NOT_FOUND, "invalid path".into()));
    assert_eq!(peer.get("/raft/stream/msgapp/x").await, (StatusCode::NOT_FOUND, "invalid from".into()));
    let other = Stranger::of(&member).with("x-raft-to", "9");
    let mismatch = (StatusCode::PRECONDITION_FAILED, "to field mismatch".into());
    assert_eq!(other.get("/raft/stream/msgapp/2").await, mismatch);
    member.removed.lock().unwrap().push(MemberId(2));
    assert_eq!(peer.get("/raft/stream/msgapp/2").await, (StatusCode::GONE, "removed member".into()));
    assert_eq!(peer.ask(Method::POST, "/raft/stream/msgapp/2", "").await.headers()["allow"], "GET");
}

#[tokio::test]
async fn a_second_stream_of_a_kind_ends_the_first() {
    let member = Member::start(1).await;
    member.transport.add_peer(MemberId(2), ["http://127.0.0.1:9"]).unwrap();
    let peer = Stranger::of(&member);
    let open = || peer.ask(Method::GET, "/raft/stream/message/2", RequestBody::empty());
    let mut first = open().await.into_body();
    let mut second = open().await.into_body();
    assert!(first.frame().await.is_none(), "the first one ended");
    member.transport.send([message(MessageType::Heartbeat)]);
    let frame = second.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame.len(), 8 + encoded(&message(MessageType::Heartbeat)).len());
}

#[tokio::test]
async fn who_says_urls_is_answered_before_raft_knows_them() {
    let member = Member::start(1).await;
    let mut newcomer = Member::start(2).await;
    let stranger = Stranger::of(&member).with("x-peerurls", &newcomer.url);
    stranger.get("/raft/stream/message/2").await;
    member.transport.send([message(MessageType::Heartbeat)]);
    assert_eq!(newcomer.next_message().await, message(MessageType::Heartbeat));
    let bad = Stranger::of(&member).with("x-peerurls", "nonsense").with("x-server-from", "3");
    assert_eq!(bad.get("/raft/stream/message/3").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_peer_that_closes_its_stream_is_reached_by_the_pipeline() {
    let member = Member::start(1).await;
    let mut other = Member::start(2).await;
    member.transport.add_peer(MemberId(2), [other.url.as_str()]).unwrap();
    let peer = Stranger::of(&member);
    let stream = peer.ask(Method::GET, "/raft/stream/message/2", RequestBody::empty()).await;
    until(|| member.transport.active_since(MemberId(2)).is_some()).await;
    drop(stream);
    until(|| member.transport.active_since(MemberId(2)).is_none()).await;
    member.transport.send([message(MessageType::Heartbeat)]);
    assert_eq!(other.next_message().await, message(MessageType::Heartbeat));
}

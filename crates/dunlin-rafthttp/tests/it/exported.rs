//! What a recorder of metrics is told.

use std::collections::BTreeSet;

use dunlin_rafthttp::MemberId;
use dunlin_rafthttp::raftpb::MessageType;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use crate::members::{Member, message, until};

#[tokio::test]
async fn peers_are_counted_by_their_ids_and_strangers_get_no_label() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let (one, two) = (Member::start(1).await, Member::start(2).await);
    metrics::with_local_recorder(&recorder, || {
        one.transport.add_peer(MemberId(2), [two.url.as_str()]).unwrap();
        for id in 3..20 {
            one.transport.add_remote(MemberId(id), ["http://127.0.0.1:9"]).unwrap();
        }
    });
    two.transport.add_peer(MemberId(1), [one.url.as_str()]).unwrap();
    until(|| one.transport.active_peers() == 1).await;
    one.transport.send([message(MessageType::Heartbeat)]);
    until(|| one.transport.traffic(MemberId(2)).is_some_and(|traffic| traffic.sent_bytes > 0)).await;
    let mut labels = BTreeSet::new();
    let (mut sent, mut active) = (0, None);
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        labels.extend(key.labels().map(|label| label.value().to_owned()));
        match (key.name(), value) {
            ("dunlin_network_peer_sent_bytes_total", DebugValue::Counter(count)) => sent = count,
            ("dunlin_network_active_peers", DebugValue::Gauge(value)) => active = Some(value.into_inner()),
            _ => {}
        }
    }
    assert_eq!(labels, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
    assert_eq!((sent > 0, active), (true, Some(1.0)));
}

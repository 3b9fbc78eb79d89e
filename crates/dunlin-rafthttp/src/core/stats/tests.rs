//! Statistics: names and numbers as etcd has them, and finite ones only.

use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::rate::{Rates, RequestRates};
use super::*;
use crate::core::MemberId;
use crate::limits::RATE_REQUESTS_MAX;

const ME: MemberId = MemberId(0xabc);
const MS: Duration = Duration::from_millis(1);

fn clock() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_174_755)
}

fn server(start: Instant) -> ServerStats {
    ServerStats::new(start, clock(), "one", ME)
}

fn json_of(stats: &ServerStats, now: Instant) -> Value {
    serde_json::to_value(stats.report(now)).unwrap()
}

#[test]
fn a_node_without_appends_follows_nobody() {
    let start = Instant::now();
    let expected = json!({
        "name": "one", "id": "abc", "state": "StateFollower", "startTime": "2026-11-20T11:39:15Z",
        "leaderInfo": {"leader": "", "uptime": "0s", "startTime": "0001-01-01T00:00:00Z"},
        "recvAppendRequestCnt": 0, "sendAppendRequestCnt": 0,
    });
    assert_eq!(json_of(&server(start), start), expected);
}

#[test]
fn who_sends_an_append_leads_since_the_first_of_them() {
    let start = Instant::now();
    let mut stats = server(start);
    stats.handle_append_received(start + 500 * MS, MemberId(2), 100);
    stats.handle_append_received(start + 1500 * MS, MemberId(2), 100);
    let follower = json_of(&stats, start + 2000 * MS);
    assert_eq!(follower["state"], "StateFollower");
    let leader = json!({"leader": "2", "uptime": "1.5s", "startTime": "2026-11-20T11:39:15.5Z"});
    assert_eq!(follower["leaderInfo"], leader);
    assert_eq!((&follower["recvAppendRequestCnt"], &follower["recvPkgRate"]), (&json!(2), &json!(1.0)));
    assert_eq!(follower["recvBandwidthRate"], json!(100.0));
    assert_eq!(follower.get("sendPkgRate"), None);

    stats.handle_append_sent(start + 3000 * MS, 50);
    let leader = json_of(&stats, start + 3000 * MS);
    assert_eq!((&leader["state"], &leader["leaderInfo"]["leader"]), (&json!("StateLeader"), &json!("abc")));
    assert_eq!((&leader["sendAppendRequestCnt"], leader.get("sendPkgRate")), (&json!(1), None));
    assert_eq!(leader.get("recvPkgRate"), None, "the last one was over a second ago");

    stats.handle_append_received(start + 4000 * MS, MemberId(3), 1);
    let deposed = json_of(&stats, start + 4000 * MS);
    assert_eq!((&deposed["state"], &deposed["leaderInfo"]["leader"]), (&json!("StateFollower"), &json!("3")));
}

#[test]
fn a_rate_counts_the_last_two_hundred_requests() {
    let start = Instant::now();
    let mut rates = RequestRates::default();
    for _ in 0..50 {
        rates.handle_request(start, u64::MAX);
    }
    assert_eq!(rates.rates(start), None, "no time has passed");
    // Ten requests a second of a hundred bytes push the burst out.
    for at in 1..=RATE_REQUESTS_MAX as u32 {
        rates.handle_request(start + at * 100 * MS, 100);
    }
    let last = start + RATE_REQUESTS_MAX as u32 * 100 * MS;
    let Rates { requests, bytes } = rates.rates(last).expect("there is a rate");
    assert!((requests - 10.0).abs() < 1e-9 && (bytes - 1000.0).abs() < 1e-6, "{requests} {bytes}");
    assert!(rates.rates(last + 1000 * MS).is_some());
    assert_eq!(rates.rates(last + 1001 * MS), None, "after a silence there is none");
}

#[test]
fn a_leader_knows_how_long_its_followers_take() {
    let mut stats = LeaderStats::new(ME);
    stats.add_follower(MemberId(0x2f));
    let unknown =
        json!({"current": 0.0, "average": 0.0, "standardDeviation": 0.0, "minimum": 0.0, "maximum": 0.0});
    let expected = json!({
        "leader": "abc", "followers": {"2f": {"latency": unknown, "counts": {"fail": 0, "success": 0}}}
    });
    assert_eq!(serde_json::to_value(&stats).unwrap(), expected);

    for latency in [2, 4, 4, 4, 5, 5, 7, 9] {
        stats.handle_successes(MemberId(0x2f), 1, latency * MS);
    }
    stats.handle_failure(MemberId(0x2f));
    let follower = *stats.follower(MemberId(0x2f)).unwrap();
    let latency = follower.latency();
    assert_eq!((follower.successes(), follower.failures()), (8, 1));
    let numbers = [
        (latency.current_ms(), 9.0),
        (latency.average_ms(), 5.0),
        (latency.standard_deviation_ms(), 2.0),
        (latency.minimum_ms(), 2.0),
        (latency.maximum_ms(), 9.0),
    ];
    assert!(numbers.iter().all(|(is, expected)| (is - expected).abs() < 1e-9), "{numbers:?}");
    stats.add_follower(MemberId(0x2f));
    assert_eq!(stats.follower(MemberId(0x2f)), Some(&follower), "added again it is the same");
}

#[test]
fn appends_counted_together_count_as_one_by_one() {
    let (mut together, mut apart) = (LeaderStats::new(ME), LeaderStats::new(ME));
    for stats in [&mut together, &mut apart] {
        stats.add_follower(MemberId(2));
    }
    for (count, latency) in [(3, 2), (0, 9), (1, 7), (5, 1)] {
        together.handle_successes(MemberId(2), count, latency * MS);
        (0..count).for_each(|_| apart.handle_successes(MemberId(2), 1, latency * MS));
    }
    let [together, apart] = [together, apart].map(|stats| *stats.follower(MemberId(2)).unwrap());
    assert_eq!(together.successes(), apart.successes());
    let numbers = |of: &FollowerStats| {
        let latency = of.latency();
        [latency.average_ms(), latency.standard_deviation_ms(), latency.minimum_ms(), latency.maximum_ms()]
    };
    let pairs = numbers(&together).into_iter().zip(numbers(&apart));
    assert!(pairs.into_iter().all(|(one, other)| (one - other).abs() < 1e-9));
}

#[test]
fn followers_are_those_that_were_added() {
    let mut stats = LeaderStats::new(ME);
    stats.handle_successes(MemberId(2), 1, MS);
    stats.handle_failure(MemberId(3));
    assert_eq!(stats.followers_len(), 0);
    stats.add_follower(MemberId(2));
    stats.handle_successes(MemberId(2), 1, MS);
    stats.remove_follower(MemberId(2));
    stats.remove_follower(MemberId(2));
    assert_eq!(stats.follower(MemberId(2)), None);
}

#[test]
fn durations_are_written_as_go_writes_them() {
    for (nanos, text) in [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (245_000_000_000, "4m5s"),
        (245_001_000_000, "4m5.001s"),
        (18_367_001_000_000, "5h6m7.001s"),
        (480_000_000_001, "8m0.000000001s"),
        (3_600_000_000_000, "1h0m0s"),
        (659_322_358_947, "10m59.322358947s"),
        (999_999, "999.999µs"),
        (60_000_000, "60ms"),
    ] {
        assert_eq!(text::duration(Duration::from_nanos(nanos)), text);
    }
}

fn is_finite(value: &Value) -> bool {
    match value {
        // What is not finite becomes null on its way here.
        Value::Null => false,
        Value::Object(fields) => fields.values().all(is_finite),
        _ => true,
    }
}

proptest! {
    #[test]
    fn no_number_is_infinite(requests in prop::collection::vec((0..3_u32, any::<u64>(), any::<bool>()), 0..260)) {
        let start = Instant::now();
        let (mut now, mut server, mut leader) = (start, server(start), LeaderStats::new(ME));
        leader.add_follower(MemberId(2));
        for (nanos, bytes, is_sent) in requests {
            now += Duration::from_nanos(1) * nanos;
            if is_sent {
                server.handle_append_sent(now, bytes);
                leader.handle_successes(MemberId(2), 1, Duration::from_nanos(bytes));
            } else {
                server.handle_append_received(now, MemberId(2), bytes);
            }
            prop_assert!(leader.follower(MemberId(2)).unwrap().latency().standard_deviation_ms() >= 0.0);
        }
        prop_assert!(is_finite(&json_of(&server, now)));
        prop_assert!(is_finite(&serde_json::to_value(&leader).unwrap()));
    }
}

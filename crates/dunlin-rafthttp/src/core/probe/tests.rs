//! A prober by itself, and answers in every form in which they come.

use proptest::prelude::*;

use super::*;
use crate::limits::PROBE_ANSWER_LEN_MAX;

const SECOND: Duration = Duration::from_secs(1);

fn clock(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

fn probed(round_trip_ms: u64) -> Result<Probed, &'static str> {
    let round_trip = Duration::from_millis(round_trip_ms);
    Ok(Probed { round_trip, local_clock: clock(0) + round_trip / 2, remote_clock: clock(0) })
}

fn is_unhealthy(look: &ProbeLook) -> bool {
    look.health != ProbeHealth::Healthy
}

#[test]
fn the_first_round_trip_counts_whole_and_each_further_one_an_eighth() {
    let (now, mut prober) = (Instant::now(), Prober::new(Instant::now()));
    assert_eq!(prober.look().round_trip, None);
    prober.handle_result(now, probed(80));
    assert_eq!(prober.look().round_trip, Some(Duration::from_millis(80)));
    prober.handle_result(now, probed(160));
    assert_eq!(prober.look().round_trip, Some(Duration::from_millis(90)));
    prober.handle_result(now, Err("refused"));
    assert_eq!(prober.look().round_trip, Some(Duration::from_millis(90)), "a failure takes no time");
}

#[test]
fn a_probe_follows_the_end_of_the_one_before_within_the_life_of_an_idle_connection() {
    let now = Instant::now();
    let mut prober = Prober::new(now);
    assert_eq!(prober.next_probe_at(), now);
    prober.handle_result(now + SECOND, probed(1));
    assert_eq!(prober.next_probe_at(), now + 5 * SECOND);
    prober.handle_result(now + 6 * SECOND, Err("refused"));
    assert_eq!(prober.next_probe_at(), now + 10 * SECOND);
}

#[test]
fn a_silent_peer_is_looked_at_every_five_seconds_and_a_healthy_one_every_thirty() {
    let now = Instant::now();
    let mut prober = Prober::new(now);
    assert_eq!(prober.poll_look(now + Duration::from_millis(4_999)), None);
    let first = prober.poll_look(now + 5 * SECOND).expect("it is time");
    assert_eq!((first.health, first.round_trip), (ProbeHealth::Unknown, None));
    assert_eq!(prober.poll_look(now + 5 * SECOND), None, "it was said");
    prober.handle_result(now + 6 * SECOND, Err("refused"));
    assert!(prober.poll_look(now + 10 * SECOND).is_some_and(|look| is_unhealthy(&look)));
    prober.handle_result(now + 11 * SECOND, probed(1));
    assert!(prober.poll_look(now + 15 * SECOND).is_some_and(|look| !is_unhealthy(&look)));
    prober.handle_result(now + 16 * SECOND, Err("refused"));
    assert_eq!(prober.poll_look(now + 44 * SECOND), None);
    assert_eq!(prober.next_look_at(), now + 45 * SECOND);
    assert!(prober.poll_look(now + 45 * SECOND).is_some_and(|look| is_unhealthy(&look)));
    assert_eq!(prober.next_look_at(), now + 50 * SECOND);
}

#[test]
fn an_unhealthy_peer_says_since_when_and_why_it_failed_last() {
    let (now, mut prober) = (Instant::now(), Prober::new(Instant::now()));
    prober.handle_result(now, Err("refused"));
    prober.handle_result(now + SECOND, Err("timed out"));
    let unhealthy = ProbeHealth::Unhealthy { since: now, reason: "timed out".into() };
    assert_eq!(prober.look().health, unhealthy);
}

#[test]
fn a_clock_that_is_off_by_more_than_a_second_is_told_of_whichever_is_ahead() {
    let round_trip = Duration::from_millis(400);
    let half = round_trip / 2;
    let far = SECOND + Duration::from_millis(1);
    for (local_clock, remote_clock, drift) in [
        (clock(0) + half, clock(0), Duration::ZERO),
        (clock(0) + half + SECOND, clock(0), SECOND),
        (clock(0) + half + far, clock(0), far),
        (clock(0) + half, clock(0) + far, far),
        (clock(0), clock(0), half),
        (clock(0), clock(0) + SECOND, SECOND + half),
    ] {
        let now = Instant::now();
        let mut prober = Prober::new(now);
        prober.handle_result(now, Ok(Probed { round_trip, local_clock, remote_clock }));
        assert_eq!(prober.look().drift, Some(drift));
        let look = prober.poll_look(now + 5 * SECOND).expect("it is time");
        assert_eq!(look.drift, (drift > SECOND).then_some(drift));
        prober.handle_result(now, Err("refused"));
        let silent = prober.poll_look(now + 60 * SECOND).expect("it is time");
        assert_eq!(silent.drift, None, "nobody knows what its clock says now");
    }
}

#[test]
fn clocks_at_the_ends_of_time_have_a_drift() {
    let now = Instant::now();
    let mut prober = Prober::new(now);
    let ends = [SystemTime::UNIX_EPOCH, clock(u64::from(u32::MAX))];
    for local_clock in ends {
        for remote_clock in ends {
            for round_trip in [Duration::ZERO, Duration::MAX] {
                prober.handle_result(now, Ok(Probed { round_trip, local_clock, remote_clock }));
                prober.handle_result(now, Ok(Probed { round_trip, local_clock, remote_clock }));
            }
        }
    }
    assert!(prober.look().drift.is_some());
}

#[test]
fn answers_are_read_in_every_form_of_time() {
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_174_755);
    for (now, nanos) in [
        ("2026-11-20T11:39:15.543386706Z", 543_386_706),
        ("2026-11-20T11:39:15Z", 0),
        ("2026-11-20T13:39:15.5+02:00", 500_000_000),
        ("2026-11-20T06:09:15.000000001-05:30", 1),
    ] {
        let answer = format!("{{\"OK\":true,\"Now\":\"{now}\"}}\n");
        let now = second + Duration::from_nanos(nanos);
        assert_eq!(ProbeAnswer::decode(answer.as_bytes()).unwrap(), ProbeAnswer { is_ok: true, now });
    }
}

#[test]
fn an_answer_is_written_as_etcd_writes_it() {
    let now = SystemTime::UNIX_EPOCH + Duration::new(1_795_174_755, 543_386_706);
    let answer = ProbeAnswer { is_ok: true, now }.encode().unwrap();
    assert_eq!(answer, "{\"OK\":true,\"Now\":\"2026-11-20T11:39:15.543386706Z\"}\n");
    assert_eq!(answer.len(), 51, "as captured");
}

#[test]
fn what_is_no_answer_is_an_error_and_what_is_not_well_is_not() {
    let long =
        format!("{{\"OK\":true,\"Now\":\"2026-11-20T11:39:15Z\"}}{}", " ".repeat(PROBE_ANSWER_LEN_MAX));
    for bad in [
        "",
        "null",
        "[]",
        "{}",
        "{\"OK\":true}",
        "{\"OK\":1,\"Now\":\"2026-11-20T11:39:15Z\"}",
        "{\"OK\":true,\"Now\":0}",
        "{\"OK\":true,\"Now\":\"\"}",
        "{\"OK\":true,\"Now\":\"2026-11-20\"}",
        "{\"OK\":true,\"Now\":\"2026-11-20T11:39:15\"}",
        "{\"OK\":true,\"Now\":\"2026-13-20T11:39:15Z\"}",
        "{\"OK\":true,\"Now\":\"2026-11-20T11:39:15Z\"} {}",
        &long,
    ] {
        assert!(ProbeAnswer::decode(bad.as_bytes()).is_err(), "{bad}");
    }
    for unwell in ["{\"OK\":false,\"Now\":\"2026-11-20T11:39:15Z\"}", "{\"Now\":\"2026-11-20T11:39:15Z\"}"] {
        assert!(!ProbeAnswer::decode(unwell.as_bytes()).unwrap().is_ok);
    }
}

proptest! {
    #[test]
    fn answers_come_out_as_they_went_in(is_ok in any::<bool>(), seconds in -62_167_219_200_i64..253_402_300_800, nanos in 0..1_000_000_000_u32) {
        let distance = Duration::new(seconds.unsigned_abs(), nanos);
        let now = if seconds < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance };
        let answer = ProbeAnswer { is_ok, now };
        // The fraction may be before the first day there is.
        if let Ok(written) = answer.encode() {
            prop_assert!(written.len() <= PROBE_ANSWER_LEN_MAX);
            prop_assert_eq!(ProbeAnswer::decode(written.as_bytes()).unwrap(), answer);
        }
    }

    #[test]
    fn arbitrary_answers_never_panic(text in "\\PC{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        drop(ProbeAnswer::decode(&bytes));
        drop(ProbeAnswer::decode(format!("{{\"OK\":true,\"Now\":{text:?}}}").as_bytes()));
    }
}

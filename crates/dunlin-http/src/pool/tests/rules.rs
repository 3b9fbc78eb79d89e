//! The rules of the pool, one by one.

use super::*;

#[test]
fn a_connection_that_becomes_idle_serves_the_waiter_whose_dial_is_slower_and_the_dial_serves_the_next() {
    let mut rig = Rig::new(config());
    let first = rig.open("a");
    let second = rig.ask("a");
    let slow = rig.dialing[0];
    rig.release(first);
    assert_eq!(rig.conn_of(second), Some(first));
    let third = rig.ask("a");
    rig.dialed(slow, HTTP1);
    assert_eq!(rig.conn_of(third), Some(slow));
    assert_eq!(rig.dialing.len(), 1, "the third asked for a dial of its own before");
}

#[test]
fn a_dial_that_nobody_needs_any_more_becomes_idle() {
    let mut rig = Rig::new(config());
    let waiter = rig.ask("a");
    rig.step(Event::Cancelled { waiter });
    let conn = rig.dialing[0];
    rig.dialed(conn, HTTP1);
    assert_eq!(rig.total().idle, 1);
    let next = rig.ask("a");
    assert_eq!(rig.conn_of(next), Some(conn));
}

#[test]
fn a_dial_is_given_up_with_its_request_when_so_set_unless_somebody_else_waits() {
    let abort = || Rig::new(PoolConfig { on_cancel_dial: OnCancelDial::Abort, ..config() });
    let mut rig = abort();
    let waiter = rig.ask("a");
    rig.step(Event::Cancelled { waiter });
    assert_eq!(rig.aborted, [rig.dialing[0]]);

    let mut rig = abort();
    let waiter = rig.ask("a");
    rig.ask("a");
    rig.step(Event::Cancelled { waiter });
    assert_eq!(rig.aborted, []);
}

#[test]
fn beyond_the_limit_requests_wait_and_are_served_in_order() {
    let mut rig = Rig::limited(1);
    let conn = rig.open("a");
    let waiters: Vec<_> = (0..3).map(|_| rig.ask("a")).collect();
    assert!(rig.dialing.is_empty());
    for waiter in waiters {
        assert_eq!(rig.conn_of(waiter), None);
        rig.release(conn);
        assert_eq!(rig.conn_of(waiter), Some(conn));
    }
    assert_eq!(rig.total().opened, 1);
}

#[test]
fn a_dial_counts_against_the_limit() {
    let mut rig = Rig::limited(1);
    rig.ask("a");
    rig.ask("a");
    assert_eq!(rig.dialing.len(), 1);
}

#[test]
fn a_slot_is_free_when_the_connection_is_closed_and_not_before() {
    let mut rig = Rig::limited(1);
    let conn = rig.open("a");
    let waiter = rig.ask("a");
    rig.step(Event::Released { conn, reuse: Err(CloseCause::Exchange) });
    assert_eq!(rig.dialing, []);
    rig.finish_closing();
    assert_eq!(rig.dialing.len(), 1);
    let next = rig.dialing[0];
    rig.dialed(next, HTTP1);
    assert_eq!(rig.conn_of(waiter), Some(next));
}

#[test]
fn a_cancelled_waiter_loses_no_slot() {
    let mut rig = Rig::limited(1);
    let conn = rig.open("a");
    let gone = rig.ask("a");
    let waiter = rig.ask("a");
    rig.step(Event::Cancelled { waiter: gone });
    rig.step(Event::Released { conn, reuse: Err(CloseCause::Exchange) });
    rig.finish_closing();
    let next = rig.dialing[0];
    rig.dialed(next, HTTP1);
    assert_eq!(rig.conn_of(waiter), Some(next));
    assert!(!rig.served.contains_key(&gone));
}

#[test]
fn a_failed_dial_fails_its_own_waiter_and_gives_its_slot_to_the_next() {
    let mut rig = Rig::limited(1);
    let first = rig.ask("a");
    let second = rig.ask("a");
    let dial = rig.dialing[0];
    rig.dial_failed(dial);
    assert_eq!(rig.served.get(&first), Some(&Served::Failed(dial)));
    let dial = rig.dialing[0];
    rig.dialed(dial, HTTP1);
    assert_eq!(rig.conn_of(second), Some(dial));
}

#[test]
fn hosts_do_not_share_connections_or_limits() {
    let mut rig = Rig::limited(1);
    let conn = rig.open("a");
    rig.release(conn);
    let other = rig.open("b");
    assert_ne!(other, conn);
}

#[test]
fn the_newest_idle_connection_serves_first_or_the_oldest_if_so_set() {
    for (order, expected) in [(ReuseOrder::NewestFirst, 1), (ReuseOrder::OldestFirst, 0)] {
        let mut rig = Rig::new(PoolConfig { reuse_order: order, ..config() });
        let conns = [rig.open("a"), rig.open("a")];
        for conn in conns {
            rig.release(conn);
        }
        let waiter = rig.ask("a");
        assert_eq!(rig.conn_of(waiter), Some(conns[expected]));
    }
}

#[test]
fn beyond_the_idle_limit_of_a_host_the_last_returned_is_closed_and_other_hosts_are_untouched() {
    let mut rig = Rig::new(PoolConfig { max_idle_per_host: MaxIdlePerHost::AtMost(2), ..config() });
    let other = rig.open("b");
    let conns = [rig.open("a"), rig.open("a"), rig.open("a")];
    rig.release(other);
    for conn in conns {
        rig.release(conn);
    }
    assert_eq!(rig.closing, [(conns[2], CloseCause::MaxIdlePerHost)]);
    assert_eq!(rig.total().idle, 3);
}

#[test]
fn beyond_the_idle_limit_of_all_the_one_idle_for_longest_is_closed() {
    let mut rig = Rig::new(PoolConfig { max_idle: Some(4), ..config() });
    let hosts = ["a", "b", "c", "d", "e"];
    let conns: Vec<_> = hosts.into_iter().map(|host| rig.open(host)).collect();
    for conn in &conns {
        rig.later(1);
        rig.release(*conn);
    }
    assert_eq!(rig.closing, [(conns[0], CloseCause::MaxIdle)]);
}

#[test]
fn a_pool_that_never_keeps_does_not_hand_a_used_connection_to_a_waiter() {
    let mut rig = Rig::new(PoolConfig {
        max_idle_per_host: MaxIdlePerHost::Never,
        max_conns_per_host: NonZeroUsize::new(1),
        ..config()
    });
    let conn = rig.open("a");
    let waiter = rig.ask("a");
    rig.release(conn);
    assert_eq!((rig.conn_of(waiter), rig.closing.len()), (None, 1));
    rig.finish_closing();
    assert_eq!(rig.dialing.len(), 1);
}

#[test]
fn an_idle_connection_goes_at_its_time_and_not_before() {
    let idle_timeout = Some(Duration::from_secs(10));
    let mut rig = Rig::new(PoolConfig { idle_timeout, ..config() });
    let conn = rig.open("a");
    assert_eq!(rig.pool.next_deadline(), None);
    rig.release(conn);
    assert_eq!(rig.pool.next_deadline(), Some(rig.now + Duration::from_secs(10)));
    rig.later(9);
    rig.step(Event::Tick);
    assert_eq!(rig.total().idle, 1);
    rig.later(1);
    rig.step(Event::Tick);
    assert_eq!(rig.closing, [(conn, CloseCause::IdleTimeout)]);
    assert_eq!(rig.pool.next_deadline(), None);
}

#[test]
fn a_connection_idle_for_too_long_is_not_handed_out_even_if_nobody_looked_in_time() {
    let idle_timeout = Some(Duration::from_secs(10));
    let mut rig = Rig::new(PoolConfig { idle_timeout, ..config() });
    let conn = rig.open("a");
    rig.release(conn);
    rig.later(11);
    let waiter = rig.ask("a");
    assert_eq!((rig.conn_of(waiter), rig.closing[0].0), (None, conn));
    assert_eq!(rig.dialing.len(), 1);
}

#[test]
fn an_aged_connection_goes_between_two_requests() {
    let mut rig = Rig::new(config());
    rig.ask("a");
    let conn = rig.dialing[0];
    let retire_at = Some(rig.now + Duration::from_secs(5));
    rig.dialed(conn, Opened { streams_max: None, retire_at });
    rig.later(6);
    assert_eq!(rig.closing, [], "it is at work");
    rig.release(conn);
    assert_eq!(rig.closing, [(conn, CloseCause::MaxLifetime)]);
}

#[test]
fn closing_idle_ones_keeps_none_until_the_next_request() {
    let mut rig = Rig::new(config());
    let (idle, busy) = (rig.open("a"), rig.open("a"));
    let orphan = rig.ask("b");
    rig.step(Event::Cancelled { waiter: orphan });
    rig.release(idle);
    rig.step(Event::CloseIdle);
    assert_eq!(rig.closing, [(idle, CloseCause::CloseIdle)]);
    assert_eq!(rig.aborted.len(), 1, "a dial for nobody is given up");
    rig.release(busy);
    assert_eq!(rig.closing.len(), 2);
    let again = rig.open("a");
    rig.release(again);
    assert_eq!(rig.total().idle, 1);
}

#[test]
fn streams_of_one_connection_serve_all_who_wait() {
    let mut rig = Rig::new(config());
    let waiters = [rig.ask("a"), rig.ask("a"), rig.ask("a")];
    let conn = rig.dialing[0];
    rig.dialed(conn, Opened { streams_max: Some(100), retire_at: None });
    assert!(waiters.iter().all(|waiter| rig.conn_of(*waiter) == Some(conn)));
    assert_eq!(rig.dialing.len(), 2, "each began a dial of its own");
    let more = rig.ask("a");
    assert_eq!(rig.conn_of(more), Some(conn));
    let stats = rig.total();
    assert_eq!((stats.active, stats.dialing), (1, 2));
}

#[test]
fn at_the_stream_limit_another_connection_is_dialed_or_a_stream_awaited() {
    for (at_limit, dials) in [(Http2AtLimit::Grow, 1), (Http2AtLimit::Wait, 0)] {
        let mut rig = Rig::new(PoolConfig { http2_at_limit: at_limit, ..config() });
        rig.ask("a");
        let conn = rig.dialing[0];
        rig.dialed(conn, Opened { streams_max: Some(1), retire_at: None });
        let waiter = rig.ask("a");
        assert_eq!(rig.dialing.len(), dials);
        rig.release(conn);
        assert_eq!(rig.conn_of(waiter), Some(conn));
    }
}

#[test]
fn one_who_waits_for_a_stream_gets_a_dial_when_the_connection_is_lost() {
    let mut rig = Rig::new(PoolConfig { http2_at_limit: Http2AtLimit::Wait, ..config() });
    rig.ask("a");
    let conn = rig.dialing[0];
    rig.dialed(conn, Opened { streams_max: Some(1), retire_at: None });
    rig.ask("a");
    rig.step(Event::Closed { conn, cause: CloseCause::Peer });
    assert_eq!(rig.dialing.len(), 1);
}

#[test]
fn more_streams_serve_those_who_wait() {
    let mut rig = Rig::new(PoolConfig { http2_at_limit: Http2AtLimit::Wait, ..config() });
    rig.ask("a");
    let conn = rig.dialing[0];
    rig.dialed(conn, Opened { streams_max: Some(1), retire_at: None });
    let waiter = rig.ask("a");
    rig.step(Event::StreamsMax { conn, streams_max: 2 });
    assert_eq!(rig.conn_of(waiter), Some(conn));
}

#[test]
fn a_retired_connection_finishes_what_it_is_at_and_takes_nothing_more() {
    let mut rig = Rig::new(config());
    rig.ask("a");
    let conn = rig.dialing[0];
    rig.dialed(conn, Opened { streams_max: Some(10), retire_at: None });
    rig.step(Event::Retired { conn, cause: CloseCause::Evicted });
    let waiter = rig.ask("a");
    assert_eq!((rig.conn_of(waiter), rig.closing.len()), (None, 0));
    rig.release(conn);
    assert_eq!(rig.closing, [(conn, CloseCause::Evicted)]);
}

#[test]
fn warming_dials_as_many_as_will_be_kept() {
    let mut rig = Rig::new(PoolConfig { max_idle_per_host: MaxIdlePerHost::AtMost(3), ..config() });
    rig.step(Event::Warm { key: "a", count: 2 });
    rig.step(Event::Warm { key: "a", count: 10 });
    assert_eq!(rig.dialing.len(), 3);
    for conn in rig.dialing.clone() {
        rig.dialed(conn, HTTP1);
    }
    assert_eq!((rig.total().idle, rig.closing.len()), (3, 0));
}

#[test]
fn beyond_the_waiting_limit_a_request_is_refused() {
    let mut rig =
        Rig::new(PoolConfig { waiting_max: 1, max_conns_per_host: NonZeroUsize::new(1), ..config() });
    rig.open("a");
    rig.ask("a");
    let refused = rig.ask("a");
    assert_eq!(rig.served.get(&refused), Some(&Served::Refused));
}

#[test]
fn hosts_that_are_quiet_are_forgotten_beyond_their_number() {
    let mut rig = Rig::new(config());
    let names: Vec<&'static str> =
        (0..limits::QUIET_HOSTS_MAX + 10).map(|n| &*n.to_string().leak()).collect();
    for name in names {
        let conn = rig.open(name);
        rig.step(Event::Closed { conn, cause: CloseCause::Peer });
    }
    let (total, hosts) = rig.pool.stats();
    assert_eq!(hosts.len(), limits::QUIET_HOSTS_MAX);
    assert_eq!(total.closed.count(CloseCause::Peer), (limits::QUIET_HOSTS_MAX + 10) as u64);
}

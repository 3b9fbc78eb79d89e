//! Random orders of events against what must hold after each of them.

use proptest::prelude::*;

use super::*;

const KEYS: [&str; 2] = ["a", "b"];

/// What may happen; the number picks the one it happens to.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Ask(usize),
    Cancel(usize),
    Dialed(usize),
    DialedTwo(usize),
    DialFailed(usize),
    Released(usize),
    Broke(usize),
    PeerClosed(usize),
    OwnClosed(usize),
    Evicted(usize),
    Streams(usize),
    CloseIdle,
    Warm(usize),
    Time,
}

fn happens() -> impl Strategy<Value = Happens> {
    let pick = 0..64_usize;
    prop_oneof![
        8 => pick.clone().prop_map(Happens::Ask),
        2 => pick.clone().prop_map(Happens::Cancel),
        5 => pick.clone().prop_map(Happens::Dialed),
        2 => pick.clone().prop_map(Happens::DialedTwo),
        1 => pick.clone().prop_map(Happens::DialFailed),
        6 => pick.clone().prop_map(Happens::Released),
        2 => pick.clone().prop_map(Happens::Broke),
        1 => pick.clone().prop_map(Happens::PeerClosed),
        4 => pick.clone().prop_map(Happens::OwnClosed),
        1 => pick.clone().prop_map(Happens::Evicted),
        1 => pick.clone().prop_map(Happens::Streams),
        1 => Just(Happens::CloseIdle),
        1 => pick.prop_map(Happens::Warm),
        1 => Just(Happens::Time),
    ]
}

fn configs() -> impl Strategy<Value = PoolConfig> {
    let idle = prop_oneof![
        Just(MaxIdlePerHost::Never),
        Just(MaxIdlePerHost::AtMost(1)),
        Just(MaxIdlePerHost::Unlimited)
    ];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (0..4_usize, proptest::option::of(0..3_usize), idle, flags).prop_map(
        |(max, max_idle, max_idle_per_host, (oldest, abort, waits, times_out))| PoolConfig {
            max_conns_per_host: NonZeroUsize::new(max),
            max_idle,
            max_idle_per_host,
            reuse_order: if oldest { ReuseOrder::OldestFirst } else { ReuseOrder::NewestFirst },
            on_cancel_dial: if abort { OnCancelDial::Abort } else { OnCancelDial::Keep },
            http2_at_limit: if waits { Http2AtLimit::Wait } else { Http2AtLimit::Grow },
            idle_timeout: times_out.then_some(Duration::from_secs(3)),
            ..config()
        },
    )
}

/// The rig, and who holds what.
struct World {
    rig: Rig,
    config: PoolConfig,
    waiting: Vec<(WaiterId, &'static str)>,
    /// One entry for each exchange.
    held: Vec<ConnId>,
    open: BTreeMap<ConnId, usize>,
    seen: usize,
}

impl World {
    fn new(config: PoolConfig) -> Self {
        let rig = Rig::new(config.clone());
        Self { rig, config, waiting: Vec::new(), held: Vec::new(), open: BTreeMap::new(), seen: 0 }
    }

    fn happen(&mut self, what: Happens) {
        match what {
            Happens::Ask(pick) => {
                let key = KEYS[pick % KEYS.len()];
                let waiter = self.rig.ask(key);
                self.waiting.push((waiter, key));
            }
            Happens::Cancel(pick) => {
                if let Some((waiter, _)) = take(&mut self.waiting, pick) {
                    self.rig.step(Event::Cancelled { waiter });
                    assert!(!self.rig.served.contains_key(&waiter), "{waiter:?} was served after it left");
                }
            }
            Happens::Dialed(pick) => self.dialed(pick, None),
            Happens::DialedTwo(pick) => self.dialed(pick, Some(2)),
            Happens::DialFailed(pick) => {
                if let Some(conn) = pick_of(&self.rig.dialing, pick) {
                    self.rig.dial_failed(conn);
                }
            }
            Happens::Released(pick) => self.release(pick, Ok(())),
            Happens::Broke(pick) => self.release(pick, Err(CloseCause::Exchange)),
            Happens::PeerClosed(pick) => {
                let conns: Vec<_> = self.open.keys().copied().collect();
                if let Some(conn) = pick_of(&conns, pick) {
                    self.rig.closing.retain(|(each, _)| *each != conn);
                    self.gone(conn, CloseCause::Peer);
                }
            }
            Happens::OwnClosed(pick) => {
                if let Some((conn, cause)) = pick_of(&self.rig.closing, pick) {
                    self.rig.closing.retain(|(each, _)| *each != conn);
                    self.gone(conn, cause);
                }
            }
            Happens::Evicted(pick) => {
                let conns: Vec<_> = self.open.keys().copied().collect();
                if let Some(conn) = pick_of(&conns, pick) {
                    self.rig.step(Event::Retired { conn, cause: CloseCause::Evicted });
                }
            }
            Happens::Streams(pick) => {
                let shared: Vec<_> =
                    self.open.iter().filter(|(_, max)| **max > 1).map(|(id, _)| *id).collect();
                if let Some(conn) = pick_of(&shared, pick) {
                    let streams_max = 2 + pick % 3;
                    self.open.insert(conn, streams_max);
                    self.rig.step(Event::StreamsMax { conn, streams_max });
                }
            }
            Happens::CloseIdle => self.rig.step(Event::CloseIdle),
            Happens::Warm(pick) => {
                self.rig.step(Event::Warm { key: KEYS[pick % KEYS.len()], count: pick % 4 });
            }
            Happens::Time => {
                self.rig.later(2);
                self.rig.step(Event::Tick);
            }
        }
        self.note_served();
    }

    fn dialed(&mut self, pick: usize, streams_max: Option<usize>) {
        let Some(conn) = pick_of(&self.rig.dialing, pick) else { return };
        self.open.insert(conn, streams_max.unwrap_or(1));
        let retire_at = pick.is_multiple_of(5).then(|| self.rig.now + Duration::from_secs(5));
        self.rig.dialed(conn, Opened { streams_max, retire_at });
    }

    fn release(&mut self, pick: usize, reuse: Result<(), CloseCause>) {
        if let Some(conn) = take(&mut self.held, pick) {
            self.rig.step(Event::Released { conn, reuse });
        }
    }

    /// A connection's socket is closed; exchanges on it fail, and their releases come too late.
    fn gone(&mut self, conn: ConnId, cause: CloseCause) {
        self.open.remove(&conn);
        let before = self.held.len();
        self.held.retain(|each| *each != conn);
        self.rig.step(Event::Closed { conn, cause });
        for _ in self.held.len()..before {
            self.rig.step(Event::Released { conn, reuse: Err(CloseCause::Peer) });
        }
    }

    fn note_served(&mut self) {
        if self.rig.served.len() == self.seen {
            return;
        }
        self.seen = self.rig.served.len();
        let (served, waiting) = (&self.rig.served, std::mem::take(&mut self.waiting));
        for (waiter, key) in waiting {
            match served.get(&waiter) {
                None => self.waiting.push((waiter, key)),
                Some(Served::By(conn, _)) => {
                    assert_eq!(self.rig.key_of.get(conn), Some(&key), "a connection to another host");
                    self.held.push(*conn);
                }
                Some(Served::Failed(_) | Served::Refused) => {}
            }
        }
    }

    fn check(&self) {
        let (_, hosts) = self.rig.pool.stats();
        for (key, stats) in hosts {
            let is_here = |conn: &ConnId| self.rig.key_of.get(conn) == Some(&key);
            let dialing = self.rig.dialing.iter().filter(|conn| is_here(conn)).count();
            let open: Vec<_> = self.open.keys().filter(|conn| is_here(conn)).collect();
            let waiting = self.waiting.iter().filter(|(_, each)| *each == key).count();
            assert_eq!(stats.dialing, dialing, "{key}");
            assert_eq!(
                stats.idle + stats.active + stats.closing,
                open.len(),
                "{key}: a slot was lost or freed twice"
            );
            assert_eq!(stats.waiting, waiting, "{key}");
            let max = self.config.max_conns_per_host.map_or(usize::MAX, NonZeroUsize::get);
            assert!(stats.open() <= max, "{key}: {} connections at a limit of {max}", stats.open());
            if waiting > 0 {
                assert_eq!(stats.idle, 0, "{key}: somebody waits beside an idle connection");
                let has_slot = stats.open() < max && self.config.http2_at_limit == Http2AtLimit::Grow;
                // A waiter may wait beside a free slot only for the dial that it has begun.
                assert!(!has_slot || waiting <= dialing, "{key}: somebody waits beside a free slot");
            }
            for conn in open {
                let exchanges = self.held.iter().filter(|each| *each == conn).count();
                // The server may have lowered its number under those that are on the way.
                assert!(exchanges <= self.open[conn].max(4), "{conn:?} has {exchanges} exchanges");
            }
        }
    }

    /// Everything comes to its end: dials fail, exchanges end, closing connections close.
    fn wind_down(&mut self) {
        for _ in 0..10_000 {
            if let Some(conn) = self.rig.dialing.first().copied() {
                self.rig.dial_failed(conn);
            } else if !self.held.is_empty() {
                self.release(0, Ok(()));
            } else if let Some((conn, cause)) = self.rig.closing.pop() {
                self.gone(conn, cause);
            } else {
                return;
            }
            self.note_served();
            self.check();
        }
        panic!("it does not end");
    }
}

fn pick_of<T: Copy>(from: &[T], pick: usize) -> Option<T> {
    from.get(pick.checked_rem(from.len())?).copied()
}

fn take<T>(from: &mut Vec<T>, pick: usize) -> Option<T> {
    let index = pick.checked_rem(from.len())?;
    Some(from.swap_remove(index))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 500 } else { 20_000 }))]

    #[test]
    fn no_order_of_events_breaks_a_limit_loses_a_slot_or_forgets_a_waiter(
        config in configs(),
        events in proptest::collection::vec(happens(), 1..120),
    ) {
        let mut world = World::new(config);
        for event in events {
            world.happen(event);
            world.check();
        }
        world.wind_down();
        prop_assert!(world.waiting.is_empty(), "somebody waits for ever: {:?}", world.waiting);
        let stats = world.rig.total();
        prop_assert_eq!(stats.open(), stats.idle);
    }
}

//! What one run is like: sizes, rates and times, all of them drawn from the seed.
//!
//! Fixed rates find little: a bug that needs many crashes and few lost messages is not found where both are as usual. So each run
//! has rates of its own, and many of them are zero.

use std::ops::RangeInclusive;

use fastrand::Rng;

/// Time of the simulation. A tick of a member with a good clock has [`TICK`] of them.
pub(crate) type Time = u64;

/// A tick.
pub(crate) const TICK: Time = 10;

/// Milliseconds of one unit of time, for what counts in real time.
pub(crate) const UNIT_MS: u64 = 10;

/// How long the clients act and faults come.
const LENGTHS: RangeInclusive<Time> = 1_500..=5_000;

/// Something that comes now and then and lasts a while.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spells {
    /// Time between two of them on average; 0 for never.
    pub(crate) pause: Time,
    /// How long one lasts at most.
    pub(crate) len_max: Time,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) members: u64,
    pub(crate) length: Time,
    pub(crate) latency: RangeInclusive<Time>,
    /// Share of messages that are lost, come twice, or come much later.
    pub(crate) drop: f64,
    pub(crate) duplicate: f64,
    pub(crate) straggle: f64,
    /// Share of lost messages of which the sender hears.
    pub(crate) report_lost: f64,
    pub(crate) partitions: Spells,
    /// Share of partitions that cut one direction alone.
    pub(crate) one_way: f64,
    pub(crate) pauses: Spells,
    pub(crate) crashes: Spells,
    /// Share of crashes in which the machine stays up.
    pub(crate) process_crash: f64,
    /// Share of writes after which, or in which, the member crashes at once.
    pub(crate) crash_after_write: f64,
    pub(crate) crash_in_write: f64,
    /// How leadership is asked for elsewhere.
    pub(crate) transfers: Spells,
    /// How votes are taken from members and given back.
    pub(crate) changes: Spells,
    /// Time of one tick of each member.
    pub(crate) ticks: Vec<Time>,
    pub(crate) write: RangeInclusive<Time>,
    pub(crate) apply: RangeInclusive<Time>,
    /// From the thread that did something to the task that hears of it.
    pub(crate) tell: RangeInclusive<Time>,
    pub(crate) image: RangeInclusive<Time>,
    pub(crate) snapshot_entries: u64,
    pub(crate) snapshot_tail: u64,
    pub(crate) segment_len: u64,
    pub(crate) steps_max: usize,
    pub(crate) core_seed: u64,
    pub(crate) election_ticks: usize,
    pub(crate) append_len_max: u64,
    pub(crate) appends_in_flight_max: usize,
    pub(crate) committed_len_max: u64,
    pub(crate) clients: usize,
    pub(crate) lease_clients: usize,
    pub(crate) watchers: usize,
    pub(crate) keys: u64,
    pub(crate) think: RangeInclusive<Time>,
    pub(crate) request_timeout: Time,
    pub(crate) tries_max: u32,
    /// Share of reads among what clients do.
    pub(crate) reads: f64,
    /// Share of tries that go to another member than the one before.
    pub(crate) move_on: f64,
    /// Entries between two comparisons of the stores.
    pub(crate) compare_every: u64,
}

impl Plan {
    /// Draws one.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let members = if rng.bool() { 3 } else { 5 };
        let drift = rng.u64(0..=3);
        Self {
            members,
            length: rng.u64(LENGTHS),
            latency: 1..=pick(rng, &[1, 3, 8, 20]),
            drop: share(rng, 0.2),
            duplicate: share(rng, 0.2),
            straggle: share(rng, 0.1),
            report_lost: share(rng, 1.0),
            partitions: spells(rng, 200..=1_500, &[50, 200, 600]),
            one_way: share(rng, 1.0),
            pauses: spells(rng, 200..=1_500, &[30, 150, 400]),
            crashes: spells(rng, 60..=1_000, &[5, 40, 300]),
            process_crash: share(rng, 1.0),
            crash_after_write: share(rng, 0.2),
            crash_in_write: share(rng, 0.05),
            transfers: spells(rng, 50..=1_000, &[1]),
            changes: spells(rng, 5..=150, &[1]),
            ticks: (0..members).map(|_| rng.u64(TICK - drift..=TICK + drift)).collect(),
            write: 0..=pick(rng, &[0, 2, 10, 40]),
            apply: 0..=pick(rng, &[0, 1, 10, 60]),
            tell: 0..=pick(rng, &[0, 0, 2, 10]),
            image: 1..=pick(rng, &[1, 20, 150]),
            snapshot_entries: pick(rng, &[3, 10, 30, 100_000]),
            snapshot_tail: pick(rng, &[0, 3, 20]),
            segment_len: pick(rng, &[200, 1_000, 8_000]),
            steps_max: pick(rng, &[2, 4, 256]),
            core_seed: rng.u64(..),
            election_ticks: pick(rng, &[5, 10, 10, 15]),
            append_len_max: pick(rng, &[1, 200, 1 << 20]),
            appends_in_flight_max: pick(rng, &[1, 4, 256]),
            committed_len_max: pick(rng, &[1, 200, 4 << 20]),
            clients: rng.usize(2..=6),
            lease_clients: rng.usize(0..=2),
            watchers: rng.usize(0..=2),
            keys: rng.u64(1..=4),
            think: 0..=pick(rng, &[2, 20, 100]),
            request_timeout: pick(rng, &[30, 100, 250]),
            tries_max: pick(rng, &[1, 3, 8]),
            reads: 0.1 + 0.7 * rng.f64(),
            move_on: share(rng, 1.0),
            compare_every: pick(rng, &[1, 8, 8, 16]),
        }
    }

    /// What is left of it when faults are over: a network and disks that do their work.
    pub(crate) fn calm_down(&mut self) {
        self.latency = 1..=3;
        [self.drop, self.duplicate, self.straggle] = [0.0; 3];
        [self.crash_after_write, self.crash_in_write] = [0.0; 2];
        self.write = 0..=2;
        self.apply = 0..=1;
        self.tell = 0..=1;
        self.image = 1..=10;
        // Who asks again and again what is on its way keeps a slow group from ever catching up.
        self.request_timeout = self.request_timeout.max(300);
    }
}

/// One of some values.
fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    // There is always one; the first stands for none.
    rng.choice(of).copied().unwrap_or(of[0])
}

/// A share up to a limit: often none at all, else more often small than large.
fn share(rng: &mut Rng, max: f64) -> f64 {
    if rng.u8(0..3) == 0 { 0.0 } else { max * rng.f64().powi(2) }
}

fn spells(rng: &mut Rng, pauses: RangeInclusive<Time>, len_max: &[Time]) -> Spells {
    let pause = if rng.u8(0..3) == 0 { 0 } else { rng.u64(pauses) };
    Spells { pause, len_max: pick(rng, len_max) }
}

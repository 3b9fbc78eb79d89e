//! Timers that end with their owner: a session's when it closes, the application's when it stops.
//!
//! They run on tokio's clock, so that tests can pause it. A timer that is stopped does not begin again; what it was
//! doing at that moment is not cut in half. Nothing here polls: an idle timer costs one sleeping task.

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::service::{Tasks, TasksEnded, contain};

/// Timers of one session at most.
pub(crate) const SESSION_TIMERS_MAX: usize = 64;
/// Timers of the application itself at most: they are made by its own code, so the bound only stops a leak.
pub(crate) const APP_TIMERS_MAX: usize = 65_536;

/// Longer periods would not fit the clock; nobody waits for them anyway.
const PERIOD_MAX: Duration = Duration::from_secs(86_400 * 365);

/// Why a timer was not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimerError {
    /// The session is closed, or the application is stopping.
    #[error("the owner of the timers is gone")]
    Ended,
    /// The owner has as many timers as it may have.
    #[error("there are {timers_max} timers already")]
    TooMany {
        /// How many it may have.
        timers_max: usize,
    },
    /// The call came from a thread that is not part of a tokio runtime, before the application was started.
    #[error("there is no tokio runtime here")]
    NoRuntime,
    /// A timer that fires every zero seconds would never let anything else run.
    #[error("the period of a timer may not be zero")]
    ZeroPeriod,
}

impl From<TasksEnded> for TimerError {
    fn from(ended: TasksEnded) -> Self {
        match ended {
            TasksEnded::NotStarted => Self::NoRuntime,
            TasksEnded::Ended => Self::Ended,
        }
    }
}

/// Sets timers for their owner: the session (`session.timers()`), or the application (as an argument of a handler).
/// Cloning is cheap and every clone has the same owner.
#[derive(Clone)]
pub struct Timers(Arc<Owner>);

struct Owner {
    timers_max: usize,
    /// Where the application's timers run and are waited for; a session's run on the runtime they are set from.
    tasks: Option<Tasks>,
    set: Mutex<Set>,
}

#[derive(Default)]
struct Set {
    is_over: bool,
    last_id: u64,
    timers: HashMap<u64, Arc<State>, foldhash::fast::RandomState>,
}

struct State {
    is_stopped: AtomicBool,
    stopped: Notify,
}

/// A timer that was set. Dropping it changes nothing; the timer goes on until its owner ends.
#[derive(Debug, Clone)]
pub struct Timer(Weak<State>);

impl Timer {
    /// Stops the timer: it does not fire again. What it is doing now it finishes.
    pub fn stop(&self) {
        if let Some(state) = self.0.upgrade() {
            state.stop();
        }
    }

    /// Whether it may still fire, or is just doing so.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.upgrade().is_some_and(|state| !state.is_stopped())
    }
}

impl State {
    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        // Exactly one task waits, and a permit is kept when it does not wait yet.
        self.stopped.notify_one();
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }
}

impl Timers {
    /// Timers that run on `tasks`, or without it on whichever runtime they are set from.
    pub(crate) fn new(timers_max: usize, tasks: Option<Tasks>) -> Self {
        Self(Arc::new(Owner { timers_max, tasks, set: Mutex::default() }))
    }

    /// Runs `work` once, `delay` from now.
    ///
    /// # Errors
    ///
    /// [`TimerError`] when the owner is gone or has too many timers.
    pub fn after<F, Fut>(&self, delay: Duration, work: F) -> Result<Timer, TimerError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.add(|state| async move {
            tokio::select! {
                biased;
                () = state.stopped.notified() => {}
                () = sleep(delay) => fire(async { work().await }).await,
            }
        })
    }

    /// Runs `work` every `period`, the first time one period from now. When it takes longer than a period, the
    /// firings it missed are left out.
    ///
    /// # Errors
    ///
    /// [`TimerError`] when the period is zero, or the owner is gone or has too many timers.
    pub fn every<F, Fut>(&self, period: Duration, mut work: F) -> Result<Timer, TimerError>
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        if period.is_zero() {
            return Err(TimerError::ZeroPeriod);
        }
        self.add(|state| async move {
            let period = period.min(PERIOD_MAX);
            let mut ticks = interval_at(Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while !state.is_stopped() {
                tokio::select! {
                    biased;
                    () = state.stopped.notified() => break,
                    _ = ticks.tick() => fire(async { work().await }).await,
                }
            }
        })
    }

    /// How many timers are set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().timers.len()
    }

    fn add<Fut>(&self, run: impl FnOnce(Arc<State>) -> Fut) -> Result<Timer, TimerError>
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let state = Arc::new(State { is_stopped: AtomicBool::new(false), stopped: Notify::new() });
        // The entry takes the timer off the list however its task ends: done, refused, or dropped with its runtime.
        let entry = Entry { owner: Arc::downgrade(&self.0), id: self.enter(state.clone())? };
        let timer = Timer(Arc::downgrade(&state));
        let work = run(state);
        let task = async move {
            let _entry = entry;
            work.await;
        };
        match &self.0.tasks {
            Some(tasks) => tasks.spawn(task)?,
            None => drop(Handle::try_current().map_err(|_| TimerError::NoRuntime)?.spawn(task)),
        }
        Ok(timer)
    }

    fn enter(&self, state: Arc<State>) -> Result<u64, TimerError> {
        let mut set = self.lock();
        if set.is_over {
            return Err(TimerError::Ended);
        }
        if set.timers.len() >= self.0.timers_max {
            return Err(TimerError::TooMany { timers_max: self.0.timers_max });
        }
        set.last_id += 1;
        let id = set.last_id;
        set.timers.insert(id, state);
        Ok(id)
    }

    /// Stops every timer and takes no more.
    pub(crate) fn end(&self) {
        let timers = {
            let mut set = self.lock();
            set.is_over = true;
            std::mem::take(&mut set.timers)
        };
        for timer in timers.into_values() {
            timer.stop();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.0.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timers({})", self.count())
    }
}

/// Runs the work of a timer; a panic in it is contained, so that a repeating timer goes on.
async fn fire(work: impl Future<Output = ()>) {
    contain("timer", work).await;
}

/// Takes a timer off its owner's list when its task is gone.
struct Entry {
    owner: Weak<Owner>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.upgrade() {
            Timers(owner).lock().timers.remove(&self.id);
        }
    }
}

/// The timers of a session: a session that has set none holds none.
#[derive(Debug, Default)]
pub(crate) struct TimerSet(OnceLock<Timers>);

impl TimerSet {
    /// The handle by which timers are set.
    pub(crate) fn timers(&self) -> &Timers {
        self.0.get_or_init(|| Timers::new(SESSION_TIMERS_MAX, None))
    }
}

/// However the session lets go of the set, its timers stop.
impl Drop for TimerSet {
    fn drop(&mut self) {
        if let Some(timers) = self.0.get() {
            timers.end();
        }
    }
}

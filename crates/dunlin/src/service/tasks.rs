//! The background tasks of one application: counted, so that none is left behind when it stops.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::FutureExt as _;
use hashbrown::HashMap;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Why a task was not spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TasksEnded {
    /// The application has not been started, and this thread belongs to no runtime.
    NotStarted,
    /// The application is stopping.
    Ended,
}

/// Spawns and counts tasks. Cloning is cheap and every clone is the same set.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The runtime the application was started on.
    runtime: OnceLock<Handle>,
    set: Mutex<Set>,
    all_gone: Notify,
}

#[derive(Default)]
struct Set {
    is_over: bool,
    last_id: u64,
    /// `None` between a task's entry and its spawning.
    running: HashMap<u64, Option<AbortHandle>, foldhash::fast::RandomState>,
}

impl Tasks {
    /// Remembers the runtime this is called on; tasks spawned from elsewhere run there too.
    pub(crate) fn start(&self) {
        if let Ok(handle) = Handle::try_current() {
            // A second start changes nothing.
            self.0.runtime.get_or_init(|| handle);
        }
    }

    /// Spawns a task, unless the set has ended.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), TasksEnded> {
        let runtime = match self.0.runtime.get() {
            Some(handle) => handle.clone(),
            None => Handle::try_current().map_err(|_| TasksEnded::NotStarted)?,
        };
        let entry = Entry { tasks: self.clone(), id: self.enter()? };
        let id = entry.id;
        let handle = runtime.spawn(async move {
            let _entry = entry;
            task.await;
        });
        let mut set = self.lock();
        if set.is_over {
            handle.abort();
        } else if let Some(running) = set.running.get_mut(&id) {
            // It is absent when the task is done already.
            *running = Some(handle.abort_handle());
        }
        Ok(())
    }

    /// How many tasks have not ended.
    pub(crate) fn count(&self) -> usize {
        self.lock().running.len()
    }

    /// Takes no new task, waits for the rest until `deadline`, then aborts what is left and waits for it to be gone.
    /// Returns how many were aborted.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it has stopped new tasks and perhaps not the old ones; call it again.
    pub(crate) async fn end(&self, deadline: Instant) -> usize {
        self.lock().is_over = true;
        if tokio::time::timeout_at(deadline, self.gone()).await.is_ok() {
            return 0;
        }
        let aborted: Vec<_> = self.lock().running.values().flatten().cloned().collect();
        for task in &aborted {
            task.abort();
        }
        self.gone().await;
        aborted.len()
    }

    /// Takes no new task and aborts the rest, without waiting for it to be gone.
    pub(crate) fn abort(&self) {
        let aborted: Vec<_> = {
            let mut set = self.lock();
            set.is_over = true;
            set.running.values().flatten().cloned().collect()
        };
        // Unlocked: a task that is gone takes itself off the list.
        for task in aborted {
            task.abort();
        }
    }

    async fn gone(&self) {
        loop {
            let gone = self.0.all_gone.notified();
            if self.count() == 0 {
                return;
            }
            gone.await;
        }
    }

    fn enter(&self) -> Result<u64, TasksEnded> {
        let mut set = self.lock();
        if set.is_over {
            return Err(TasksEnded::Ended);
        }
        set.last_id += 1;
        let id = set.last_id;
        set.running.insert(id, None);
        Ok(id)
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.0.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tasks({})", self.count())
    }
}

/// Takes a task off the list when it is gone, however it ended.
struct Entry {
    tasks: Tasks,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let is_last = {
            let mut set = self.tasks.lock();
            set.running.remove(&self.id);
            set.running.is_empty()
        };
        if is_last {
            self.tasks.0.all_gone.notify_waiters();
        }
    }
}

/// Runs `work` and keeps a panic in it from ending the task: it is logged, and the answer is `None`.
pub(crate) async fn contain<F: Future>(what: &str, work: F) -> Option<F::Output> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(output) => Some(output),
        Err(panic) => {
            tracing::error!(what, panic = panic_text(&*panic), "a panic was contained");
            None
        }
    }
}

/// The message of a panic, as far as it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "a value that is no text"
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tasks_that_outlast_the_deadline_are_aborted_and_gone() {
        let tasks = Tasks::default();
        tasks.start();
        tasks.spawn(std::future::pending()).unwrap();
        tasks.spawn(tokio::time::sleep(Duration::from_secs(1))).unwrap();
        assert_eq!(tasks.end(Instant::now() + Duration::from_secs(5)).await, 1);
        assert_eq!(tasks.count(), 0);
        assert_eq!(tasks.spawn(async {}), Err(TasksEnded::Ended));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_task_is_not_waited_for_until_the_deadline() {
        let tasks = Tasks::default();
        tasks.spawn(async { panic!("on purpose") }).unwrap();
        let start = Instant::now();
        assert_eq!(tasks.end(start + Duration::from_secs(5)).await, 0);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[test]
    fn without_a_runtime_nothing_is_spawned() {
        assert_eq!(Tasks::default().spawn(async {}), Err(TasksEnded::NotStarted));
    }
}

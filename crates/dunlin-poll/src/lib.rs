//! A `mio::Poll` that a tokio runtime can await: one registration in the runtime stands for thousands of sockets.
//!
//! A tokio task per socket costs about a kilobyte; a socket in a table of one's own costs a few dozen bytes.
//! [`AwaitablePoll`] has both at once: the sockets are registered in a poll of their own, and that poll's
//! descriptor, which becomes readable when any member is ready, is registered in the runtime. Timers, channels
//! and tasks of the same thread stay plain tokio.
//!
//! Knows nothing of sockets' meaning. This crate exists to hold the workspace's only `unsafe` line, in
//! `register.rs`, alone with its proof; every other crate forbids unsafe code.

mod register;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mio::{Events, Registry};
use tokio::io::unix::AsyncFd;

/// The poll whose descriptor the runtime watches. It is never closed or replaced while it is registered.
#[derive(Debug)]
struct OwnedPoll(mio::Poll);

impl AsRawFd for OwnedPoll {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A set of sockets that one task of a tokio runtime waits for.
///
/// Sockets are registered through [`AwaitablePoll::registry`]; as always with mio, readiness is
/// edge-triggered: whoever gets an event reads until a short read or `WouldBlock`, or remembers that it did not.
#[derive(Debug)]
pub struct AwaitablePoll {
    inner: AsyncFd<OwnedPoll>,
}

impl AwaitablePoll {
    /// Makes an empty set and registers it in the current tokio runtime, whose IO driver must be enabled.
    ///
    /// # Errors
    ///
    /// When the operating system gives no descriptor for the set, or the runtime refuses it.
    pub fn new() -> io::Result<Self> {
        let poll = OwnedPoll(mio::Poll::new()?);
        Ok(Self { inner: register::register(poll)? })
    }

    /// Where sockets are registered, re-registered and deregistered.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.inner.get_ref().0.registry()
    }

    /// Fills `events` with what is ready now, at most as many as it has room for, without blocking.
    ///
    /// `Ready(Ok(true))` says that `events` was filled to its capacity, so more may be waiting: take another
    /// turn after letting others run. `Pending` says that nothing is ready; the task is woken when that changes.
    ///
    /// # Errors
    ///
    /// When the operating system refuses the poll, which ends the usefulness of the set.
    pub fn poll_events(&mut self, cx: &mut Context<'_>, events: &mut Events) -> Poll<io::Result<bool>> {
        loop {
            let mut guard = ready!(self.inner.poll_read_ready_mut(cx))?;
            match guard.get_inner_mut().0.poll(events, Some(Duration::ZERO)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Poll::Ready(Err(error)),
            }
            let count = events.iter().count();
            if count >= events.capacity() {
                guard.retain_ready();
                return Poll::Ready(Ok(true));
            }
            // Fewer than there was room for: the set was seen empty, so the next edge sets readiness anew.
            // Clearing before the events are handled, never after, is what loses no wake-up.
            guard.clear_ready();
            if count > 0 {
                return Poll::Ready(Ok(false));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::net::{TcpListener, TcpStream};
    use mio::{Interest, Token};
    use std::io::Write;

    async fn next(poll: &mut AwaitablePoll, events: &mut Events) -> bool {
        std::future::poll_fn(|cx| poll.poll_events(cx, events)).await.unwrap()
    }

    #[tokio::test]
    async fn a_socket_in_the_set_wakes_the_task_that_awaits_the_set() {
        let mut poll = AwaitablePoll::new().unwrap();
        let mut events = Events::with_capacity(8);
        let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        poll.registry().register(&mut listener, Token(7), Interest::READABLE).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!next(&mut poll, &mut events).await);
        assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [Token(7)]);
    }

    #[tokio::test]
    async fn more_ready_sockets_than_room_are_delivered_over_several_turns() {
        let mut poll = AwaitablePoll::new().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut keep = Vec::new();
        for token in 0..5 {
            let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut far, _) = listener.accept().unwrap();
            poll.registry().register(&mut near, Token(token), Interest::READABLE).unwrap();
            far.write_all(b"x").unwrap();
            keep.push((near, far));
        }
        let mut events = Events::with_capacity(2);
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 5 {
            next(&mut poll, &mut events).await;
            seen.extend(events.iter().map(|event| event.token().0));
        }
    }
}

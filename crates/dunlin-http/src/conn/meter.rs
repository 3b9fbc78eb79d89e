//! What is known of a connection from the bytes that pass: the facts behind retries, timers and traces.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;

use crate::body::Progress;
use crate::trace::Trace;

/// Counts the bytes of one connection. The IO alone writes the counters, the exchange reads them.
#[derive(Debug)]
pub(crate) struct Meter {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    flags: AtomicU8,
    /// Beyond so many bytes in, a response that has not begun is too long.
    head_end_max: AtomicU64,
    awaits_head: AtomicBool,
    exchange: AtomicWaker,
    io: AtomicWaker,
    write_error: Mutex<Option<io::Error>>,
    trace: Mutex<Option<Traced>>,
    is_traced: AtomicBool,
}

/// Who is told of an exchange's bytes, and what it was told already: each thing is told once.
#[derive(Debug)]
pub(crate) struct Traced {
    trace: Arc<dyn Trace>,
    upload: Option<Arc<Progress>>,
    has_wrote_headers: bool,
    has_wrote_request: bool,
    has_first_byte: bool,
}

impl Traced {
    pub(crate) fn new(trace: &Arc<dyn Trace>, upload: Option<&Arc<Progress>>) -> Self {
        Self {
            trace: trace.clone(),
            upload: upload.cloned(),
            has_wrote_headers: false,
            has_wrote_request: false,
            has_first_byte: false,
        }
    }
}

const WRITE_BLOCKED: u8 = 1;
const WRITE_BROKEN: u8 = 2;
const KILLED: u8 = 4;
const UPGRADED: u8 = 16;
const READ_END: u8 = 32;
const FLUSH_WATCHED: u8 = 64;

/// Where a connection was when an exchange began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    bytes_in: u64,
    bytes_out: u64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            flags: AtomicU8::new(0),
            head_end_max: AtomicU64::new(u64::MAX),
            awaits_head: AtomicBool::new(false),
            exchange: AtomicWaker::new(),
            io: AtomicWaker::new(),
            write_error: Mutex::new(None),
            trace: Mutex::new(None),
            is_traced: AtomicBool::new(false),
        }
    }

    /// An exchange begins. Its response's head may take `head_max` bytes, all informational responses included.
    /// `watches_flush`: it wants to be woken when what it wrote has left, which costs a turn of its task.
    pub(crate) fn begin(&self, head_max: Option<u64>, watches_flush: bool, traced: Option<Traced>) -> Mark {
        let mark = Mark {
            bytes_in: self.bytes_in.load(Ordering::Acquire),
            bytes_out: self.bytes_out.load(Ordering::Acquire),
        };
        let end_max = head_max.map_or(u64::MAX, |max| mark.bytes_in.saturating_add(max));
        self.head_end_max.store(end_max, Ordering::Release);
        self.awaits_head.store(true, Ordering::Release);
        if watches_flush {
            self.set(FLUSH_WATCHED);
        } else if self.is(FLUSH_WATCHED) {
            self.flags.fetch_and(!FLUSH_WATCHED, Ordering::AcqRel);
        }
        if self.is_traced.load(Ordering::Acquire) || traced.is_some() {
            self.is_traced.store(traced.is_some(), Ordering::Release);
            *self.trace.lock().unwrap_or_else(PoisonError::into_inner) = traced;
        }
        mark
    }

    /// The head of the response is there.
    pub(crate) fn got_head(&self) {
        self.awaits_head.store(false, Ordering::Release);
        self.head_end_max.store(u64::MAX, Ordering::Release);
    }

    /// Whether bytes of the exchange left.
    pub(crate) fn has_sent_since(&self, mark: Mark) -> bool {
        self.bytes_out.load(Ordering::Acquire) != mark.bytes_out
    }

    /// Whether bytes of the response came.
    pub(crate) fn has_received_since(&self, mark: Mark) -> bool {
        self.bytes_in.load(Ordering::Acquire) != mark.bytes_in
    }

    pub(crate) fn is_write_blocked(&self) -> bool {
        self.is(WRITE_BLOCKED)
    }

    /// Whether the peer refuses to be written to. What it says may still be read.
    pub(crate) fn is_write_broken(&self) -> bool {
        self.is(WRITE_BROKEN)
    }

    pub(crate) fn take_write_error(&self) -> Option<io::Error> {
        self.write_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The connection is no longer HTTP's: whoever writes to it now wants to know that it cannot.
    pub(crate) fn upgraded(&self) {
        self.set(UPGRADED);
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.is(UPGRADED)
    }

    /// Has the exchange woken by what the IO notices.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        self.exchange.register(cx.waker());
    }

    /// Has the exchange look again at what is not in here.
    pub(crate) fn wake_exchange(&self) {
        self.exchange.wake();
    }

    /// Makes every further read and write fail.
    pub(crate) fn kill(&self) {
        self.set(KILLED);
        self.io.wake();
    }

    pub(super) fn is_killed(&self) -> bool {
        self.is(KILLED)
    }

    /// Has the IO woken when it is killed.
    pub(super) fn watch_for_kill(&self, cx: &Context<'_>) {
        self.io.register(cx.waker());
    }

    /// Bytes came. `false`: a head that is not there yet has become too long.
    pub(super) fn read(&self, len: u64) -> bool {
        let before = self.bytes_in.load(Ordering::Relaxed);
        self.bytes_in.store(before + len, Ordering::Release);
        if self.is_traced.load(Ordering::Acquire) {
            self.trace_read();
        }
        // Only what was there before counts: what hyper reads beyond a head is its one read-ahead.
        before <= self.head_end_max.load(Ordering::Acquire)
    }

    /// Whether a response is awaited whose head is not there.
    pub(super) fn awaits_head(&self) -> bool {
        self.awaits_head.load(Ordering::Acquire)
    }

    /// The peer sends no more.
    pub(super) fn read_end(&self) {
        self.set(READ_END);
    }

    pub(super) fn has_read_end(&self) -> bool {
        self.is(READ_END)
    }

    pub(super) fn wrote(&self, len: u64) {
        self.bytes_out.store(self.bytes_out.load(Ordering::Relaxed) + len, Ordering::Release);
        if self.is(WRITE_BLOCKED) {
            self.flags.fetch_and(!WRITE_BLOCKED, Ordering::AcqRel);
        }
    }

    pub(super) fn write_blocked(&self) {
        self.set(WRITE_BLOCKED);
    }

    pub(super) fn write_broke(&self, error: io::Error) {
        self.write_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.set(WRITE_BROKEN);
    }

    pub(super) fn flushed(&self) {
        if self.is(FLUSH_WATCHED) {
            self.exchange.wake();
        }
        if self.is_traced.load(Ordering::Acquire) {
            self.trace_flush();
        }
    }

    /// Whether a trace that wants to know has not been told that the request was written. It will not be after this.
    pub(crate) fn ends_unwritten(&self) -> bool {
        let mut traced = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unwritten = |traced: &mut Traced| !std::mem::replace(&mut traced.has_wrote_request, true);
        traced.as_mut().is_some_and(is_unwritten)
    }

    fn trace_read(&self) {
        let mut traced = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(traced_now) = traced.as_mut() else { return };
        let is_first = !std::mem::replace(&mut traced_now.has_first_byte, true);
        let trace = traced_now.trace.clone();
        drop(traced);
        if is_first {
            trace.got_first_response_byte();
        }
    }

    fn trace_flush(&self) {
        let mut traced = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(traced_now) = traced.as_mut() else { return };
        let has_ended = traced_now.upload.as_deref().is_none_or(Progress::has_ended);
        let is_head = !std::mem::replace(&mut traced_now.has_wrote_headers, true);
        let is_request = has_ended && !std::mem::replace(&mut traced_now.has_wrote_request, true);
        let trace = traced_now.trace.clone();
        drop(traced);
        if is_head {
            trace.wrote_headers();
        }
        if is_request {
            trace.wrote_request(Ok(()));
        }
    }

    fn is(&self, flag: u8) -> bool {
        self.flags.load(Ordering::Acquire) & flag != 0
    }

    fn set(&self, flag: u8) {
        self.flags.fetch_or(flag, Ordering::AcqRel);
    }
}

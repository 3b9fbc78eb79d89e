//! Writing: what the socket takes at once, what is kept for it, and what happens when it takes nothing for ever.

use std::io;

use dunlin_wire::Millis;

use super::super::SlotKey;
use super::super::net::{Conn, Net};
use super::Shop;
use super::table::Unsent;
use crate::session::CloseReason;

impl<N: Net> Shop<N> {
    /// Writes as much as the socket takes and keeps the rest.
    pub(super) fn write(&mut self, key: SlotKey, now: Millis, bytes: &[u8]) {
        let Some(slot) = self.table.get_mut(key) else { return };
        if let Some(unsent) = slot.unsent.as_mut() {
            unsent.bytes.extend_from_slice(bytes);
            return;
        }
        let written = match write_all_now(&mut slot.conn, bytes) {
            Ok(written) => written,
            Err(error) => return self.lose(key, now, &error),
        };
        let left = bytes.get(written..).unwrap_or_default();
        if !left.is_empty() || slot.conn.holds_back() {
            self.block(key, now, left);
        }
    }

    /// Keeps what the socket did not take and waits for room.
    pub(super) fn block(&mut self, key: SlotKey, now: Millis, left: &[u8]) {
        let Some(slot) = self.table.get_mut(key) else { return };
        slot.unsent = Some(Box::new(Unsent { bytes: left.to_vec(), at: 0, progress_at: now }));
        if let Some(session) = slot.agent.session() {
            session.set_unsent(left.len());
        }
        if let Err(error) = self.net.watch_writable(&mut slot.conn, key, true) {
            return self.lose(key, now, &error);
        }
        let stalled_ms = now.0.saturating_add(self.shard.app.gate.write_timeout_ms);
        self.arm_no_later(key, stalled_ms);
    }

    /// The socket has room again: what was kept goes out, then what the session has queued since.
    pub(super) fn write_unsent(&mut self, key: SlotKey, now: Millis) {
        let Some(slot) = self.table.get_mut(key) else { return };
        let Some(unsent) = slot.unsent.as_mut() else { return };
        let rest = unsent.bytes.get(unsent.at..).unwrap_or_default();
        let (is_flushed, written) = match flush_and_write(&mut slot.conn, rest) {
            Ok(progress) => progress,
            Err(error) => return self.lose(key, now, &error),
        };
        if is_flushed || written > 0 {
            unsent.at += written;
            unsent.progress_at = now;
            slot.agent.handle_write_progress(now);
        }
        let left = unsent.bytes.len() - unsent.at;
        if let Some(session) = slot.agent.session() {
            session.set_unsent(left);
        }
        if left > 0 || slot.conn.holds_back() {
            return;
        }
        slot.unsent = None;
        if let Err(error) = self.net.watch_writable(&mut slot.conn, key, false) {
            return self.lose(key, now, &error);
        }
        if let Some(session) = slot.agent.session() {
            // What was queued while the socket was full has nobody else to announce it.
            session.raise_dirty();
        }
        self.step(key, now, |agent, fx| agent.handle_leftover(fx));
    }

    fn lose(&mut self, key: SlotKey, now: Millis, error: &io::Error) {
        tracing::debug!(%error, "a connection was lost while writing");
        self.step(key, now, |agent, fx| agent.vanish(&CloseReason::ByClient, fx));
    }
}

/// Sends what the connection holds back, and then of `bytes` what fits; tells whether any of the former went, and how
/// much of the latter.
fn flush_and_write(conn: &mut impl Conn, bytes: &[u8]) -> io::Result<(bool, usize)> {
    let is_flushed = conn.flush()?;
    Ok((is_flushed, write_all_now(conn, bytes)?))
}

/// Writes until everything is taken or nothing more fits; the count is what was taken.
fn write_all_now(conn: &mut impl Conn, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match conn.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => written += len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

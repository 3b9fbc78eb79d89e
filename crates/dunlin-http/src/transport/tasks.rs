//! The tasks of a transport: a dial, and the sweeper of idle connections. They end when the transport is dropped.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::shared::Shared;
use crate::conn::{Conn, ConnInfo, Home, open};
use crate::dial::Order;
use crate::error::{Error, ErrorKind};
use crate::limits::LIFETIME_JITTER_PART;
use crate::pool::ConnId;

/// Makes a connection and gives it to the pool.
///
/// A dial that is dropped before its end, even before its begin, says so.
pub(super) fn dial(shared: Weak<Shared>, id: ConnId, order: Order) -> impl Future<Output = ()> + Send {
    let unfinished = Unfinished { shared: shared.clone(), id, is_finished: false };
    run_dial(shared, id, order, unfinished)
}

async fn run_dial(shared: Weak<Shared>, id: ConnId, order: Order, mut unfinished: Unfinished) {
    let Some((dialer, settings)) =
        shared.upgrade().map(|shared| (shared.dialer.clone(), shared.settings.clone()))
    else {
        return;
    };
    let key = order.key.clone();
    let opened = async {
        let made = dialer.establish(order, &settings).await?;
        let info = ConnInfo {
            id: id.number(),
            key,
            protocol: made.protocol,
            local_addr: made.connection.local_addr,
            remote_addr: made.connection.remote_addr,
            opened_at: Instant::now(),
        };
        let conn = Arc::new(Conn::new(id, info));
        let home: Weak<dyn Home> = shared.clone();
        let sender = open(made.connection.io, &conn, home, &settings).await?;
        Ok((conn, sender))
    };
    let opened = opened.await;
    unfinished.is_finished = true;
    let Some(shared) = shared.upgrade() else { return };
    match opened {
        Ok((conn, sender)) => {
            let retire_at = settings.max_lifetime.and_then(|lifetime| {
                let jitter = lifetime / LIFETIME_JITTER_PART;
                Instant::now().checked_add(lifetime.saturating_sub(jitter.mul_f64(fastrand::f64())))
            });
            shared.dialed(conn, sender, retire_at);
        }
        Err(error) => shared.dial_failed(id, error),
    }
}

struct Unfinished {
    shared: Weak<Shared>,
    id: ConnId,
    is_finished: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let (false, Some(shared)) = (self.is_finished, self.shared.upgrade()) {
            shared.dial_failed(self.id, Error::new(ErrorKind::Cancelled));
        }
    }
}

/// Closes idle connections when they are due, until there are none. `earlier`: one is due before that.
pub(super) fn sweep(
    shared: Weak<Shared>,
    earlier: Arc<Notify>,
    first: Instant,
) -> impl Future<Output = ()> + Send {
    let ending = Ending { shared: shared.clone(), is_told: false };
    run_sweep(shared, earlier, first, ending)
}

async fn run_sweep(shared: Weak<Shared>, earlier: Arc<Notify>, first: Instant, mut ending: Ending) {
    let mut next = first;
    loop {
        tokio::select! {
            () = sleep_until(next) => {}
            () = earlier.notified() => {}
        }
        let Some(shared) = shared.upgrade() else { return };
        match shared.tick() {
            Some(at) => next = at,
            None => {
                ending.is_told = true;
                return;
            }
        }
    }
}

/// A sweeper that is dropped makes room for the next one.
struct Ending {
    shared: Weak<Shared>,
    is_told: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let (false, Some(shared)) = (self.is_told, self.shared.upgrade()) {
            shared.lock().sweeps_at = None;
        }
    }
}

//! The task of a client: runs one connection after another until the client is closed for good.
//!
//! Invariant: when it ends, whichever way, the state says [`State::Closed`](crate::State::Closed).

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::connect::Connector;
use crate::connection::Connection;
use crate::error::{ConnectError, RequestError};
use crate::reconnect::Reconnect;
use crate::shared::{Command, Request, Shared};
use crate::state::{CloseReason, State};

/// The task of a client.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) connector: Connector,
    pub(crate) reconnect: Option<Reconnect>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) shared: Arc<Shared>,
}

impl Driver {
    /// Makes a connection the client's current one.
    pub(crate) fn announce(shared: &Shared, connection: &Connection, number: u64) {
        shared.set_handshake(connection.handshake());
        shared.set_round_trip(connection.handshake_round_trip());
        shared.state.send_replace(State::Connected { connection: number });
    }

    /// Runs the client from its first connection, announced before, to its end.
    pub(crate) async fn run(mut self, first: Connection) {
        let reason = self.run_connections(first).await;
        tracing::debug!(%reason, "client is closed");
        self.shared.close(reason);
        // Requests still queued are dropped with the queue, and their handles find the reason in the state.
    }

    async fn run_connections(&mut self, first: Connection) -> CloseReason {
        let mut connection = first;
        let mut number = 1;
        let mut attempt = 0;
        loop {
            let since = Instant::now();
            let reason = connection.run(&mut self.commands, &self.shared).await;
            let Some(policy) = self.reconnect.filter(|_| reason.is_retryable()) else { return reason };
            if policy.is_success(since.elapsed()) {
                attempt = 0;
            }
            tracing::debug!(%reason, "connection was dropped");
            connection = match self.come_back(policy, reason, &mut attempt).await {
                Ok(connection) => connection,
                Err(reason) => return reason,
            };
            number += 1;
            Self::announce(&self.shared, &connection, number);
        }
    }

    /// Tries to connect until it succeeds or there is no sense in trying.
    async fn come_back(
        &mut self,
        policy: Reconnect,
        dropped: CloseReason,
        attempt: &mut u32,
    ) -> Result<Connection, CloseReason> {
        let mut last_error: Option<ConnectError> = None;
        loop {
            let Some(delay) = policy.delay_after(&dropped, *attempt, fastrand::f64()) else {
                return Err(match last_error {
                    Some(error) => CloseReason::from_connect(error, *attempt),
                    None => dropped,
                });
            };
            *attempt = attempt.saturating_add(1);
            let reason = dropped.clone();
            self.shared.state.send_replace(State::Reconnecting { reason, attempt: *attempt, delay });
            let connector = &self.connector;
            // Boxed, so that the task of a connection that stands does not carry the room for making one.
            let trying = Box::pin(async {
                tokio::time::sleep(delay).await;
                connector.connect().await
            });
            match refuse_commands_during(trying, &mut self.commands, &self.shared).await {
                None => return Err(CloseReason::ByUs),
                Some(Ok(connection)) => return Ok(connection),
                Some(Err(error)) if error.is_retryable() => {
                    tracing::debug!(%error, attempt = *attempt, "try to reconnect failed");
                    last_error = Some(error);
                }
                Some(Err(error)) => return Err(CloseReason::from_connect(error, *attempt)),
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Has an effect only when the task did not end by itself.
        self.shared.close(CloseReason::RuntimeGone);
    }
}

/// Waits for `future`, and meanwhile answers each request that there is no connection; `None` when the client was closed first.
async fn refuse_commands_during<T>(
    mut future: Pin<Box<impl Future<Output = T>>>,
    commands: &mut mpsc::Receiver<Command>,
    shared: &Shared,
) -> Option<T> {
    loop {
        tokio::select! {
            output = &mut future => return Some(output),
            () = shared.close_asked.notified() => return None,
            Some(command) = commands.recv() => match command {
                // Whoever cancelled does not want to know.
                Command::Request(Request { reply, .. }) => {
                    reply.send(Err(RequestError::NotConnected)).ok();
                }
                Command::Notify { route, .. } => {
                    tracing::debug!(%route, "notification was not sent: not connected");
                }
            },
        }
    }
}

//! The slow client: a bot that stops reading. Its gate ends it as too slow, and nobody else notices; then it comes back.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use dunlin::{CloseReason, Node, Session};
use dunlin_client::Client;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::time::{Instant, interval, sleep, timeout};

use super::bots;
use super::messages::Flood;
use super::swimmer::Swimmer;
use super::valve::{Valve, Valved};

/// What its kernel holds for it: little, so that it is soon behind.
const RECEIVE_BUFFER_LEN: u32 = 8 * 1024;

/// One push of what it does not read, and how often there is one: what the kernel holds for the gate is soon full as well.
const WATER_LEN: usize = 32 * 1024;
const WATER_EVERY: Duration = Duration::from_millis(10);

/// After this it was not slow enough, which would be a bug.
const FLOOD_TIMEOUT: Duration = Duration::from_secs(20);

/// How long it swims before it stops reading, and after it has come back.
const SWIM_FIRST: Duration = Duration::from_millis(800);
const SWIM_AFTER: Duration = Duration::from_secs(8);
const STROKE: Duration = Duration::from_millis(120);

/// The slow client in the pond.
pub(super) struct Slow {
    client: Client,
    valve: Valve,
    session: String,
    swimmer: Swimmer,
}

impl Slow {
    /// Comes into the pond at a gate.
    ///
    /// # Errors
    ///
    /// When the gate does not let it in.
    pub(super) async fn enter(gate: SocketAddr) -> anyhow::Result<Self> {
        let socket = if gate.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_recv_buffer_size(RECEIVE_BUFFER_LEN)?;
        let valve = Valve::default();
        let stream = Valved { stream: socket.connect(gate).await?, valve: valve.clone() };
        let client = Client::builder(&format!("tcp://{gate}")).connect_over(stream).await?;
        let swimmer = Swimmer::new(fastrand::f64);
        let session = bots::enter(&client, &swimmer).await?.session;
        Ok(Self { client, valve, session, swimmer })
    }

    /// Swims for a while.
    async fn swim(&mut self, time: Duration) {
        let mut strokes = interval(STROKE);
        let swimming = async {
            loop {
                strokes.tick().await;
                self.swimmer.swim(STROKE.as_secs_f64(), fastrand::f64());
                // If it has ended there is nothing more to swim for.
                self.client.notify("Pond.swim", &self.swimmer.spot()).await.ok();
            }
        };
        timeout(time, swimming).await.unwrap_or(());
    }

    /// Stops reading while its node pushes, until it is ended; says how long that took, and what was pushed.
    ///
    /// # Errors
    ///
    /// When the node does not know it, or does not end it.
    pub(super) async fn stop_reading(mut self, node: &Node) -> anyhow::Result<(Duration, usize)> {
        self.swim(SWIM_FIRST).await;
        let members = node.groups().group("pond").members();
        let session = members.into_iter().find(|member| member.id().to_string() == self.session);
        let session = session.context("the node does not know it")?;
        let (tell, ended) = oneshot::channel();
        // Whoever waited may have given up.
        session.on_close(move |_, reason| drop(tell.send(reason.clone())))?;
        self.valve.shut();
        let begin = Instant::now();
        let flooded = timeout(FLOOD_TIMEOUT, flood(&session)).await.context("it was not ended")?;
        let took = begin.elapsed();
        self.valve.open();
        self.client.closed().await;
        match ended.await? {
            CloseReason::TooSlow => Ok((took, flooded)),
            // Another button may have taken its node away.
            other => anyhow::bail!("it ended first: {other}"),
        }
    }

    /// Swims some seconds more, and leaves.
    pub(super) async fn swim_on(mut self) {
        self.swim(SWIM_AFTER).await;
        self.client.close().await;
    }
}

/// Pushes to a session until it is over.
async fn flood(session: &Session) -> usize {
    let water = Flood { water: "~".repeat(WATER_LEN) };
    let mut flooded = 0;
    while !session.is_closed() {
        if session.push(&water).is_ok() {
            flooded += WATER_LEN;
        }
        sleep(WATER_EVERY).await;
    }
    flooded
}

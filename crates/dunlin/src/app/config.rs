//! Limits and times of the gate, each with its default and its reason.

use std::time::Duration;

use dunlin_wire::ws::{OriginPolicy, WsLimits};

use crate::edge::{AcceptLimits, FloodLimit};
use crate::session::SendQueue;

/// Descriptors that clients never get, an eighth of all within these bounds: the process also has links to other nodes, files
/// and listeners, and what it cannot do without must not depend on who was first.
const DESCRIPTORS_KEPT_MIN: u64 = 32;
const DESCRIPTORS_KEPT_MAX: u64 = 1024;

/// Limits and times of the gate. Change what you need with [`App::configure`](crate::App::configure).
///
/// ```
/// # use std::time::Duration;
/// let app = dunlin::App::new().configure(|gate| {
///     gate.heartbeat_interval = Duration::from_secs(10);
///     gate.connections_per_address_max = Some(100);
/// });
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GateConfig {
    /// Shards, each a thread with its own connections. 0, the default, is one for each core.
    pub shards: usize,
    /// This node's number in session ids, 0 to 1023. Default 0.
    pub node: u16,
    /// How often a heartbeat is sent; a client unheard of for two and a half intervals is closed. Whole seconds are announced
    /// to clients, at least one. Default 30 s.
    pub heartbeat_interval: Duration,
    /// First byte, upgrade, handshake and acknowledgement together. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a handler may take before its request is answered with a timeout. Default 10 s.
    pub request_timeout: Duration,
    /// How long a socket may take nothing of what waits for it. Default 10 s.
    pub write_timeout: Duration,
    /// How long a connection that was ended may take to go. Default 2 s.
    pub linger: Duration,
    /// How long services may take to start. Default 60 s.
    pub start_timeout: Duration,
    /// How long running requests and services may take when the server stops. Default 10 s.
    pub stop_timeout: Duration,
    /// Over how long clients are told to go when the server stops, some at a time, so that they do not all come to another one at once;
    /// at most half of `stop_timeout`. A few hundred go at once. Default 5 s.
    pub drain_window: Duration,
    /// The longest packet body taken from a client. Default 64 KiB.
    pub packet_body_in_max: usize,
    /// The longest packet body sent. Default and most 16 MiB - 1.
    pub packet_body_out_max: usize,
    /// The longest body after inflating a compressed one. Default 256 KiB.
    pub inflated_len_max: usize,
    /// Bodies from this length on are compressed for clients that take it. Default `None`, never.
    pub compress_from: Option<usize>,
    /// Messages of one session that may be started or waiting; beyond it the client is not read. Default 128.
    pub unanswered_max: u16,
    /// Messages taken from one connection in a second, its heartbeats and pings included. Over it the connection is not
    /// read until it may speak again, and closed when that went on for ten seconds. Default 1,000; `None` is no limit.
    pub messages_per_second_max: Option<u32>,
    /// Messages that one connection may send at once before that. Default 2,000.
    pub messages_burst_max: u32,
    /// What may wait to be written to one client.
    pub send_queue: SendQueue,
    /// The only path WebSockets are taken at. Default `None`, every path.
    pub websocket_path: Option<String>,
    /// Whose pages may open WebSockets. Default: those served by the same host.
    pub origin: OriginPolicy,
    /// Limits of WebSocket framing.
    pub websocket: WsLimits,
    /// Connections in total. Default `None`: as many as there are descriptors, less some for everything else.
    pub connections_max: Option<usize>,
    /// Connections from one address of the internet; a whole /64 counts as one address in IPv6. Default 1,000; `None` is no
    /// limit.
    pub connections_per_address_max: Option<u32>,
    /// The same for one address of this machine or of a private network, where proxies are. Default `None`, no limit.
    pub connections_per_private_address_max: Option<u32>,
    /// Connections accepted in one second. Default 2,000; `None` is no limit.
    pub accepts_per_second_max: Option<u32>,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            shards: 0,
            node: 0,
            heartbeat_interval: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(10),
            drain_window: Duration::from_secs(5),
            packet_body_in_max: dunlin_wire::PACKET_BODY_LEN_IN_DEFAULT,
            packet_body_out_max: dunlin_wire::PACKET_BODY_LEN_MAX,
            inflated_len_max: dunlin_wire::INFLATED_LEN_MAX_DEFAULT,
            compress_from: None,
            unanswered_max: 128,
            messages_per_second_max: Some(1_000),
            messages_burst_max: 2_000,
            send_queue: SendQueue::default(),
            websocket_path: None,
            origin: OriginPolicy::SameHost,
            websocket: WsLimits::DEFAULT,
            connections_max: None,
            connections_per_address_max: Some(1_000),
            connections_per_private_address_max: None,
            accepts_per_second_max: Some(2_000),
        }
    }
}

impl GateConfig {
    /// How many shards there will be.
    pub(crate) fn shard_count(&self) -> usize {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        }
    }

    /// Turns off what holds strangers back: how fast connections come, how many one address has, and how fast each
    /// speaks. For load tests, whose clients are one's own and all at one address.
    ///
    /// ```
    /// let app = dunlin::App::new().configure(dunlin::GateConfig::trust_clients);
    /// ```
    pub fn trust_clients(&mut self) {
        self.messages_per_second_max = None;
        self.connections_per_address_max = None;
        self.connections_per_private_address_max = None;
        self.accepts_per_second_max = None;
    }

    /// The limits on what comes in, for a process that may have so many descriptors.
    pub(crate) fn accept_limits(&self, descriptors_max: Option<u64>) -> AcceptLimits {
        let by_descriptors = descriptors_max.and_then(|max| {
            let kept = (max / 8).clamp(DESCRIPTORS_KEPT_MIN, DESCRIPTORS_KEPT_MAX);
            usize::try_from(max.saturating_sub(kept)).ok()
        });
        AcceptLimits {
            connections_max: self.connections_max.or(by_descriptors),
            connections_per_address_max: self.connections_per_address_max,
            connections_per_private_address_max: self.connections_per_private_address_max,
            accepts_per_second_max: self.accepts_per_second_max,
        }
    }
}

/// The same, in the units the edge counts in.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) heartbeat_interval_ms: u64,
    pub(crate) handshake_timeout_ms: u64,
    pub(crate) write_timeout_ms: u64,
    pub(crate) linger_ms: u64,
    pub(crate) drain_window_ms: u64,
    pub(crate) request_timeout: Duration,
    pub(crate) packet_body_in_max: usize,
    pub(crate) packet_body_out_max: usize,
    pub(crate) inflated_len_max: usize,
    pub(crate) compress_from: Option<usize>,
    pub(crate) unanswered_max: u16,
    pub(crate) flood: FloodLimit,
    pub(crate) send_queue: SendQueue,
    pub(crate) websocket_path: Option<String>,
    pub(crate) origin: OriginPolicy,
    pub(crate) ws_limits: WsLimits,
}

impl Gate {
    pub(crate) fn new(config: &GateConfig) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            heartbeat_interval_ms: ms(config.heartbeat_interval),
            handshake_timeout_ms: ms(config.handshake_timeout),
            write_timeout_ms: ms(config.write_timeout),
            linger_ms: ms(config.linger),
            drain_window_ms: ms(config.drain_window),
            request_timeout: config.request_timeout,
            packet_body_in_max: config.packet_body_in_max.min(dunlin_wire::PACKET_BODY_LEN_MAX),
            packet_body_out_max: config.packet_body_out_max.min(dunlin_wire::PACKET_BODY_LEN_MAX),
            inflated_len_max: config.inflated_len_max,
            compress_from: config.compress_from,
            unanswered_max: config.unanswered_max.max(1),
            flood: FloodLimit::new(config.messages_per_second_max, config.messages_burst_max),
            send_queue: config.send_queue,
            websocket_path: config.websocket_path.clone(),
            origin: config.origin.clone(),
            ws_limits: config.websocket,
        }
    }

    /// Within which time clients that are sent away are to come back elsewhere: a second at least, so that few of them come together.
    pub(crate) fn come_back_ms(&self) -> u64 {
        self.drain_window_ms.max(1_000)
    }

    /// The heartbeat as clients are told it: whole seconds, at least one, since some turn theirs off below that.
    pub(crate) fn heartbeat_secs(&self) -> u32 {
        u32::try_from(self.heartbeat_interval_ms / 1000).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_get_the_last_descriptors_unless_it_is_asked_for() {
        let mut gate = GateConfig::default();
        let max = |gate: &GateConfig, descriptors| gate.accept_limits(descriptors).connections_max;
        assert_eq!(max(&gate, Some(1024)), Some(896));
        assert_eq!(max(&gate, Some(1 << 20)), Some((1 << 20) - 1024));
        assert_eq!(max(&gate, Some(20)), Some(0));
        assert_eq!(max(&gate, None), None);
        gate.connections_max = Some(5000);
        assert_eq!(max(&gate, Some(1024)), Some(5000));
    }
}

//! From settings to an application that can be started, and what does not fit together in them.

use std::fmt;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::time::Duration;

use dunlin::service::{MeterLayer, RateLimit, TraceLayer};
use dunlin::{
    App, ClusterConfig, GateConfig, Listen, OriginPolicy, SendQueue, Timing, TlsConfig, TlsFiles, VoterConfig,
};
use dunlin_admin::{AdminConfig, Token};
use tracing_subscriber::EnvFilter;

use super::sections::{AdminSection, ClientsSection, ClusterSection, Config, WhenFull};
use super::tokens;

/// What `admin.listen` is when there is to be no port.
const OFF: &str = "off";

/// The name of a node on a machine without one.
const NAMELESS: &str = "node";

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) key: &'static str,
    pub(crate) said: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.said)
    }
}

/// An application that can be started.
pub(crate) struct Ready {
    pub(crate) app: App,
    pub(crate) name: String,
    /// How it is to be in a cluster, if it is.
    pub(crate) cluster: Option<ClusterConfig>,
    /// How often a session may call.
    pub(crate) limit: RateLimit,
}

impl Config {
    /// What people call the node.
    pub(crate) fn name(&self) -> String {
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.node.name.clone().unwrap_or_else(|| {
            Some(host()).filter(|name| !name.is_empty()).unwrap_or_else(|| NAMELESS.to_owned())
        })
    }
}

impl AdminSection {
    /// How the port is served, unless there is to be none.
    pub(crate) fn config(&self) -> Result<Option<AdminConfig>, dunlin_admin::AdminError> {
        if self.listen == OFF {
            return Ok(None);
        }
        let mut config = AdminConfig::new(&self.listen);
        if let Some(tls) = &self.tls {
            config = config.tls(TlsFiles::new(&tls.certificate, &tls.key));
        }
        if let Some(authority) = &self.authority {
            config = config.authority(authority);
        }
        Ok(Some(match &self.token_file {
            Some(path) => config.token(Token::from_file(path)?),
            None => config,
        }))
    }
}

/// Makes an application ready. What [`problems`] finds is not looked for again.
///
/// # Errors
///
/// When the keys of tokens cannot be read.
pub(crate) fn apply(config: &Config, app: App) -> anyhow::Result<Ready> {
    let name = config.name();
    let limit = RateLimit::per_session(1, Duration::from_secs(1));
    limit.set_calls(config.clients.calls_per_second_max.0);
    let app = match &config.node.services {
        Some(services) => app.only(services.iter().map(String::as_str)),
        None => app,
    };
    let mut app = app.layer(MeterLayer::new(name.clone())).layer(limit.clone());
    app = app.configure(|gate| {
        gate.start_timeout = config.node.start_timeout.0;
        gate.stop_timeout = config.node.stop_timeout.0;
        gate.shards = config.node.shards;
        set_gate(&config.clients, gate);
    });
    for addr in &config.clients.listen {
        let listen = match &config.clients.tls {
            Some(tls) => Listen::tls(addr, TlsFiles::new(&tls.certificate, &tls.key)),
            None => Listen::plain(addr),
        };
        app = app.listen(listen.proxy_protocol(&config.clients.proxies));
    }
    if let Some(jwt) = &config.clients.jwt {
        app = tokens::check(app, jwt)?;
    }
    if config.log.traces.is_some() {
        app = app.layer(TraceLayer);
    }
    let cluster = config.cluster.listen.as_deref().map(|listen| cluster(&name, listen, &config.cluster));
    Ok(Ready { app, name, cluster, limit })
}

fn set_gate(clients: &ClientsSection, gate: &mut GateConfig) {
    gate.heartbeat_interval = clients.heartbeat_interval.0;
    gate.handshake_timeout = clients.handshake_timeout.0;
    gate.request_timeout = clients.request_timeout.0;
    gate.write_timeout = clients.write_timeout.0;
    gate.linger = clients.linger.0;
    gate.drain_window = clients.drain_window.0;
    gate.packet_body_in_max = clients.packet_body_in_max.len();
    gate.packet_body_out_max = clients.packet_body_out_max.len();
    gate.inflated_len_max = clients.inflated_len_max.len();
    gate.compress_from = clients.compress_from.map(super::units::Size::len);
    gate.unanswered_max = clients.unanswered_max;
    gate.send_queue = SendQueue {
        bytes_max: clients.send_queue_bytes_max,
        packets_max: clients.send_queue_packets_max,
        when_full: match clients.send_queue_when_full {
            WhenFull::Disconnect => dunlin::WhenFull::Disconnect,
            WhenFull::DropOldest => dunlin::WhenFull::DropOldest,
            WhenFull::DropNewest => dunlin::WhenFull::DropNewest,
            WhenFull::Coalesce => dunlin::WhenFull::Coalesce,
        },
    };
    gate.websocket_path.clone_from(&clients.websocket_path);
    gate.origin = match &*clients.origins {
        [] => OriginPolicy::SameHost,
        origins if origins.iter().any(|origin| origin == "*") => OriginPolicy::Any,
        origins => OriginPolicy::List(origins.to_vec()),
    };
    gate.connections_max = clients.connections_max;
    gate.connections_per_address_max = clients.connections_per_address_max.0;
    gate.connections_per_private_address_max = clients.connections_per_private_address_max.0;
    gate.accepts_per_second_max = clients.accepts_per_second_max.0;
    gate.messages_per_second_max = clients.messages_per_second_max.0;
    gate.messages_burst_max = clients.messages_burst_max;
}

fn cluster(name: &str, listen: &str, section: &ClusterSection) -> ClusterConfig {
    let voters = section.voters.iter().filter_map(|(id, url)| Some((id.parse().ok()?, url.as_str())));
    let mut config = ClusterConfig::new(name, listen).voters(voters);
    config.advertise.clone_from(&section.advertise);
    config.cluster.clone_from(&section.name);
    config.labels.clone_from(&section.labels);
    config.nano_master.clone_from(&section.nano_master);
    config.nano_heartbeat = section.nano_heartbeat.0;
    config.timing = Timing {
        heartbeat: section.timing.heartbeat.0,
        silence_max: section.timing.silence_max.0,
        comeback: section.timing.comeback.0,
        lease_ttl: section.timing.lease_ttl.0,
        join_timeout: section.timing.join_timeout.0,
    };
    if let Some(voter) = &section.voter {
        let mut of_voter = VoterConfig::new(voter.id, &voter.dir);
        of_voter.is_joining = voter.join;
        of_voter.tick = voter.tick.0;
        config.voter = Some(of_voter);
    }
    if let Some(tls) = &section.tls {
        let mut files = TlsConfig::new(&tls.authority, &tls.certificate, &tls.key);
        files.name.clone_from(&tls.name);
        config.tls = Some(files);
    }
    config
}

/// The services that the settings name and the program has not.
pub(crate) fn missing_services(config: &Config, app: &App) -> Option<Problem> {
    let routes = app.routes().unwrap_or_default();
    let has = |service: &str| routes.iter().any(|route| route.service() == service);
    let missing = config.node.services.iter().flatten().find(|service| !has(service))?;
    let mut known: Vec<&str> = routes.iter().map(|route| route.service()).collect();
    known.dedup();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Some(Problem {
        key: "node.services",
        said: format!("`{missing}` is no service of this program; it has {known}"),
    })
}

/// Everything in the settings that does not fit together, or not to this machine.
pub(crate) fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Found::default();
    let Config { node, clients, cluster, admin, log } = config;
    if clients.listen.is_empty() && cluster.listen.is_none() {
        found.add("clients.listen", "nobody could reach the node: set this, cluster.listen, or both");
    }
    for addr in &clients.listen {
        found.address("clients.listen", addr);
    }
    if let Some(tls) = &clients.tls {
        found.file("clients.tls.certificate", &tls.certificate);
        found.file("clients.tls.key", &tls.key);
    }
    if clients.drain_window.0 > node.stop_timeout.0 / 2 {
        found.add("clients.drain_window", "is more than half of node.stop_timeout; it would be cut short");
    }
    if clients.heartbeat_interval.0 < Duration::from_secs(1) {
        found.add("clients.heartbeat_interval", "is less than a second, which clients cannot be told");
    }
    if let Some(jwt) = &clients.jwt {
        found.0.extend(tokens::problem(jwt));
    }
    if log.traces.is_some() && !cfg!(feature = "otel") {
        found.add("log.traces", "needs a program built with `--features otel`");
    }
    found.cluster(cluster);
    found.admin(admin);
    if let Err(error) = EnvFilter::builder().parse(&log.level) {
        found.add("log.level", format!("{error}; write such as info, or info,dunlin=debug"));
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, key: &'static str, said: impl Into<String>) {
        self.0.push(Problem { key, said: said.into() });
    }

    fn address(&mut self, key: &'static str, addr: &str) {
        if let Err(error) = addr.to_socket_addrs() {
            self.add(key, format!("`{addr}` is no host and port, such as 0.0.0.0:3250 ({error})"));
        }
    }

    fn file(&mut self, key: &'static str, path: &Path) {
        if let Err(error) = std::fs::File::open(path) {
            self.add(key, format!("{} cannot be read: {error}", path.display()));
        }
    }

    fn cluster(&mut self, cluster: &ClusterSection) {
        let ClusterSection { listen, advertise, voters, voter, tls, timing, nano_master, .. } = cluster;
        let Some(listen) = listen else {
            if voter.is_some() || tls.is_some() || !voters.is_empty() || nano_master.is_some() {
                self.add("cluster.listen", "is not set, so the rest of [cluster] would do nothing");
            }
            return;
        };
        self.address("cluster.listen", listen);
        if listen.starts_with("0.0.0.0") && advertise.is_none() {
            self.add("cluster.advertise", "is needed: other nodes cannot be told to come to 0.0.0.0");
        }
        if voters.is_empty() {
            self.add(
                "cluster.voters",
                "is empty; name at least one, such as { 1 = \"http://10.0.0.1:7001\" }",
            );
        }
        let scheme = if tls.is_some() { "https://" } else { "http://" };
        for (id, url) in voters {
            if id.parse::<u64>().map_or(true, |id| id == 0) {
                self.add("cluster.voters", format!("`{id}` is no id; ids are numbers from 1 on"));
            }
            if !url.starts_with(scheme) {
                self.add(
                    "cluster.voters",
                    format!("`{url}` does not begin with {scheme}, as it does with these settings of TLS"),
                );
            }
        }
        if let Some(voter) = voter
            && !voter.join
            && !voters.contains_key(&voter.id.to_string())
        {
            self.add("cluster.voter.id", format!("{} is none of cluster.voters", voter.id));
        }
        if let Some(tls) = tls {
            self.file("cluster.tls.authority", &tls.authority);
            self.file("cluster.tls.certificate", &tls.certificate);
            self.file("cluster.tls.key", &tls.key);
        }
        if timing.silence_max.0 < timing.heartbeat.0 * 2 {
            self.add(
                "cluster.timing.silence_max",
                "is less than two heartbeats; one that is late would end links",
            );
        }
    }

    fn admin(&mut self, admin: &AdminSection) {
        if admin.listen == OFF {
            return;
        }
        self.address("admin.listen", &admin.listen);
        if let Some(tls) = &admin.tls {
            self.file("admin.tls.certificate", &tls.certificate);
            self.file("admin.tls.key", &tls.key);
        }
        if let Some(authority) = &admin.authority {
            self.file("admin.authority", authority);
        }
        if let Some(path) = &admin.token_file
            && let Err(error) = Token::from_file(path)
        {
            self.add("admin.token_file", format!("{:#}", anyhow::Error::from(error)));
        }
        let addrs = admin.listen.to_socket_addrs().into_iter().flatten();
        if admin.token_file.is_none() && addrs.into_iter().any(|addr| !addr.ip().is_loopback()) {
            self.add("admin.token_file", format!("is needed: strangers reach {}", admin.listen));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        problems(&toml::from_str(text).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_plain_gate_and_a_voter_have_no_problem() {
        assert_eq!(found("clients.listen = ['127.0.0.1:3250']"), [""; 0]);
        let voter = "[cluster]\nlisten = '127.0.0.1:7001'\nvoters = { 1 = 'http://127.0.0.1:7001' }\nvoter = { id = 1, dir = 'log' }\n";
        assert_eq!(found(voter), [""; 0]);
    }

    #[test]
    fn what_does_not_fit_is_told_all_at_once_by_its_key() {
        let said = found(
            "[clients]\nlisten = ['nowhere']\ndrain_window = '1m'\n[cluster]\nvoters = { one = 'http://a' }\n[admin]\nlisten = '0.0.0.0:7070'\n[log]\nlevel = 'loud=noise'\n",
        );
        for key in [
            "`clients.listen`",
            "`clients.drain_window`",
            "`cluster.listen`",
            "`admin.token_file`",
            "`log.level`",
        ] {
            assert!(said.iter().any(|line| line.starts_with(key)), "{key}: {said:#?}");
        }
    }

    #[test]
    fn a_voter_that_nobody_names_and_urls_of_the_wrong_scheme_are_told() {
        let said = found(
            "[cluster]\nlisten = '0.0.0.0:7001'\nvoters = { 1 = 'https://10.0.0.1:7001', zero = 'http://a' }\nvoter = { id = 2, dir = 'log' }\n",
        );
        assert_eq!(said.len(), 4, "{said:#?}");
    }

    #[test]
    fn every_setting_of_clients_reaches_the_gate() {
        let mut gate = GateConfig::default();
        let clients: ClientsSection = toml::from_str(
            "heartbeat_interval = '7s'\npacket_body_in_max = '1KiB'\norigins = ['https://a.example']\nconnections_max = 3\nsend_queue_when_full = 'drop-oldest'\n",
        )
        .unwrap();
        set_gate(&clients, &mut gate);
        assert_eq!(gate.heartbeat_interval, Duration::from_secs(7));
        assert_eq!(gate.packet_body_in_max, 1024);
        assert_eq!(gate.origin, OriginPolicy::List(vec!["https://a.example".to_owned()]));
        assert_eq!(gate.connections_max, Some(3));
        assert_eq!(gate.send_queue.when_full, dunlin::WhenFull::DropOldest);
    }
}

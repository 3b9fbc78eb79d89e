//! Nodes that keep their registry themselves: voters on sockets, in plain text and over mutual TLS.

use std::path::Path;
use std::time::Duration;

use dunlin_cluster::frame::{Call, Outcome};
use dunlin_cluster::{ClusterConfig, StartError, Timing, TlsConfig, VoterConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::rig::{Node, Rig, until};

/// Free addresses, as others saw them a moment ago.
fn addrs<const N: usize>() -> [String; N] {
    let listeners = [(); N].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().to_string())
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A node's files, signed by this authority.
    fn files(&self, dir: &Path, name: &str) -> TlsConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["dunlin".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let write = |what: &str, text: String| {
            let path = dir.join(format!("{name}-{what}.pem"));
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsConfig::new(
            write("ca", self.0.pem()),
            write("cert", certificate.pem()),
            write("key", key.serialize_pem()),
        )
    }
}

fn configs(dir: &Path, tls: Option<&Authority>) -> Vec<ClusterConfig> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let voters = addrs::<3>();
    let urls: Vec<String> = voters.iter().map(|addr| format!("{scheme}://{addr}")).collect();
    let config = |name: &str, addr: &str| {
        let config = ClusterConfig::new(name, addr).voters((1..).zip(urls.iter().map(String::as_str)));
        match tls {
            Some(authority) => config.tls(authority.files(dir, name)),
            None => config,
        }
    };
    let voter = |(id, addr): (u64, &String)| {
        let mut voter = VoterConfig::new(id, dir.join(format!("voter-{id}")));
        voter.tick = Duration::from_millis(20);
        config(&format!("voter-{id}"), addr).voter(voter)
    };
    (1..).zip(&voters).map(voter).chain([config("gate", "127.0.0.1:0")]).collect()
}

/// Three voters, the first of which has a service, and a node that is none.
async fn start(configs: &[ClusterConfig]) -> Vec<Node> {
    let rig = Rig::new();
    let starting = configs.iter().map(|config| {
        let services: &[&str] = if config.name == "voter-1" { &["Echo"] } else { &[] };
        rig.start(config, services)
    });
    futures_util::future::join_all(starting).await
}

async fn ask(gate: &Node, backend: &Node) {
    let peer = gate.peer(backend).await;
    let call = Call { route: "Echo.say".into(), body: "hello".into(), ..Call::default() };
    let Ok(Outcome::Reply(reply)) = peer.call(call).unwrap().await else { panic!() };
    assert_eq!(reply.body, "hello");
}

#[tokio::test]
async fn one_port_serves_raft_the_registry_and_links_and_any_voter_may_die() {
    let dir = tempfile::tempdir().unwrap();
    let mut nodes = start(&configs(dir.path(), None)).await;
    ask(&nodes[3], &nodes[0]).await;
    until(|| (nodes[3].cluster.nodes().len() == 4).then_some(())).await;
    let leader = nodes[0].cluster.voter().unwrap().registry().state().leader;
    let place = usize::try_from(leader).unwrap() - 1;
    nodes[place].cluster.abort();
    // The record of the dead one goes with its lease, for which the others elect a leader.
    until(|| (nodes[3].cluster.nodes().len() == 3).then_some(())).await;
    if place != 0 {
        ask(&nodes[3], &nodes[0]).await;
    }
    for node in nodes.drain(..) {
        node.cluster.stop().await;
    }
}

#[tokio::test]
async fn over_mutual_tls_the_same_works_and_nobody_else_is_let_in() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let configs = configs(dir.path(), Some(&authority));
    let nodes = start(&configs).await;
    ask(&nodes[3], &nodes[0]).await;
    let timing = Timing { join_timeout: Duration::from_secs(1), ..Timing::default() };
    let stranger = |tls: Option<TlsConfig>| {
        let mut config = configs[3].clone().timing(timing);
        config.tls = tls;
        config.name = "stranger".to_owned();
        config
    };
    let rig = Rig::new();
    let plain = rig.try_start(&stranger(None), &[]).await;
    assert!(matches!(plain, Err(StartError::Announce(_))), "{plain:?}");
    let forged = stranger(Some(Authority::new().files(dir.path(), "stranger")));
    let forged = rig.try_start(&forged, &[]).await;
    assert!(matches!(forged, Err(StartError::Announce(_))), "{forged:?}");
}

#[tokio::test]
async fn a_node_without_a_registry_and_one_with_certificates_that_are_none_say_so() {
    let rig = Rig::new();
    let config = ClusterConfig::new("alone", "127.0.0.1:0");
    assert!(matches!(rig.try_start(&config, &[]).await, Err(StartError::NoRegistry)));
    let config = config.tls(TlsConfig::new("/nowhere/ca.pem", "/nowhere/cert.pem", "/nowhere/key.pem"));
    let error = rig.try_start(&config, &[]).await.unwrap_err();
    assert!(matches!(error, StartError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn a_voter_joins_a_group_that_runs_by_asking_any_of_its_voters() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(dir.path(), None);
    let nodes = start(&configs).await;
    let mut config = configs[3].clone();
    config.name = "voter-4".to_owned();
    let mut voter = VoterConfig::new(4, dir.path().join("voter-4")).joining();
    // Which group it is, it is told when it joins.
    voter.group = 9;
    voter.tick = Duration::from_millis(20);
    let config = config.voter(voter);
    let joined = Rig::new().start(&config, &[]).await;
    let is_voter = |node: &Node| {
        let members = node.cluster.voter().unwrap().registry().members();
        members.iter().any(|member| member.id == 4 && !member.is_learner)
    };
    until(|| (is_voter(&joined) && is_voter(&nodes[0])).then_some(())).await;
    joined.cluster.stop().await;
    // It goes on where it was, and joins no second time.
    Rig::new().start(&config, &[]).await;
}

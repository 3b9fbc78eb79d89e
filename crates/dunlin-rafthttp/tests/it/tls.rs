//! Who may speak as which member: certificates, names and what happens without.

use std::sync::Arc;
use std::time::Duration;

use dunlin_rafthttp::raftpb::MessageType;
use dunlin_rafthttp::{
    ClusterId, MemberId, PeerTls, ProcessError, Raft, SnapshotStatus, StartError, Transport,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::members::{Member, message, until};

/// The authority of one cluster.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn sign(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// The TLS of a member that holds a certificate for `name`.
    fn tls(&self, name: &str) -> PeerTls {
        let (client, server) = self.configs(name);
        PeerTls::new(client, server, |id| format!("{id}.cluster.test"))
    }

    fn configs(&self, name: &str) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let roots = Arc::new(roots);
        let (chain, key) = self.sign(name);
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().unwrap();
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        (Arc::new(client), Arc::new(server))
    }
}

#[tokio::test]
async fn members_with_their_own_certificates_talk() {
    let authority = Authority::new();
    let one = Member::start_tls(1, authority.tls("1.cluster.test")).await;
    let mut two = Member::start_tls(2, authority.tls("2.cluster.test")).await;
    one.transport.add_peer(MemberId(2), [two.url.as_str()]).unwrap();
    two.transport.add_peer(MemberId(1), [one.url.as_str()]).unwrap();
    until(|| one.transport.active_peers() == 1 && two.transport.active_peers() == 1).await;
    one.transport.send([message(MessageType::Heartbeat)]);
    assert_eq!(two.next_message().await, message(MessageType::Heartbeat));
}

#[tokio::test]
async fn a_member_cannot_speak_as_another_nor_be_taken_for_it() {
    let authority = Authority::new();
    // Member 3's certificate, and it says to be member 1.
    let liar = Member::start_tls(1, authority.tls("3.cluster.test")).await;
    let mut two = Member::start_tls(2, authority.tls("2.cluster.test")).await;
    liar.transport.add_peer(MemberId(2), [two.url.as_str()]).unwrap();
    two.transport.add_peer(MemberId(1), [liar.url.as_str()]).unwrap();
    for _ in 0..20 {
        liar.transport.send([message(MessageType::Heartbeat)]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((liar.transport.active_peers(), two.transport.active_peers()), (0, 0));
    assert!(two.told.try_recv().is_err(), "raft heard of somebody who is not who they say");
}

#[tokio::test]
async fn certificates_that_are_replaced_while_members_run_are_those_of_the_next_connections() {
    let authority = Authority::new();
    let (tls_one, tls_two) = (Authority::new().tls("1.cluster.test"), authority.tls("2.cluster.test"));
    let one = Member::start_tls(1, tls_one.clone()).await;
    let mut two = Member::start_tls(2, tls_two).await;
    one.transport.add_peer(MemberId(2), [two.url.as_str()]).unwrap();
    two.transport.add_peer(MemberId(1), [one.url.as_str()]).unwrap();
    let (client, server) = authority.configs("1.cluster.test");
    tls_one.replace(client, server);
    until(|| one.transport.active_peers() == 1 && two.transport.active_peers() == 1).await;
    one.transport.send([message(MessageType::Heartbeat)]);
    assert_eq!(two.next_message().await, message(MessageType::Heartbeat));
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let stranger = Member::start_tls(1, Authority::new().tls("1.cluster.test")).await;
    let mut two = Member::start_tls(2, Authority::new().tls("2.cluster.test")).await;
    stranger.transport.add_peer(MemberId(2), [two.url.as_str()]).unwrap();
    for _ in 0..20 {
        stranger.transport.send([message(MessageType::Heartbeat)]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(two.told.try_recv().is_err());
    assert_eq!(stranger.transport.active_peers(), 0);
}

#[tokio::test]
async fn with_tls_nobody_is_reached_in_plain_text() {
    let member = Member::start_tls(1, Authority::new().tls("1.cluster.test")).await;
    assert!(member.transport.add_peer(MemberId(2), ["http://127.0.0.1:9"]).is_err());
}

struct Nobody;

impl Raft for Nobody {
    async fn process(&self, _: dunlin_rafthttp::raftpb::Message) -> Result<(), ProcessError> {
        Ok(())
    }

    fn is_id_removed(&self, _: MemberId) -> bool {
        false
    }

    fn report_unreachable(&self, _: MemberId) {}

    fn report_snapshot(&self, _: MemberId, _: SnapshotStatus) {}
}

#[test]
fn plain_text_must_be_asked_for() {
    let started = Transport::builder(MemberId(1), ClusterId(1)).start(Nobody);
    assert_eq!(started.err(), Some(StartError::NoSecurity));
}

//! Certificates that are renewed, and an authority that is, while nodes run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes a new certificate of a node and its key.
    fn renew(&self, node: &Node) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["dunlin".to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        fs::write(&node.config.certificate, certificate.pem()).unwrap();
        fs::write(&node.config.key, key.serialize_pem()).unwrap();
    }
}

/// A node as far as it has certificates.
struct Node {
    config: TlsConfig,
}

impl Node {
    fn new(folder: &Path, name: &str, authority: &Authority) -> Self {
        let file = |what: &str| folder.join(format!("{name}-{what}.pem"));
        let node = Self { config: TlsConfig::new(file("ca"), file("cert"), file("key")) };
        node.trust(&[authority]);
        authority.renew(&node);
        node
    }

    fn trust(&self, authorities: &[&Authority]) {
        let pems: String = authorities.iter().map(|authority| &*authority.pem).collect();
        fs::write(&self.config.authority, pems).unwrap();
    }

    fn load(&self) -> Tls {
        Tls::load(&self.config).unwrap()
    }
}

type Ends = (Box<dyn Io>, Box<dyn Io>);

/// A connection from one node to another; with TLS 1.3 a client hears of its refusal with the first bytes.
async fn connect(from: &Tls, to: &Tls) -> io::Result<Ends> {
    let (near, far) = duplex(64 * 1024);
    let (client, server) = tokio::join!(from.connect(Box::new(near)), to.accept(Box::new(far)));
    let mut ends = (client?, server?);
    speak(&mut ends).await?;
    Ok(ends)
}

async fn speak((client, server): &mut Ends) -> io::Result<()> {
    let mut heard = [0; 2];
    client.write_all(b"hi").await?;
    client.flush().await?;
    server.read_exact(&mut heard).await?;
    server.write_all(&heard).await?;
    server.flush().await?;
    client.read_exact(&mut heard).await?;
    Ok(())
}

#[tokio::test]
async fn an_authority_is_replaced_while_links_live_and_strangers_stay_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let (a, b) = (Node::new(folder.path(), "a", &old), Node::new(folder.path(), "b", &old));
    let (tls_a, tls_b) = (a.load(), b.load());
    let mut living = connect(&tls_a, &tls_b).await.unwrap();
    // Both are trusted, then every node gets a certificate of the new one, then the old one is trusted no more.
    for node in [&a, &b] {
        node.trust(&[&old, &new]);
    }
    tls_a.reload().unwrap();
    tls_b.reload().unwrap();
    connect(&tls_a, &tls_b).await.unwrap();
    new.renew(&b);
    tls_b.reload().unwrap();
    connect(&tls_a, &tls_b).await.unwrap();
    connect(&tls_b, &tls_a).await.unwrap();
    b.trust(&[&new]);
    tls_b.reload().unwrap();
    assert!(connect(&tls_a, &tls_b).await.is_err(), "a certificate of the old authority");
    assert!(connect(&tls_b, &tls_a).await.is_err());
    new.renew(&a);
    tls_a.reload().unwrap();
    connect(&tls_a, &tls_b).await.unwrap();
    speak(&mut living).await.expect("what lives stays");
}

#[tokio::test]
async fn broken_files_keep_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (a, b) = (Node::new(folder.path(), "a", &authority), Node::new(folder.path(), "b", &authority));
    let (tls_a, tls_b) = (a.load(), b.load());
    // A key that is another certificate's, and a file that was cut short.
    fs::copy(&b.config.key, &a.config.key).unwrap();
    assert!(matches!(tls_a.reload(), Err(TlsError::Certificate(_))));
    fs::write(&b.config.certificate, "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    assert!(matches!(tls_b.reload(), Err(TlsError::File { .. })));
    connect(&tls_a, &tls_b).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn files_that_changed_are_found_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let node = Node::new(folder.path(), "a", &authority);
    let tls = node.load();
    let following = tokio::spawn(tls.clone().follow_files());
    let before = tls.current.get();
    tokio::time::sleep(LOOK_INTERVAL + Duration::from_secs(1)).await;
    assert!(Arc::ptr_eq(&before, &tls.current.get()), "nothing has changed");
    // The length differs as well, so a coarse clock of files does no harm.
    fs::write(&node.config.authority, format!("{}\n{}", authority.pem, Authority::new().pem)).unwrap();
    tokio::time::sleep(LOOK_INTERVAL).await;
    assert!(!Arc::ptr_eq(&before, &tls.current.get()));
    following.abort();
}

//! What the certificates are good for, shown by handshakes in memory, and that no key is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::*;

fn args(dir: &Path) -> CertsArgs {
    CertsArgs { dir: dir.to_owned(), san: Vec::new(), days: 90, force: false }
}

fn made(change: impl FnOnce(&mut CertsArgs)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut args = args(dir.path());
    change(&mut args);
    make(&args).unwrap();
    dir
}

fn refused(args: &CertsArgs) -> String {
    format!("{:#}", make(args).unwrap_err())
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(dir: &Path, stem: &str) -> Identity {
    let certificate = CertificateDer::from_pem_file(dir.join(format!("{stem}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join(format!("{stem}.key"))).unwrap();
    (vec![certificate], key)
}

fn roots(dir: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
    Arc::new(roots)
}

/// Shakes hands in memory as a node's port does when it is dialed, or, without an identity of the client's, as a gate.
fn shake_hands(dir: &Path, server: &str, client: Option<&str>, name: &str) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(_) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(roots(dir), provider.clone()).build().unwrap(),
        ),
    };
    let (chain, key) = identity(dir, server);
    let mut server = ServerConnection::new(Arc::new(builder.with_single_cert(chain, key)?))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(dir));
    let config = match client.map(|client| identity(dir, client)) {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name)?;
    let mut bytes = Vec::new();
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        bytes.clear();
        client.write_tls(&mut bytes).unwrap();
        feed(&bytes, |input| server.read_tls(input))?;
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        feed(&bytes, |input| client.read_tls(input))?;
        client.process_new_packets()?;
    }
    Ok(())
}

fn feed(
    mut bytes: &[u8],
    mut read: impl FnMut(&mut dyn std::io::Read) -> std::io::Result<usize>,
) -> Result<(), rustls::Error> {
    while !bytes.is_empty() {
        read(&mut bytes).unwrap();
    }
    Ok(())
}

#[test]
fn nodes_trust_each_other_by_the_one_name_that_links_ask_for() {
    let dir = made(|_| {});
    shake_hands(dir.path(), "node", Some("node"), "dunlin").unwrap();
}

#[test]
fn clients_trust_the_gate_at_every_name_it_is_for_and_at_no_other() {
    let dir = made(|args| args.san = vec!["gate.internal".to_owned(), "10.0.0.1".to_owned()]);
    for name in ["localhost", "127.0.0.1", "::1", "gate.internal", "10.0.0.1"] {
        shake_hands(dir.path(), "gate", None, name).unwrap();
    }
    shake_hands(dir.path(), "gate", None, "other.internal").unwrap_err();
}

#[test]
fn the_certificate_that_clients_see_opens_no_link() {
    let dir = made(|_| {});
    shake_hands(dir.path(), "node", Some("gate"), "dunlin").unwrap_err();
    shake_hands(dir.path(), "gate", Some("node"), "dunlin").unwrap_err();
}

#[test]
fn keys_are_the_owners_alone() {
    let dir = made(|_| {});
    for stem in ["ca", "node", "gate"] {
        let key = fs::metadata(dir.path().join(format!("{stem}.key"))).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600, "{stem}");
    }
}

#[test]
fn a_key_that_is_there_is_never_written_over_unasked() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("node.key"), "precious").unwrap();
    let error = refused(&args(dir.path()));
    assert!(error.contains("node.key is in") && error.contains("--force"), "{error}");
    assert_eq!(fs::read_to_string(dir.path().join("node.key")).unwrap(), "precious");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else was written");
}

#[test]
fn force_makes_certificates_anew_and_leaves_the_authority() {
    let dir = made(|_| {});
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let before = ["ca.pem", "ca.key", "node.key", "gate.key"].map(read);
    let mut again = args(dir.path());
    again.force = true;
    make(&again).unwrap();
    let after = ["ca.pem", "ca.key", "node.key", "gate.key"].map(read);
    assert_eq!(before[..2], after[..2]);
    assert!(before[2] != after[2] && before[3] != after[3]);
    shake_hands(dir.path(), "node", Some("node"), "dunlin").unwrap();
}

#[test]
fn an_authority_that_is_not_whole_is_left_alone() {
    let dir = made(|_| {});
    let mut again = args(dir.path());
    again.force = true;
    fs::copy(made(|_| {}).path().join("ca.pem"), dir.path().join("ca.pem")).unwrap();
    let error = refused(&again);
    assert!(error.contains("was one of them replaced?"), "{error}");
    fs::remove_file(dir.path().join("ca.key")).unwrap();
    let error = refused(&again);
    assert!(error.contains("ca.key is missing"), "{error}");
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut named = args(dir.path());
    named.san = vec!["gate.internal:3250".to_owned()];
    let error = refused(&named);
    assert!(error.contains("without a port"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn certificates_end_when_they_were_told_to() {
    let now = OffsetDateTime::now_utc();
    let authority = Authority::new(now).unwrap();
    let pair = authority.issue(Purpose::Gate, &[], 90, now).unwrap();
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let at_day = |days: u64| now + std::time::Duration::from_secs(days * 24 * 3600);
    authority.check(&certificate, at_day(89)).unwrap();
    authority.check(&certificate, at_day(91)).unwrap_err();
}

//! Connections over TLS, to a server that shows a certificate and wants one.

use std::fs;
use std::time::Duration;

use dunlin_registry::{Consistency, RegistryExt as _};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::members::{Members, until_it_answers};

/// A certificate for the loopback, signed by an issuer, and its key.
fn signed(issuer: &Issuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_server_with_a_certificate_is_asked_over_tls_and_one_that_wants_ours_gets_it() {
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(params, ca_key);
    let ((server, server_key), (client, client_key)) = (signed(&issuer), signed(&issuer));
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let arguments = [
        ("--cert-file", file("cert.pem", &server)),
        ("--key-file", file("key.pem", &server_key)),
        ("--trusted-ca-file", file("ca.pem", &ca)),
    ];
    let mut arguments: Vec<String> =
        arguments.into_iter().flat_map(|(name, path)| [name.to_owned(), path]).collect();
    arguments.push("--client-cert-auth".to_owned());
    let Some(members) = Members::started(1, "https", arguments) else { return };
    let trusting = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    let known = trusting.clone().identity(Identity::from_pem(client, client_key));
    let registry = members.registry().with_tls(&known).unwrap();
    until_it_answers(&registry).await;
    registry.put("key", "value", 0).await.unwrap();
    assert!(registry.get("key", Consistency::Linearizable).await.unwrap().is_some());
    for stranger in [trusting, ClientTlsConfig::new()] {
        let stranger = members.registry().with_tls(&stranger).unwrap().with_timeout(Duration::from_secs(1));
        stranger.put("key", "other", 0).await.unwrap_err();
    }
}

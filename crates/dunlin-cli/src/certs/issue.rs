//! Certificates from keys, names and the time, without files.
//!
//! The authority has one name wherever it was made, so that its key is enough to issue again; and each certificate is checked against
//! the authority's own before anybody gets it, as a peer would.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// How long the authority lasts, in days: longer than what it is tried out for.
const AUTHORITY_DAYS: u16 = 3650;

/// How long before now certificates begin, for machines whose clock is behind.
const BACKDATED: Duration = Duration::from_secs(3600);

/// The name in every node's certificate, which nodes look for whatever address they dial.
const NODE_NAME: &str = "dunlin";

/// Where development happens.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Both ends of a link between nodes.
    Node,
    /// The gate's end of a client's connection, and nothing else: it must open no link.
    Gate,
}

/// A certificate and its private key, as PEM.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Who signs.
pub(super) struct Authority {
    pair: Pair,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// A new one.
    pub(super) fn new(now: OffsetDateTime) -> Result<Self> {
        let key = KeyPair::generate().context("no key can be made")?;
        let mut params = authority_params();
        (params.not_before, params.not_after) = validity(now, AUTHORITY_DAYS);
        let certificate = params.self_signed(&key).context("the authority cannot be made")?;
        Self::from_pair(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// One that was made before.
    pub(super) fn from_pair(pair: Pair) -> Result<Self> {
        let key = KeyPair::from_pem(&pair.key).context("its key cannot be read")?;
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes())
            .context("its certificate cannot be read")?;
        Ok(Self { pair, issuer: Issuer::new(authority_params(), key), certificate })
    }

    pub(super) const fn pair(&self) -> &Pair {
        &self.pair
    }

    /// A key and its certificate, for these names beside the local ones.
    pub(super) fn issue(
        &self,
        purpose: Purpose,
        more_names: &[String],
        days: u16,
        now: OffsetDateTime,
    ) -> Result<Pair> {
        let own_name = (purpose == Purpose::Node).then_some(NODE_NAME);
        let names = own_name.into_iter().chain(LOCAL_NAMES).chain(more_names.iter().map(String::as_str));
        let names: Vec<String> = names.map(str::to_owned).collect();
        for name in more_names {
            ensure!(is_name(name), "`{name}` is no name of a host and no address; write it without a port");
        }
        let mut params = CertificateParams::new(names).context("the names fit no certificate")?;
        params.distinguished_name = called(match purpose {
            Purpose::Node => "dunlin node, for development",
            Purpose::Gate => "dunlin gate, for development",
        });
        (params.not_before, params.not_after) = validity(now, days);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match purpose {
            Purpose::Node => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Purpose::Gate => vec![ExtendedKeyUsagePurpose::ServerAuth],
        };
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().context("no key can be made")?;
        let certificate = params.signed_by(&key, &self.issuer).context("the certificate cannot be signed")?;
        self.check(certificate.der(), now)?;
        Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Whether somebody who trusts the authority's certificate trusts this one now.
    pub(super) fn check(&self, certificate: &CertificateDer<'_>, now: OffsetDateTime) -> Result<()> {
        let anchor = anchor_from_trusted_cert(&self.certificate).context("ca.pem is no authority")?;
        let now = SystemTime::from(now).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
        let leaf = EndEntityCert::try_from(certificate).context("the certificate cannot be read again")?;
        leaf.verify_for_usage(
            algorithms,
            &[anchor],
            &[],
            UnixTime::since_unix_epoch(now),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .context("ca.pem does not vouch for what ca.key signs; was one of them replaced?")?;
        Ok(())
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = called("dunlin authority, for development");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn called(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn validity(now: OffsetDateTime, days: u16) -> (OffsetDateTime, OffsetDateTime) {
    (now - BACKDATED, now + Duration::from_secs(u64::from(days) * 24 * 3600))
}

/// A name that rustls would take for a server's; a wildcard too, which it takes in certificates alone.
fn is_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    rustls_pki_types::ServerName::try_from(name).is_ok()
}

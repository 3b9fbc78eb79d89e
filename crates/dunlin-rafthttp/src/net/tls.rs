//! Who a peer is: mutual TLS, with the name in a certificate bound to the id of a member.

use std::sync::{Arc, PoisonError, RwLock};

use dunlin_http::dial::{Connection, DialContext};
use dunlin_http::{BoxError, Builder};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use webpki::EndEntityCert;

use crate::core::MemberId;
use crate::limits::TLS_HANDSHAKE_TIMEOUT;

/// The name that must stand in a member's certificate.
type NameOf = Arc<dyn Fn(MemberId) -> String + Send + Sync>;

/// TLS in both directions. Each side proves by its certificate which member it is: a member's certificate holds the name
/// that [`PeerTls::new`] is told for its id, whatever address it has.
#[derive(Clone)]
pub struct PeerTls {
    current: Arc<RwLock<Configs>>,
    name_of: NameOf,
}

/// What connections begin with.
#[derive(Clone)]
struct Configs {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl PeerTls {
    /// `client` must present a certificate, `server` must demand one (`WebPkiClientVerifier`), both of the authority of this
    /// cluster alone: whoever it signs may become a member by name.
    #[must_use]
    pub fn new(
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
        name_of: impl Fn(MemberId) -> String + Send + Sync + 'static,
    ) -> Self {
        let current = Arc::new(RwLock::new(Configs { client, server }));
        Self { current, name_of: Arc::new(name_of) }
    }

    /// Lets connections that begin from now on use others, here and in every clone; those that live stay. For certificates that
    /// were renewed.
    pub fn replace(&self, client: Arc<ClientConfig>, server: Arc<ServerConfig>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Configs { client, server };
    }

    fn current(&self) -> Configs {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a client whose connections lead to this member or fail.
    pub(crate) fn apply(&self, builder: Builder, id: MemberId) -> Builder {
        let (tls, name) = (self.clone(), (self.name_of)(id));
        builder.dial_tls(move |cx: DialContext| {
            let (client, name) = (tls.current().client, name.clone());
            async move {
                let stream = TcpStream::connect((cx.target.host.as_str(), cx.target.port)).await?;
                stream.set_nodelay(true)?;
                let (local, remote) = (stream.local_addr().ok(), stream.peer_addr().ok());
                let name = ServerName::try_from(name)?;
                let stream = TlsConnector::from(client).connect(name, stream).await?;
                Ok::<_, BoxError>(Connection::new(stream).with_addrs(local, remote))
            }
        })
    }

    /// Does the server's part of the handshake. Returns the stream and whom the other side can prove to be.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Identity), BoxError> {
        let accepting = TlsAcceptor::from(self.current().server).accept(stream);
        let stream = timeout(TLS_HANDSHAKE_TIMEOUT, accepting).await??;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificate = certificates.first().map(|certificate| certificate.clone().into_owned());
        let identity = Identity::Proven { certificate, name_of: self.name_of.clone() };
        Ok((stream, identity))
    }
}

impl std::fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerTls").finish_non_exhaustive()
    }
}

/// Whom the other side of a connection can prove to be.
#[derive(Clone, Default)]
pub(crate) enum Identity {
    /// Anybody: there is no TLS, and the network is trusted.
    #[default]
    Trusted,
    /// Those members whose names stand in its certificate.
    Proven { certificate: Option<CertificateDer<'static>>, name_of: NameOf },
}

impl Identity {
    /// Whether it may speak as this member.
    pub(crate) fn may_be(&self, id: MemberId) -> bool {
        match self {
            Self::Trusted => true,
            Self::Proven { certificate, name_of } => {
                let Some(certificate) = certificate else { return false };
                let Ok(name) = ServerName::try_from(name_of(id)) else { return false };
                let certificate = EndEntityCert::try_from(certificate);
                certificate
                    .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(&name).is_ok())
            }
        }
    }
}

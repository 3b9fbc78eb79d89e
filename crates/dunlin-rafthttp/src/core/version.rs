//! Versions in headers, and what follows of them: whether two nodes talk at all, and over which streams.
//!
//! Only major and minor count; patch, pre-release and build are read and never compared. Section "Who talks to whom" of
//! `docs/protocol/raft.md` in the repository. A header that is no version is an error of the peer that sent it; etcd breaks the
//! connection off there.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use http::header::HeaderName;
use semver::Version;

use super::{ClusterId, StreamKind};
use crate::limits::VERSION_LEN_MAX;

#[cfg(test)]
mod tests;

/// The version of the program that sends.
pub(crate) const SERVER_VERSION: HeaderName = HeaderName::from_static("x-server-version");

/// The oldest version of a cluster that it works with.
pub(crate) const MIN_CLUSTER_VERSION: HeaderName = HeaderName::from_static("x-min-cluster-version");

/// The cluster it is in.
pub(crate) const CLUSTER_ID: HeaderName = HeaderName::from_static("x-etcd-cluster-id");

/// The body of the answer to a node whose version will not do. Peers compare it, without the line's end.
pub(crate) const INCOMPATIBLE_VERSION_BODY: &str = "incompatible version";

/// The body of the answer to a node of another cluster. Peers compare it, without the line's end.
pub(crate) const CLUSTER_MISMATCH_BODY: &str = "cluster ID mismatch";

/// The minors that read and write both streams, by their major: all of etcd that was ever released with them.
const STREAM_MINORS: [(u64, std::ops::RangeInclusive<u64>); 2] = [(2, 1..=3), (3, 0..=8)];

/// A version as nodes announce it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion(Version);

impl ServerVersion {
    /// What we announce unless told otherwise. A peer that is newer than what we announce looks for it in a table of etcd's own
    /// minors, and one that wants 3.0 at least refuses less, so the version of this crate would not do. 3.5 is the newest
    /// against which this crate was run.
    pub const ANNOUNCED_DEFAULT: Self = Self(Version::new(3, 5, 0));

    /// The oldest version we work with unless told otherwise: every etcd from 3.0 on says this one.
    pub const MIN_CLUSTER_DEFAULT: Self = Self(Version::new(3, 0, 0));

    /// What a peer is that announces none: etcd before 2.1 sent no such header.
    const UNANNOUNCED: Self = Self(Version::new(2, 0, 0));

    /// Which of two is newer, by major and minor.
    #[must_use]
    pub fn cmp_minor(&self, other: &Self) -> Ordering {
        (self.0.major, self.0.minor).cmp(&(other.0.major, other.0.minor))
    }

    /// Whether it is one of etcd's that has this stream. What is announced has to be one, or newer peers dial no stream.
    #[must_use]
    pub fn has_stream(&self, kind: StreamKind) -> bool {
        match kind {
            StreamKind::MsgApp | StreamKind::Message => STREAM_MINORS
                .iter()
                .any(|(major, minors)| *major == self.0.major && minors.contains(&self.0.minor)),
        }
    }
}

/// Why a text is no version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// It is longer than [`VERSION_LEN_MAX`]; it was not looked at.
    #[error("version of {version_len} bytes is over the limit of {VERSION_LEN_MAX}")]
    TooLong {
        /// Its length.
        version_len: usize,
    },
    /// It is not of the form of a semantic version.
    #[error("the version is none")]
    Syntax {
        /// Where it broke.
        source: semver::Error,
    },
    /// It is a header with other characters than those of a version.
    #[error("the version is no text")]
    Text {
        /// Why.
        source: http::header::ToStrError,
    },
}

impl FromStr for ServerVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let version_len = text.len();
        if version_len > VERSION_LEN_MAX {
            return Err(VersionError::TooLong { version_len });
        }
        text.parse().map(Self).map_err(|source| VersionError::Syntax { source })
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a node says of itself in every request, and in the answer to a dialled stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versions {
    /// Its own.
    pub server: ServerVersion,
    /// The oldest of a cluster that it works with.
    pub min_cluster: ServerVersion,
}

impl Default for Versions {
    fn default() -> Self {
        Self { server: ServerVersion::ANNOUNCED_DEFAULT, min_cluster: ServerVersion::MIN_CLUSTER_DEFAULT }
    }
}

/// The version in `X-Server-Version`; 2.0.0 when there is none.
///
/// # Errors
///
/// [`VersionError`] when what stands there is no version.
pub(crate) fn server_version(headers: &HeaderMap) -> Result<ServerVersion, VersionError> {
    read(headers, &SERVER_VERSION)
}

/// The version in `X-Min-Cluster-Version`; 2.0.0 when there is none.
///
/// # Errors
///
/// [`VersionError`] when what stands there is no version.
pub(super) fn min_cluster_version(headers: &HeaderMap) -> Result<ServerVersion, VersionError> {
    read(headers, &MIN_CLUSTER_VERSION)
}

fn read(headers: &HeaderMap, name: &HeaderName) -> Result<ServerVersion, VersionError> {
    // An empty header counts as none, as it does for etcd.
    let Some(value) = headers.get(name).filter(|value| !value.is_empty()) else {
        return Ok(ServerVersion::UNANNOUNCED);
    };
    value.to_str().map_err(|source| VersionError::Text { source })?.parse()
}

/// What decides on our side whether a node may talk to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalNode {
    /// What we announce.
    pub versions: Versions,
    /// The cluster we are in.
    pub cluster: ClusterId,
}

/// Why a node may not talk to us. It is answered with status 412 and [`Incompatible::body`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Incompatible {
    /// Its version is older than the oldest we work with.
    #[error("peer of version {remote} is older than {min_cluster}, the oldest we work with")]
    TooOld {
        /// Its version.
        remote: ServerVersion,
        /// The oldest we work with.
        min_cluster: ServerVersion,
    },
    /// The oldest it works with is newer than ours.
    #[error("peer works with {remote_min_cluster} or newer, and we are {local}")]
    TooNew {
        /// The oldest it works with.
        remote_min_cluster: ServerVersion,
        /// Our version.
        local: ServerVersion,
    },
    /// One of the two headers is no version.
    #[error("peer announces something that is no version in {header}")]
    Malformed {
        /// Which header.
        header: HeaderName,
        /// Why it is none.
        source: VersionError,
    },
    /// It is in another cluster, or does not say in which.
    #[error("peer is not in the cluster {local}")]
    OtherCluster {
        /// Ours.
        local: ClusterId,
    },
}

impl Incompatible {
    /// The body of the answer, without the line's end behind it. There are two, and peers compare them.
    #[must_use]
    pub(crate) const fn body(&self) -> &'static str {
        match self {
            Self::TooOld { .. } | Self::TooNew { .. } | Self::Malformed { .. } => INCOMPATIBLE_VERSION_BODY,
            Self::OtherCluster { .. } => CLUSTER_MISMATCH_BODY,
        }
    }
}

/// Whether the node that sent these headers may talk to us. It comes before everything else but the method.
///
/// # Errors
///
/// [`Incompatible`] with the first thing that does not fit.
pub(crate) fn check_compatible(local: &LocalNode, remote_headers: &HeaderMap) -> Result<(), Incompatible> {
    let malformed = |header| move |source| Incompatible::Malformed { header, source };
    let Versions { server, min_cluster } = &local.versions;
    let remote = server_version(remote_headers).map_err(malformed(SERVER_VERSION))?;
    if remote.cmp_minor(min_cluster).is_lt() {
        return Err(Incompatible::TooOld { remote, min_cluster: min_cluster.clone() });
    }
    let remote_min_cluster = min_cluster_version(remote_headers).map_err(malformed(MIN_CLUSTER_VERSION))?;
    if remote_min_cluster.cmp_minor(server).is_gt() {
        return Err(Incompatible::TooNew { remote_min_cluster, local: server.clone() });
    }
    // The text is compared and not the number: leading zeros make another cluster of it.
    let is_ours = remote_headers
        .get(CLUSTER_ID)
        .is_some_and(|value| value.as_bytes() == local.cluster.to_string().as_bytes());
    if is_ours { Ok(()) } else { Err(Incompatible::OtherCluster { local: local.cluster }) }
}

/// A peer that is older than us and has no such stream. Its URL is given up and the peer is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("peer of version {remote} has no {kind} stream")]
pub struct UnsupportedStream {
    /// Its version.
    pub remote: ServerVersion,
    /// Which stream.
    pub kind: StreamKind,
}

/// Whether a peer whose answer announced `remote` has the stream that was dialled. The dialer asks this before it looks at the
/// status. What is not older than us has whatever we have.
///
/// # Errors
///
/// [`UnsupportedStream`] when the peer has none.
pub(crate) fn check_stream_support(
    local: &ServerVersion,
    remote: &ServerVersion,
    kind: StreamKind,
) -> Result<(), UnsupportedStream> {
    if remote.cmp_minor(local).is_lt() && !remote.has_stream(kind) {
        return Err(UnsupportedStream { remote: remote.clone(), kind });
    }
    Ok(())
}

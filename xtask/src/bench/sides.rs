//! Who is compared: ours, and the peers of each area.

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Side {
    /// dunlin, which is in every run and so is nobody's peer.
    #[value(skip)]
    Ours,
    /// `edge`, `cluster`: the Go framework nano.
    Nano,
    /// `edge`: raw frames on the npm package ws.
    NodeWs,
    /// `edge`: raw bytes or frames on dunlin's own poll layout.
    Bare,
    /// `http`: hyper's connections without a pool.
    Hyper,
    /// `http`: hyper-util's legacy client.
    HyperUtil,
    /// `http`: reqwest.
    Reqwest,
    /// `http`: Go's net/http; `rafthttp`: etcd's package, which is written in Go.
    Go,
    /// `registry`: etcd.
    Etcd,
}

impl Side {
    /// The name in arguments, tables and JSON lines.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Nano => "nano",
            Self::NodeWs => "node-ws",
            Self::Bare => "bare",
            Self::Hyper => "hyper",
            Self::HyperUtil => "hyper-util",
            Self::Reqwest => "reqwest",
            Self::Go => "go",
            Self::Etcd => "etcd",
        }
    }
}

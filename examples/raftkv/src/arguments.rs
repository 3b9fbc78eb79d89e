//! The flags, and what a member is set up as by them and by what is in its directory. A directory that knows its member wins: flags
//! may be left out then, and those that say something else are refused.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use dunlin_rafthttp::{ClusterId, MemberId};
use dunlin_registry::store::Member;
use dunlin_registry::{Begin, NodeConfig};

/// Who a member is that is told nothing.
const ID_DEFAULT: u64 = 1;
const CLUSTER_ID_DEFAULT: u64 = 0x1000;
const URL_DEFAULT: &str = "http://127.0.0.1:9021";

/// A member of a replicated key-value store.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// URLs of all members, in the order of their ids. Default: this one alone, at http://127.0.0.1:9021.
    #[arg(long, value_delimiter = ',')]
    cluster: Vec<String>,
    /// The id of this member: its place in the list, from 1 on. Default: 1.
    #[arg(long)]
    id: Option<u64>,
    /// The port of the key-value store.
    #[arg(long, default_value_t = 9121)]
    pub(crate) port: u16,
    /// Joins a group that runs and has added this member.
    #[arg(long)]
    join: bool,
    /// The address of the key-value store. There is no authentication: beyond the loopback, whoever reaches it may do everything.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) host: IpAddr,
    /// The id of the group: members of another one are refused. Default: 4096.
    #[arg(long)]
    cluster_id: Option<u64>,
    /// Where the log and the snapshots are. Default: `raftkv-ID` in the working directory. One that has been used knows the id, the
    /// group and the URL.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A snapshot is taken after so many entries. Default: as the library has it.
    #[arg(long)]
    snapshot_entries: Option<u64>,
    /// The log keeps so many entries before a snapshot. Default: as the library has it.
    #[arg(long)]
    snapshot_tail: Option<u64>,
}

/// What a member is started with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: NodeConfig,
    pub(crate) begin: Begin,
    /// Where it listens for the other members.
    pub(crate) peer_addr: String,
}

impl Arguments {
    /// What these flags come to, with this directory.
    pub(crate) fn setup(&self) -> Result<Setup> {
        let id = self.id.unwrap_or(ID_DEFAULT);
        let dir = self.dir.clone().unwrap_or_else(|| format!("raftkv-{id}").into());
        let (mut config, begin) = match NodeConfig::recover(&dir)? {
            Some(config) => {
                // Who was added and ended before it heard anything begins as it was told to.
                let begin = if config.urls.is_empty() { self.begin() } else { Begin::Restart };
                (self.checked(config)?, begin)
            }
            None => {
                let cluster = ClusterId(self.cluster_id.unwrap_or(CLUSTER_ID_DEFAULT));
                let mut config = NodeConfig::new(MemberId(id), cluster, dir);
                config.urls = vec![self.url(id)?];
                (config, self.begin())
            }
        };
        config.snapshot_entries = self.snapshot_entries.unwrap_or(config.snapshot_entries);
        config.snapshot_tail = self.snapshot_tail.unwrap_or(config.snapshot_tail);
        let peer_addr = addr(config.urls.first().context("this member has no URL")?)?;
        Ok(Setup { config, begin, peer_addr })
    }

    /// The member that a directory knows, if the flags say nothing else.
    fn checked(&self, mut config: NodeConfig) -> Result<NodeConfig> {
        let (id, cluster_id, dir) = (config.id.0, config.cluster.0, config.dir.display().to_string());
        let asked = (self.id.unwrap_or(id), self.cluster_id.unwrap_or(cluster_id));
        ensure!(
            asked == (id, cluster_id),
            "{dir} is that of member {id} of group {cluster_id}, and not of member {} of group {}",
            asked.0,
            asked.1
        );
        if config.urls.is_empty() {
            let url = self.url(id).with_context(|| format!("{dir} does not say where member {id} is"))?;
            config.urls = vec![url];
        } else if !self.cluster.is_empty() {
            let url = self.url(id)?;
            ensure!(
                config.urls.contains(&url),
                "by {dir} member {id} is at {}, and by --cluster at {url}",
                config.urls.join(",")
            );
        }
        Ok(config)
    }

    fn cluster(&self) -> Vec<String> {
        if self.cluster.is_empty() { vec![URL_DEFAULT.to_owned()] } else { self.cluster.clone() }
    }

    fn begin(&self) -> Begin {
        let member = |(id, url)| Member { id, urls: vec![url], ..Member::default() };
        let members = (1..).zip(self.cluster()).map(member).collect();
        if self.join { Begin::Join(members) } else { Begin::Bootstrap(members) }
    }

    /// The URL of a member, by its place in the list.
    fn url(&self, id: u64) -> Result<String> {
        let place = usize::try_from(id)?.checked_sub(1).context("ids begin with 1")?;
        let cluster = self.cluster();
        let url = cluster.get(place);
        let url = url.with_context(|| {
            format!("--cluster has {} URLs, and --id {id} is none of them", cluster.len())
        })?;
        Ok(url.trim_end_matches('/').to_owned())
    }
}

/// Where a member listens for the others: the host and port of its URL.
fn addr(url: &str) -> Result<String> {
    let addr = url.strip_prefix("http://").with_context(|| format!("{url} does not begin with http://"))?;
    ensure!(addr.contains(':'), "{url} has no port");
    Ok(addr.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use dunlin_registry::Node;
    use tokio::net::TcpListener;

    use super::*;

    fn setup(flags: &[&str]) -> Result<Setup> {
        Arguments::try_parse_from([&["raftkv"], flags].concat()).unwrap().setup()
    }

    /// A directory in which a member has begun.
    async fn used(flags: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let Setup { config, begin, .. } = setup(&[flags, &["--dir", path]].concat()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Node::start(&config, &begin, listener, dunlin_rafthttp::Builder::plain_text).unwrap().stop().await;
        dir
    }

    const THREE: &str = "http://127.0.0.1:12379,http://127.0.0.1:22379,http://127.0.0.1:32379";

    #[test]
    fn without_flags_one_member_is_a_group_and_an_id_outside_the_list_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let dir = ["--dir", dir.path().to_str().unwrap()];
        let Setup { config, begin, peer_addr } = setup(&dir).unwrap();
        assert_eq!(
            (config.id, config.cluster, peer_addr.as_str()),
            (MemberId(1), ClusterId(0x1000), "127.0.0.1:9021")
        );
        assert!(matches!(begin, Begin::Bootstrap(members) if members.len() == 1));
        let refused = setup(&[&dir[..], &["--cluster", THREE, "--id", "4"]].concat()).unwrap_err();
        assert!(refused.to_string().contains("3 URLs"), "{refused}");
    }

    #[tokio::test]
    async fn a_member_starts_again_with_its_directory_alone_or_with_the_same_flags() {
        let flags = ["--cluster", THREE, "--id", "2", "--cluster-id", "9"];
        let dir = used(&flags).await;
        let dir = ["--dir", dir.path().to_str().unwrap()];
        for flags in [&dir[..], &[&dir[..], &flags].concat()] {
            let Setup { config, begin, peer_addr } = setup(flags).unwrap();
            assert_eq!(
                (config.id, config.cluster, peer_addr.as_str()),
                (MemberId(2), ClusterId(9), "127.0.0.1:22379")
            );
            assert!(matches!(begin, Begin::Restart));
        }
    }

    #[tokio::test]
    async fn flags_that_say_something_else_than_the_directory_are_refused_and_both_are_named() {
        let used = used(&["--cluster", THREE, "--id", "2"]).await;
        let dir = ["--dir", used.path().to_str().unwrap()];
        for (flags, said) in [
            (["--id", "3"], ["member 2 of group 4096", "member 3 of group 4096"]),
            (["--cluster-id", "9"], ["member 2 of group 4096", "member 2 of group 9"]),
            (["--cluster", "http://a:1,http://b:2"], ["http://127.0.0.1:22379", "http://b:2"]),
        ] {
            let refused = setup(&[&dir[..], &flags].concat()).unwrap_err().to_string();
            assert!(said.iter().all(|said| refused.contains(said)), "{refused}");
        }
    }

    #[tokio::test]
    async fn who_joined_and_heard_nothing_yet_says_again_where_it_is() {
        let flags = ["--cluster", THREE, "--id", "3", "--join"];
        let used = used(&flags).await;
        let dir = ["--dir", used.path().to_str().unwrap()];
        let refused = setup(&dir).unwrap_err();
        assert!(refused.to_string().contains("does not say where member 3 is"), "{refused}");
        let Setup { peer_addr, .. } = setup(&[&dir[..], &flags].concat()).unwrap();
        assert_eq!(peer_addr, "127.0.0.1:32379");
    }
}

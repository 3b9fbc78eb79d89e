//! The clients: one trait, so that each side is driven by the same code.

use std::future::Future;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use dunlin_etcd::client::Etcd;
use dunlin_etcd::messages::{PutRequest, RangeRequest, WatchCreateRequest, WatchResponse};
use dunlin_registry::grpc::RemoteRegistry;
use dunlin_registry::store::KeyRange;
use dunlin_registry::{Consistency, Registry as _, RegistryExt as _};
use tonic::transport::{Channel, Endpoint};

/// One client of a store, with a connection of its own.
pub trait Client: Send + Sized + 'static {
    /// A watch of one key.
    type Watch: Watch;

    /// A client that asks the first of these members.
    ///
    /// # Errors
    ///
    /// When a URL is none.
    fn new(members: &[String]) -> Result<Self>;

    /// Puts a key; when it is done a quorum has it on its disk.
    fn put(&mut self, key: String, value: Vec<u8>) -> impl Future<Output = Result<()>> + Send;

    /// Reads a key; the length of its value.
    fn get(&mut self, key: String, is_stale: bool) -> impl Future<Output = Result<usize>> + Send;

    /// Watches a key. When this returns the watch has begun.
    fn watch(&mut self, key: String) -> impl Future<Output = Result<Self::Watch>> + Send;
}

/// A watch of one key.
pub trait Watch: Send + 'static {
    /// The value of the next event.
    fn next(&mut self) -> impl Future<Output = Result<Vec<u8>>> + Send;
}

/// The registry's own client.
#[derive(Debug)]
pub struct Dunlin(RemoteRegistry);

impl Client for Dunlin {
    type Watch = dunlin_registry::Watch;

    fn new(members: &[String]) -> Result<Self> {
        Ok(Self(RemoteRegistry::new(members.iter().map(String::as_str))?))
    }

    async fn put(&mut self, key: String, value: Vec<u8>) -> Result<()> {
        self.0.put(key, value, 0).await?;
        Ok(())
    }

    async fn get(&mut self, key: String, is_stale: bool) -> Result<usize> {
        let consistency = if is_stale { Consistency::Stale } else { Consistency::Linearizable };
        let (answer, _) = self.0.range(KeyRange::key(key), 1, consistency).await?;
        Ok(answer.entries.first().context("there is no such key")?.value.len())
    }

    async fn watch(&mut self, key: String) -> Result<dunlin_registry::Watch> {
        Ok(self.0.watch(KeyRange::key(key), 0).await?)
    }
}

impl Watch for dunlin_registry::Watch {
    async fn next(&mut self) -> Result<Vec<u8>> {
        Ok(Self::next(self).await?.entry.value.to_vec())
    }
}

impl Client for Etcd {
    type Watch = EtcdWatch;

    fn new(members: &[String]) -> Result<Self> {
        let first = members.first().context("no member is given")?;
        let channel: Channel = Endpoint::from_shared(first.clone())?.tcp_nodelay(true).connect_lazy();
        Ok(Self::new(channel))
    }

    async fn put(&mut self, key: String, value: Vec<u8>) -> Result<()> {
        // What was there before is not asked for, which a registry of ours has to.
        let request = PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() };
        Self::put(self, request).await?;
        Ok(())
    }

    async fn get(&mut self, key: String, is_stale: bool) -> Result<usize> {
        let request = RangeRequest { key: key.into(), serializable: is_stale, ..RangeRequest::default() };
        let response = self.range(request).await?;
        Ok(response.kvs.first().context("there is no such key")?.value.len())
    }

    async fn watch(&mut self, key: String) -> Result<EtcdWatch> {
        let create = WatchCreateRequest { key: key.into(), ..WatchCreateRequest::default() };
        let mut stream = Self::watch(self, create).await?;
        match stream.message().await? {
            Some(first) if first.created => Ok(EtcdWatch { stream, values: Vec::new() }),
            _ => bail!("the watch did not begin"),
        }
    }
}

/// A watch of etcd's.
#[derive(Debug)]
pub struct EtcdWatch {
    stream: tonic::Streaming<WatchResponse>,
    values: Vec<Bytes>,
}

impl Watch for EtcdWatch {
    async fn next(&mut self) -> Result<Vec<u8>> {
        while self.values.is_empty() {
            let response = self.stream.message().await?.context("the watch has ended")?;
            self.values =
                response.events.into_iter().rev().filter_map(|event| Some(event.kv?.value)).collect();
        }
        Ok(self.values.pop().context("an event without a value")?.to_vec())
    }
}

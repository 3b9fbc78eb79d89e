//! As much of etcd's gRPC as the load takes: messages by hand, since its `.proto` files would take a protoc.

use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// `etcdserverpb.PutRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// Its value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// What is not looked at.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Ignored {}

/// `etcdserverpb.RangeRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct RangeRequest {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// Whether what the member has will do.
    #[prost(bool, tag = "7")]
    pub serializable: bool,
}

/// `etcdserverpb.RangeResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct RangeResponse {
    /// The keys.
    #[prost(message, repeated, tag = "2")]
    pub kvs: Vec<KeyValue>,
}

/// `mvccpb.KeyValue`.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// The value.
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
}

/// `etcdserverpb.WatchRequest`, of the kind that begins one.
#[derive(Clone, PartialEq, Message)]
pub struct WatchRequest {
    /// What to watch.
    #[prost(message, optional, tag = "1")]
    pub create_request: Option<WatchCreateRequest>,
}

/// `etcdserverpb.WatchCreateRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct WatchCreateRequest {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
}

/// `etcdserverpb.WatchResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct WatchResponse {
    /// Whether it says that the watch has begun.
    #[prost(bool, tag = "3")]
    pub created: bool,
    /// The events.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
}

/// `mvccpb.Event`.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// The key as it is then.
    #[prost(message, optional, tag = "2")]
    pub kv: Option<KeyValue>,
}

/// A connection to a member.
#[derive(Debug, Clone)]
pub struct Etcd {
    grpc: Grpc<Channel>,
}

impl Etcd {
    /// Over this channel.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self { grpc: Grpc::new(channel) }
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))
    }

    /// Puts a key.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    pub async fn put(&mut self, request: PutRequest) -> Result<(), Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
        let codec = ProstCodec::<PutRequest, Ignored>::default();
        self.grpc.unary(Request::new(request), path, codec).await.map(drop)
    }

    /// Reads a key.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    pub async fn range(&mut self, request: RangeRequest) -> Result<RangeResponse, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/etcdserverpb.KV/Range");
        let codec = ProstCodec::<RangeRequest, RangeResponse>::default();
        self.grpc.unary(Request::new(request), path, codec).await.map(tonic::Response::into_inner)
    }

    /// Watches a key.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    pub async fn watch(&mut self, key: Vec<u8>) -> Result<Streaming<WatchResponse>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let create = WatchRequest { create_request: Some(WatchCreateRequest { key }) };
        // A stream of requests that ends would end the watch.
        let requests = futures_util::StreamExt::chain(
            futures_util::stream::once(std::future::ready(create)),
            futures_util::stream::pending(),
        );
        let response = self.grpc.streaming(Request::new(requests), path, codec).await?;
        Ok(response.into_inner())
    }
}

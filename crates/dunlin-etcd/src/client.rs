//! One member of a cluster, asked over gRPC. It knows nothing of a registry: messages in, messages or a status out.

use futures_util::StreamExt as _;
use futures_util::stream::{once, pending};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::limits::MESSAGE_LEN_MAX;
use crate::messages::{
    AuthenticateRequest, AuthenticateResponse, DeleteRangeRequest, DeleteRangeResponse, HeaderResponse,
    LeaseGrantRequest, LeaseRequest, LeaseResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
    StatusRequest, StatusResponse, TxnRequest, TxnResponse, WatchCreateRequest, WatchRequest, WatchResponse,
};

/// A connection to a member. Clones share it.
#[derive(Debug, Clone)]
pub struct Etcd {
    grpc: Grpc<Channel>,
    metadata: MetadataMap,
}

impl Etcd {
    /// Over this channel.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let grpc = Grpc::new(channel).max_decoding_message_size(MESSAGE_LEN_MAX);
        Self { grpc, metadata: MetadataMap::new() }
    }

    /// The same, with this said in every request.
    #[must_use]
    pub fn with_metadata(mut self, metadata: MetadataMap) -> Self {
        self.metadata = metadata;
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().clone_from(&self.metadata);
        request
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc.ready().await.map_err(|error| Status::from_error(error.into()))
    }

    async fn unary<Q, A>(&mut self, path: &'static str, message: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.ready().await?;
        let (request, path) = (self.request(message), PathAndQuery::from_static(path));
        let answered = self.grpc.unary(request, path, ProstCodec::<Q, A>::default()).await?;
        Ok(answered.into_inner())
    }

    /// Reads keys.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the read.
    pub async fn range(&mut self, request: RangeRequest) -> Result<RangeResponse, Status> {
        self.unary("/etcdserverpb.KV/Range", request).await
    }

    /// Puts a key.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the request to its fate: it may be done.
    pub async fn put(&mut self, request: PutRequest) -> Result<PutResponse, Status> {
        self.unary("/etcdserverpb.KV/Put", request).await
    }

    /// Removes keys.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn delete_range(&mut self, request: DeleteRangeRequest) -> Result<DeleteRangeResponse, Status> {
        self.unary("/etcdserverpb.KV/DeleteRange", request).await
    }

    /// Compares, and does one thing or the other.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn txn(&mut self, request: TxnRequest) -> Result<TxnResponse, Status> {
        self.unary("/etcdserverpb.KV/Txn", request).await
    }

    /// Grants a lease.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn lease_grant(&mut self, request: LeaseGrantRequest) -> Result<LeaseResponse, Status> {
        self.unary("/etcdserverpb.Lease/LeaseGrant", request).await
    }

    /// Ends a lease.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn lease_revoke(&mut self, request: LeaseRequest) -> Result<HeaderResponse, Status> {
        self.unary("/etcdserverpb.Lease/LeaseRevoke", request).await
    }

    /// Keeps a lease alive, once: a stream of one request and one answer, in which the time of a lease that there is not is 0.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn lease_keep_alive(&mut self, message: LeaseRequest) -> Result<LeaseResponse, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/etcdserverpb.Lease/LeaseKeepAlive");
        let codec = ProstCodec::<LeaseRequest, LeaseResponse>::default();
        let request = self.request(once(std::future::ready(message)));
        let mut answers = self.grpc.streaming(request, path, codec).await?.into_inner();
        answers.message().await?.ok_or_else(|| Status::unavailable("the stream has ended"))
    }

    /// Watches keys. The first answer says that it has begun.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the stream, ends the watch.
    pub async fn watch(&mut self, create: WatchCreateRequest) -> Result<Streaming<WatchResponse>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let create = WatchRequest { create_request: Some(create) };
        // A stream of requests that ends would end the watch.
        let requests = once(std::future::ready(create)).chain(pending());
        let request = self.request(requests);
        Ok(self.grpc.streaming(request, path, codec).await?.into_inner())
    }

    /// Says who asks.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the token.
    pub async fn authenticate(
        &mut self,
        request: AuthenticateRequest,
    ) -> Result<AuthenticateResponse, Status> {
        self.unary("/etcdserverpb.Auth/Authenticate", request).await
    }

    /// How the member does.
    ///
    /// # Errors
    ///
    /// The status of the answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the question.
    pub async fn status(&mut self) -> Result<StatusResponse, Status> {
        self.unary("/etcdserverpb.Maintenance/Status", StatusRequest {}).await
    }
}

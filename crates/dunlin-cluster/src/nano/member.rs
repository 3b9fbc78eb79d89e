//! nano's service `Member`: what Go nodes say to this one, and which part of it that is for.
//!
//! Every answer comes at once: a Go gate reads nothing more of its client until then, a Go backend handles nothing more at all.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::backends::Backends;
use super::gates::{Caller, Gates};
use super::generated::member_server::{Member, MemberServer};
use super::join::Joined;
use super::messages::{
    CloseSessionRequest, CloseSessionResponse, DelMemberRequest, DelMemberResponse, MemberHandleResponse,
    NewMemberRequest, NewMemberResponse, NotifyMessage, PushMessage, RequestMessage, ResponseMessage,
    SessionClosedRequest, SessionClosedResponse,
};
use crate::limits::NANO_MESSAGE_LEN_MAX;

/// The service, for the node's port.
pub(crate) fn service(
    backends: Arc<Backends>,
    gates: Arc<Gates>,
    joined: Arc<Joined>,
) -> MemberServer<impl Member> {
    MemberServer::new(Served { backends, gates, joined })
        .max_decoding_message_size(NANO_MESSAGE_LEN_MAX)
        .max_encoding_message_size(NANO_MESSAGE_LEN_MAX)
}

struct Served {
    backends: Arc<Backends>,
    gates: Arc<Gates>,
    joined: Arc<Joined>,
}

#[tonic::async_trait]
impl Member for Served {
    async fn handle_request(
        &self,
        request: Request<RequestMessage>,
    ) -> Result<Response<MemberHandleResponse>, Status> {
        let caller = caller(&request);
        self.gates.handle_request(caller.as_ref(), request.into_inner())?;
        Ok(Response::new(MemberHandleResponse {}))
    }

    async fn handle_notify(
        &self,
        request: Request<NotifyMessage>,
    ) -> Result<Response<MemberHandleResponse>, Status> {
        let caller = caller(&request);
        self.gates.handle_notify(caller.as_ref(), request.into_inner())?;
        Ok(Response::new(MemberHandleResponse {}))
    }

    async fn handle_push(
        &self,
        request: Request<PushMessage>,
    ) -> Result<Response<MemberHandleResponse>, Status> {
        is_taken(self.backends.handle_push(request.into_inner()))
    }

    async fn handle_response(
        &self,
        request: Request<ResponseMessage>,
    ) -> Result<Response<MemberHandleResponse>, Status> {
        is_taken(self.backends.handle_response(request.into_inner()))
    }

    async fn new_member(
        &self,
        request: Request<NewMemberRequest>,
    ) -> Result<Response<NewMemberResponse>, Status> {
        if let Some(info) = request.into_inner().member_info {
            self.joined.handle_new(&info);
        }
        Ok(Response::new(NewMemberResponse {}))
    }

    async fn del_member(
        &self,
        request: Request<DelMemberRequest>,
    ) -> Result<Response<DelMemberResponse>, Status> {
        self.joined.handle_gone(&request.into_inner().service_addr);
        Ok(Response::new(DelMemberResponse {}))
    }

    async fn session_closed(
        &self,
        request: Request<SessionClosedRequest>,
    ) -> Result<Response<SessionClosedResponse>, Status> {
        let caller = caller(&request);
        self.gates.handle_session_closed(caller.as_ref(), request.into_inner().session_id);
        Ok(Response::new(SessionClosedResponse {}))
    }

    async fn close_session(
        &self,
        request: Request<CloseSessionRequest>,
    ) -> Result<Response<CloseSessionResponse>, Status> {
        // That of a session that is over already is no fault.
        self.backends.handle_close(request.into_inner().session_id);
        Ok(Response::new(CloseSessionResponse {}))
    }
}

fn caller<T>(request: &Request<T>) -> Option<Caller> {
    request.extensions().get::<Caller>().cloned()
}

fn is_taken(is_known: bool) -> Result<Response<MemberHandleResponse>, Status> {
    match is_known {
        true => Ok(Response::new(MemberHandleResponse {})),
        false => Err(Status::not_found("the session is not known")),
    }
}

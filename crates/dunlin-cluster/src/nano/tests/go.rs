//! A stand-in for a Go node: it notes what it is told, and answers through the gate that a call names.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::rig::{Node, Notes, NotingHost, Rig};
use crate::config::Timing;
use crate::frame::Hello;
use crate::link::Dialer;
use crate::nano::Shared;
use crate::nano::convert::Job;
use crate::nano::generated::master_server::{Master, MasterServer};
use crate::nano::generated::member_server::{Member, MemberServer};
use crate::nano::messages::*;
use crate::nano::wire::{CallError, Wire};
use crate::net::{Network as _, Way};
use crate::port::Port;

/// What a Go node was told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    Request(RequestMessage),
    Notify(NotifyMessage),
    Push(PushMessage),
    Response(ResponseMessage),
    New(String),
    Gone(String),
    Closed(i64),
    Close(i64),
    Register(MemberInfo),
    Unregister(String),
    Heartbeat(MemberInfo),
}

/// A Go node.
pub(super) struct Go {
    info: MemberInfo,
    shared: Arc<Shared>,
    served: Served,
    /// The connection with the node that it talks to, as it keeps several of its own.
    wire: tokio::sync::Mutex<Option<(String, Arc<Wire>)>>,
}

/// As whom a Go node takes registrations.
#[derive(Debug, Clone, Default)]
pub(super) struct AsMaster {
    /// It knows no heartbeats, and refuses whoever is registered.
    pub(super) is_old: bool,
    pub(super) members: Vec<MemberInfo>,
}

#[derive(Clone)]
struct Served {
    shared: Arc<Shared>,
    heard: Arc<Mutex<Vec<Heard>>>,
    master: Arc<Mutex<AsMaster>>,
}

impl Go {
    pub(super) async fn start(rig: &Rig, name: &str, services: &[&str]) -> Self {
        Self::start_at(rig, (name, rig.network.addr_of(name)), services).await
    }

    pub(super) async fn start_at(rig: &Rig, (name, addr): (&str, String), services: &[&str]) -> Self {
        let stop = CancellationToken::new();
        let dialer = Dialer {
            me: Hello { name: name.to_owned(), ..Hello::default() },
            timing: Timing::default(),
            way: Way { network: Arc::new(rig.network.clone()), tls: None, from: name.to_owned() },
            host: Arc::new(NotingHost(Arc::new(Notes::default()))),
            stop: stop.clone(),
        };
        let tasks = TaskTracker::new();
        let heartbeat = Duration::from_secs(30);
        let shared = Arc::new(Shared { dialer, addr: addr.clone(), heartbeat, tasks: tasks.clone() });
        let served = Served { shared: shared.clone(), heard: Arc::default(), master: Arc::default() };
        let mut routes = Routes::builder();
        routes.add_service(MemberServer::new(served.clone()));
        routes.add_service(MasterServer::new(served.clone()));
        let listening = rig.network.listen(&addr).await.unwrap();
        let port = Port { routes: routes.routes(), raft: None, tls: None, stop, tasks: tasks.clone() };
        tasks.spawn(port.serve(listening));
        let services = services.iter().map(|service| (*service).to_owned()).collect();
        let info = MemberInfo { label: name.to_owned(), service_addr: addr, services };
        Self { info, shared, served, wire: tokio::sync::Mutex::default() }
    }

    pub(super) fn addr(&self) -> String {
        self.info.service_addr.clone()
    }

    pub(super) fn set_master(&self, master: AsMaster) {
        *self.served.master.lock().unwrap() = master;
    }

    /// It ends without a word, and nobody listens at its address any more.
    pub(super) fn kill(&self) {
        self.shared.dialer.stop.cancel();
    }

    pub(super) fn heard<T>(&self, select: impl FnMut(Heard) -> Option<T>) -> Vec<T> {
        self.served.heard.lock().unwrap().iter().cloned().filter_map(select).collect()
    }

    pub(super) fn has_heard(&self, is_it: impl FnMut(&Heard) -> bool) -> bool {
        self.served.heard.lock().unwrap().iter().any(is_it)
    }

    async fn wire(&self, node: &Node) -> Arc<Wire> {
        let mut wire = self.wire.lock().await;
        match &*wire {
            Some((addr, wire)) if *addr == node.addr() && !wire.is_broken() => wire.clone(),
            _ => {
                let fresh = Arc::new(Wire::connect(&self.shared, &node.addr()).await.unwrap());
                *wire = Some((node.addr(), fresh.clone()));
                fresh
            }
        }
    }

    pub(super) async fn register(&self, node: &Node) -> Result<Vec<MemberInfo>, Status> {
        self.register_as(node, self.info.clone()).await
    }

    pub(super) async fn register_as(&self, node: &Node, info: MemberInfo) -> Result<Vec<MemberInfo>, Status> {
        let request = RegisterRequest { member_info: Some(info) };
        let mut master = self.wire(node).await.master().max_encoding_message_size(1 << 20);
        let registered = master.register(request).await?;
        Ok(registered.into_inner().members)
    }

    pub(super) async fn unregister(&self, node: &Node) -> Result<(), Status> {
        let request = UnregisterRequest { service_addr: self.addr() };
        self.wire(node).await.master().unregister(request).await.map(drop)
    }

    pub(super) async fn heartbeat(&self, node: &Node) -> Result<(), Status> {
        let request = HeartbeatRequest { member_info: Some(self.info.clone()) };
        self.wire(node).await.master().heartbeat(request).await.map(drop)
    }

    pub(super) async fn handle_request(&self, node: &Node, request: RequestMessage) -> Result<(), CallError> {
        self.wire(node).await.call(Job::Request(request)).await
    }

    pub(super) async fn handle_notify(&self, node: &Node, notify: NotifyMessage) -> Result<(), CallError> {
        self.wire(node).await.call(Job::Notify(notify, 0)).await
    }

    pub(super) async fn push(&self, node: &Node, session_id: i64) -> Result<(), CallError> {
        self.wire(node).await.call(Job::Push(PushMessage { session_id, ..PushMessage::default() })).await
    }

    pub(super) async fn session_closed(&self, node: &Node, session_id: i64) {
        self.wire(node).await.call(Job::SessionClosed(SessionClosedRequest { session_id })).await.unwrap();
    }

    pub(super) async fn close_session(&self, node: &Node, session_id: i64) {
        self.wire(node).await.call(Job::CloseSession(CloseSessionRequest { session_id })).await.unwrap();
    }

    pub(super) async fn new_member(&self, node: &Node, info: MemberInfo) {
        self.wire(node)
            .await
            .tell(crate::nano::roster::News::New(info), Duration::from_secs(1))
            .await
            .unwrap();
    }

    pub(super) async fn del_member(&self, node: &Node, addr: String) {
        self.wire(node)
            .await
            .tell(crate::nano::roster::News::Gone(addr), Duration::from_secs(1))
            .await
            .unwrap();
    }

    pub(super) fn info(&self) -> MemberInfo {
        self.info.clone()
    }
}

impl Served {
    fn note(&self, heard: Heard) {
        self.heard.lock().unwrap().push(heard);
    }
}

#[tonic::async_trait]
impl Member for Served {
    async fn handle_request(
        &self,
        request: Request<RequestMessage>,
    ) -> Result<Response<MemberHandleResponse>, Status> {
        let request = request.into_inner();
        self.note(Heard::Request(request.clone()));
        if request.route.ends_with(".refuse") {
            return Err(Status::unknown("service not found in current node"));
        }
        if request.route.ends_with(".echo") {
            let shared = self.shared.clone();
            self.shared.tasks.spawn(async move {
                let wire = Wire::connect(&shared, &request.gate_addr).await.unwrap();
                let (session_id, id, data) = (request.session_id, request.id, request.data);
                wire.call(Job::Response(ResponseMessage { session_id, id, data })).await.unwrap();
            });
        }
        Ok(Response::new(MemberHandleResponse {}))
    }

    async fn handle_notify(
        &self,
        notify: Request<NotifyMessage>,
    ) -> Result<Response<MemberHandleResponse>, Status> {
        let notify = notify.into_inner();
        if notify.route.ends_with(".slow") {
            sleep(Duration::from_millis(500)).await;
        }
        self.note(Heard::Notify(notify));
        Ok(Response::new(MemberHandleResponse {}))
    }

    async fn handle_push(
        &self,
        push: Request<PushMessage>,
    ) -> Result<Response<MemberHandleResponse>, Status> {
        self.note(Heard::Push(push.into_inner()));
        Ok(Response::new(MemberHandleResponse {}))
    }

    async fn handle_response(
        &self,
        response: Request<ResponseMessage>,
    ) -> Result<Response<MemberHandleResponse>, Status> {
        self.note(Heard::Response(response.into_inner()));
        Ok(Response::new(MemberHandleResponse {}))
    }

    async fn new_member(
        &self,
        new: Request<NewMemberRequest>,
    ) -> Result<Response<NewMemberResponse>, Status> {
        self.note(Heard::New(new.into_inner().member_info.unwrap().service_addr));
        Ok(Response::new(NewMemberResponse {}))
    }

    async fn del_member(
        &self,
        gone: Request<DelMemberRequest>,
    ) -> Result<Response<DelMemberResponse>, Status> {
        self.note(Heard::Gone(gone.into_inner().service_addr));
        Ok(Response::new(DelMemberResponse {}))
    }

    async fn session_closed(
        &self,
        closed: Request<SessionClosedRequest>,
    ) -> Result<Response<SessionClosedResponse>, Status> {
        self.note(Heard::Closed(closed.into_inner().session_id));
        Ok(Response::new(SessionClosedResponse {}))
    }

    async fn close_session(
        &self,
        close: Request<CloseSessionRequest>,
    ) -> Result<Response<CloseSessionResponse>, Status> {
        self.note(Heard::Close(close.into_inner().session_id));
        Ok(Response::new(CloseSessionResponse {}))
    }
}

#[tonic::async_trait]
impl Master for Served {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let info = request.into_inner().member_info.unwrap();
        let mut master = self.master.lock().unwrap();
        let is_known = master.members.iter().any(|member| member.service_addr == info.service_addr);
        if master.is_old && is_known {
            return Err(Status::unknown("the address has registered"));
        }
        let members = master.members.clone();
        master.members.push(info.clone());
        self.note(Heard::Register(info));
        Ok(Response::new(RegisterResponse { members }))
    }

    async fn unregister(
        &self,
        request: Request<UnregisterRequest>,
    ) -> Result<Response<UnregisterResponse>, Status> {
        let addr = request.into_inner().service_addr;
        self.master.lock().unwrap().members.retain(|member| member.service_addr != addr);
        self.note(Heard::Unregister(addr));
        Ok(Response::new(UnregisterResponse {}))
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        if self.master.lock().unwrap().is_old {
            return Err(Status::unimplemented("no such method"));
        }
        self.note(Heard::Heartbeat(request.into_inner().member_info.unwrap()));
        Ok(Response::new(HeartbeatResponse {}))
    }
}

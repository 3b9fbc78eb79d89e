//! nano's service `Master`: Go nodes that have this node for their master, each in the registry under a lease for as long as it lives.
//!
//! Go nodes of newer versions say that they live, those of 0.5.0 never do; so each is asked now and then as well. One at whose address nobody listens is
//! over at once, one that was silent for four of its intervals then. When this node dies, its Go nodes stay in the registry for as long, and its next life
//! at the same address takes them over; so it does with one that says that it lives and that nobody here knows.
//!
//! Invariants: a registration neither waits for other Go nodes nor fails because of them; each is told by a task of its own.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use dunlin_registry::Registry;
use dunlin_registry::nodes::{Announced, NodeRecord, NodeTable};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tonic::{Request, Response, Status};

use super::Shared;
use super::convert;
use super::generated::master_server::{Master as MasterService, MasterServer};
use super::messages::{
    HeartbeatRequest, HeartbeatResponse, MemberInfo, RegisterRequest, RegisterResponse, UnregisterRequest,
    UnregisterResponse,
};
use super::roster::{Members, Roster, wanted};
use super::wire::{CallError, Wire};
use crate::core::Backoff;
use crate::limits::{
    HELLO_TIMEOUT, NANO_ANNOUNCE_TIMEOUT, NANO_CALL_TIMEOUT, NANO_MEMBER_LEN_MAX, NANO_MEMBERS_LEN_MAX,
    NANO_NODES_MAX, NANO_REGISTER_TIMEOUT,
};
use crate::link::chain;

/// A Go node that misses so many of its intervals is over.
const INTERVALS_MAX: u32 = 4;

/// How often in an interval a node is asked whether it lives.
const PROBES: u32 = 3;

/// How long Go nodes are told that this node leaves.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(crate) struct Master {
    shared: Arc<Shared>,
    me: NodeRecord,
    ready: OnceLock<Ready>,
    roster: Mutex<Roster>,
    /// The members' records. Whoever changes who is a member holds it.
    records: tokio::sync::Mutex<HashMap<String, (u64, Announced)>>,
    is_leaving: AtomicBool,
    /// Members may have to be told something that is not in the table.
    news: Notify,
}

/// What there is once the node is in the registry.
#[derive(Debug)]
struct Ready {
    registry: Arc<dyn Registry>,
    table: watch::Receiver<Arc<NodeTable>>,
}

/// The service, for the node's port.
pub(crate) fn service(master: Arc<Master>) -> MasterServer<impl MasterService> {
    MasterServer::new(Served(master))
        .max_decoding_message_size(NANO_MEMBER_LEN_MAX)
        .max_encoding_message_size(NANO_MEMBERS_LEN_MAX)
}

struct Served(Arc<Master>);

#[tonic::async_trait]
impl MasterService for Served {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let info = said(request.into_inner().member_info)?;
        let members = self.whole(|master| async move { master.register(&info).await }).await?;
        Ok(Response::new(RegisterResponse { members }))
    }

    async fn unregister(
        &self,
        request: Request<UnregisterRequest>,
    ) -> Result<Response<UnregisterResponse>, Status> {
        let addr = request.into_inner().service_addr;
        self.whole(|master| async move {
            master.unregister(&addr).await;
            Ok(())
        })
        .await?;
        Ok(Response::new(UnregisterResponse {}))
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        let info = said(request.into_inner().member_info)?;
        self.whole(|master| async move { master.handle_heartbeat(&info).await }).await?;
        Ok(Response::new(HeartbeatResponse {}))
    }
}

impl Served {
    /// Does something to its end, also when whoever asked for it is gone meanwhile.
    async fn whole<T, F>(&self, work: impl FnOnce(Arc<Master>) -> F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Status>> + Send + 'static,
    {
        let done = self.0.shared.tasks.spawn(work(self.0.clone())).await;
        done.unwrap_or_else(|_| Err(Status::unavailable("the node is stopping")))
    }
}

fn said(info: Option<MemberInfo>) -> Result<MemberInfo, Status> {
    let info = info.filter(|info| !info.service_addr.is_empty());
    info.ok_or_else(|| Status::invalid_argument("the node does not say its address"))
}

impl Master {
    pub(crate) fn new(shared: Arc<Shared>, me: NodeRecord) -> Arc<Self> {
        let roster = Mutex::new(Roster::new(shared.heartbeat * INTERVALS_MAX));
        Arc::new(Self {
            shared,
            me,
            ready: OnceLock::new(),
            roster,
            records: tokio::sync::Mutex::default(),
            is_leaving: AtomicBool::new(false),
            news: Notify::new(),
        })
    }

    /// Takes Go nodes in from now on, those of an earlier life of this node first.
    pub(crate) fn begin(
        self: &Arc<Self>,
        registry: Arc<dyn Registry>,
        table: watch::Receiver<Arc<NodeTable>>,
    ) {
        let known = table.borrow().clone();
        // It begins once.
        self.ready.set(Ready { registry, table }).ok();
        let is_mine = |node: &&NodeRecord| {
            convert::is_nano(node) && node.labels.get(super::LABEL_VIA) == Some(&self.shared.addr)
        };
        let mine: Vec<MemberInfo> = known.iter().filter(is_mine).filter_map(convert::member_info).collect();
        let master = self.clone();
        self.shared.tasks.spawn(self.shared.dialer.stop.clone().run_until_cancelled_owned(async move {
            for info in mine {
                if let Err(status) = master.handle_heartbeat(&info).await {
                    tracing::warn!(node = info.label, %status, "a node of nano cannot be taken over");
                }
            }
        }));
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> Result<&Ready, Status> {
        let is_over = self.is_leaving.load(Ordering::Acquire) || self.shared.dialer.stop.is_cancelled();
        let ready = self.ready.get().filter(|_| !is_over);
        ready.ok_or_else(|| Status::unavailable("the node is starting, or stopping"))
    }

    fn wanted(&self, ready: &Ready) -> Members {
        wanted(&ready.table.borrow(), &self.me, self.is_leaving.load(Ordering::Acquire))
    }

    async fn register(self: &Arc<Self>, info: &MemberInfo) -> Result<Vec<MemberInfo>, Status> {
        let ready = self.ready()?;
        let addr = &info.service_addr;
        let mut records = self.records.lock().await;
        if let Some((_, before)) = records.remove(addr) {
            // Its sessions end before the new ones begin.
            withdraw(addr, before).await;
        }
        let id = fastrand::u64(1..);
        let announced = self.announce(ready, id, info).await?;
        let members = self.roster().handle_register(now(), (addr, id), &self.wanted(ready));
        tracing::info!(node = info.label, addr, "a node of nano has registered");
        self.keep(&mut records, (addr, id), announced);
        Ok(members)
    }

    async fn unregister(&self, addr: &str) {
        let record = self.records.lock().await.remove(addr);
        if let Some((id, announced)) = record {
            self.roster().remove(addr, id);
            self.news.notify_waiters();
            tracing::info!(addr, "a node of nano has left");
            withdraw(addr, announced).await;
        }
    }

    async fn handle_heartbeat(self: &Arc<Self>, info: &MemberInfo) -> Result<(), Status> {
        let addr = &info.service_addr;
        if self.roster().handle_heard(now(), addr) {
            return Ok(());
        }
        let ready = self.ready()?;
        let mut records = self.records.lock().await;
        if self.roster().handle_heard(now(), addr) {
            return Ok(());
        }
        let known = records_of(&ready.table.borrow(), addr).next().map(|node| node.id);
        let id = known.unwrap_or_else(|| fastrand::u64(1..));
        let announced = self.announce(ready, id, info).await?;
        self.roster().handle_adopted(now(), (addr, id), &self.wanted(ready));
        tracing::info!(node = info.label, addr, "a node of nano that was registered before is taken over");
        self.keep(&mut records, (addr, id), announced);
        Ok(())
    }

    async fn announce(&self, ready: &Ready, id: u64, info: &MemberInfo) -> Result<Announced, Status> {
        if self.roster().len() >= NANO_NODES_MAX {
            return Err(Status::resource_exhausted("no more nodes of nano are taken"));
        }
        let addr = Some(&*info.service_addr);
        let is_ours = |node: &NodeRecord| !convert::is_nano(node) && convert::addr(node) == addr;
        if addr == Some(&self.shared.addr) || ready.table.borrow().iter().any(is_ours) {
            return Err(Status::already_exists("a node of dunlin has this address"));
        }
        let record = convert::record(id, info, &self.shared.addr);
        let ttl = self.shared.heartbeat * INTERVALS_MAX;
        let announcing = Announced::announce(ready.registry.clone(), record, ttl);
        match timeout(NANO_ANNOUNCE_TIMEOUT, announcing).await {
            Ok(Ok(announced)) => Ok(announced),
            Ok(Err(error)) => {
                tracing::warn!(addr, error = chain(&error), "a node of nano cannot be written down");
                Err(Status::unavailable("the registry does not take the node"))
            }
            Err(_) => Err(Status::unavailable("the registry does not take the node in time")),
        }
    }

    /// Keeps a member from now on.
    fn keep(
        self: &Arc<Self>,
        records: &mut HashMap<String, (u64, Announced)>,
        (addr, id): (&str, u64),
        announced: Announced,
    ) {
        records.insert(addr.to_owned(), (id, announced));
        let stop = self.shared.dialer.stop.clone();
        let before = self
            .ready
            .get()
            .map(|ready| records_of(&ready.table.borrow(), addr).map(|node| node.id).collect());
        let member = Member { addr: addr.to_owned(), id, before: before.unwrap_or_default() };
        let keeping = keep(self.clone(), member);
        self.shared.tasks.spawn(stop.run_until_cancelled_owned(keeping));
    }

    /// Tells all that this node leaves. Their records stay until they are silent for too long: they may be its next life's.
    pub(crate) async fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
        self.news.notify_waiters();
        let Some(ready) = self.ready.get() else { return };
        let telling = async {
            while !self.is_said(&self.wanted(ready)) {
                sleep(LEAVE_TIMEOUT / 20).await;
            }
        };
        // Whoever does not hear it finds out when nobody listens here.
        timeout(LEAVE_TIMEOUT, telling).await.ok();
    }

    fn is_said(&self, wanted: &Members) -> bool {
        let roster = self.roster();
        roster.all().all(|member| roster.poll_news(member, wanted).is_none())
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

async fn withdraw(addr: &str, announced: Announced) {
    if !matches!(timeout(NANO_REGISTER_TIMEOUT, announced.withdraw()).await, Ok(Ok(()))) {
        tracing::warn!(addr, "the record of a node of nano could not be taken away; it goes with its lease");
    }
}

/// The records of Go nodes at an address.
fn records_of<'a>(table: &'a NodeTable, addr: &'a str) -> impl Iterator<Item = &'a NodeRecord> {
    table.iter().filter(move |node| convert::is_nano(node) && convert::addr(node) == Some(addr))
}

/// A Go node that has registered here.
struct Member {
    addr: String,
    id: u64,
    /// Records of its address that there were when it had.
    before: BTreeSet<u64>,
}

impl Member {
    /// Whether it has registered with another node since.
    fn is_elsewhere(&self, table: &NodeTable, me: &str) -> bool {
        records_of(table, &self.addr).any(|node| match node.id == self.id {
            true => node.labels.get(super::LABEL_VIA).is_some_and(|via| via != me),
            false => !self.before.contains(&node.id),
        })
    }
}

/// Keeps a member, until it is over.
async fn keep(master: Arc<Master>, member: Member) {
    let (addr, id) = (member.addr.clone(), member.id);
    let mut backoff = Backoff::default();
    let mut refused_at = None;
    loop {
        let ends_at = master.roster().ends_at(&addr, id);
        let Some(ends_at) = ends_at else { break };
        let is_elsewhere = |ready: &Ready| member.is_elsewhere(&ready.table.borrow(), &master.shared.addr);
        if master.ready.get().is_some_and(is_elsewhere) {
            tracing::info!(addr, "a node of nano has another master now");
            break;
        }
        if ends_at <= now() {
            tracing::warn!(addr, "a node of nano was silent for too long, and is a member no more");
            break;
        }
        match Wire::connect(&master.shared, &addr).await {
            Ok(wire) => {
                refused_at = None;
                if live(&master, &member, &wire).await {
                    backoff = Backoff::default();
                }
            }
            Err(error) if error.is_refused() => {
                let since: Instant = *refused_at.get_or_insert_with(Instant::now);
                if since.elapsed() >= master.shared.dialer.timing.comeback {
                    tracing::warn!(
                        addr,
                        "nobody listens at the address of a node of nano, and it is a member no more"
                    );
                    break;
                }
            }
            Err(error) => {
                refused_at = None;
                tracing::debug!(addr, error = chain(&error), "a node of nano is not reached");
            }
        }
        sleep(backoff.pause(fastrand::f64())).await;
    }
    let record = {
        let mut records = master.records.lock().await;
        master.roster().remove(&addr, id);
        let is_mine = records.get(&addr).is_some_and(|(known, _)| *known == id);
        if is_mine { records.remove(&addr) } else { None }
    };
    if let Some((_, announced)) = record {
        withdraw(&addr, announced).await;
    }
}

/// One connection with a member, until it breaks or the member is over. Whether the member has heard all that it was told.
async fn live(master: &Master, member: &Member, wire: &Wire) -> bool {
    let (addr, id) = (&*member.addr, member.id);
    let Some(ready) = master.ready.get() else { return false };
    let mut table = ready.table.clone();
    let mut probes = interval(master.shared.heartbeat / PROBES);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let news = master.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        if member.is_elsewhere(&table.borrow_and_update(), &master.shared.addr) {
            return true;
        }
        let ends_at = master.roster().ends_at(addr, id).filter(|ends_at| *ends_at > now());
        let Some(ends_at) = ends_at else { return true };
        let next = master.roster().poll_news((addr, id), &master.wanted(ready));
        if let Some(next) = next {
            let told = wire.tell(next.clone(), NANO_CALL_TIMEOUT).await;
            master.roster().handle_told((addr, id), &next, told.is_ok());
            match told {
                Ok(()) => drop(master.roster().handle_heard(now(), addr)),
                Err(error) => {
                    tracing::warn!(addr, error = chain(&error), "a node of nano was not told of another one");
                    return false;
                }
            }
            continue;
        }
        tokio::select! {

            () = wire.broken() => return true,
            () = &mut news => {}
            changed = table.changed() => if changed.is_err() {
                return true;
            },
            () = sleep_until(Instant::from_std(ends_at)) => return true,
            _ = probes.tick() => match wire.probe(HELLO_TIMEOUT).await {
                Ok(()) => drop(master.roster().handle_heard(now(), addr)),
                Err(CallError::TimedOut) => {}
                Err(_) => return true,
            },
        }
    }
}

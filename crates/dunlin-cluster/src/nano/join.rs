//! This node as a member of a Go master: it registers, says that it lives, and hears who comes and goes.
//!
//! A Go master tells all others of a member whenever it registers, and they keep it once more each time; what they are told by its leaving they
//! take away once. So a node that registers leaves first, in case an earlier life of it is known. It registers once, and again when nobody listened at
//! the master's address for a moment: a master that was started anew would take it in when it says that it lives, but tell nobody. It says so first, then
//! leaves, then registers, and whoever the new master knows has it once. A master of nano 0.5.0 knows no heartbeats; there a node registers again whenever
//! the connection was lost.
//!
//! Invariants: a member that was known is known until its master says that it is gone, without a master too; a node is never a member of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dunlin_registry::nodes::NodeRecord;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tonic::Code;

use super::Shared;
use super::convert;
use super::messages::{HeartbeatRequest, MemberInfo, RegisterRequest, UnregisterRequest};
use super::wire::{CallError, Wire};
use crate::limits::{
    NANO_CALL_TIMEOUT, NANO_NODES_MAX, NANO_REGISTER_PAUSE, NANO_REGISTER_TIMEOUT, REDIAL_PAUSE_MIN,
    STOP_TIMEOUT,
};
use crate::link::chain;

/// The members of a Go master, as this node knows them; none while it has none.
#[derive(Debug)]
pub(crate) struct Joined {
    shared: Arc<Shared>,
    me: MemberInfo,
    members: Mutex<BTreeMap<String, NodeRecord>>,
    told: watch::Sender<Arc<Vec<NodeRecord>>>,
    /// The address of the master, once this node is a member.
    master: Mutex<Option<String>>,
}

impl Joined {
    pub(crate) fn new(shared: Arc<Shared>, record: &NodeRecord) -> Self {
        let (label, services) = (record.name.clone(), record.services.clone());
        let me = MemberInfo { label, service_addr: shared.addr.clone(), services };
        Self {
            shared,
            me,
            members: Mutex::default(),
            told: watch::Sender::default(),
            master: Mutex::default(),
        }
    }

    /// The members, and whenever they change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Vec<NodeRecord>>> {
        self.told.subscribe()
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<String, NodeRecord>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn master(&self) -> MutexGuard<'_, Option<String>> {
        self.master.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, members: &BTreeMap<String, NodeRecord>) {
        self.told.send_replace(Arc::new(members.values().cloned().collect()));
    }

    /// There is another member, or another life of one: whoever says it twice has said it once.
    pub(crate) fn handle_new(&self, info: &MemberInfo) {
        let mut members = self.members();
        if self.insert(&mut members, info) {
            self.tell(&members);
        }
    }

    /// A member is gone.
    pub(crate) fn handle_gone(&self, addr: &str) {
        let mut members = self.members();
        if members.remove(addr).is_some() {
            self.tell(&members);
        }
    }

    /// The master says who is there. One that was started anew does not know all.
    fn handle_members(&self, infos: &[MemberInfo]) {
        let mut members = self.members();
        for info in infos {
            self.insert(&mut members, info);
        }
        self.tell(&members);
    }

    fn insert(&self, members: &mut BTreeMap<String, NodeRecord>, info: &MemberInfo) -> bool {
        let addr = info.service_addr.clone();
        if addr.is_empty() || addr == self.me.service_addr {
            return false;
        }
        let known = members.get(&addr);
        if known.is_none() && members.len() >= NANO_NODES_MAX {
            tracing::warn!(addr, "a member of the Go master is passed over: there are too many");
            return false;
        }
        let is_same = known.is_some_and(|known| convert::member_info(known).as_ref() == Some(info));
        if !is_same {
            // Whoever serves something else is another one.
            members.insert(addr, convert::record(fastrand::u64(1..), info, ""));
        }
        !is_same
    }

    /// Tells the master that this node leaves.
    pub(crate) async fn leave(&self) {
        let Some(master) = self.master().take() else { return };
        let telling = async {
            let wire = Wire::connect(&self.shared, &master).await.ok()?;
            self.unregister(&wire).await.ok()
        };
        if !matches!(timeout(STOP_TIMEOUT, telling).await, Ok(Some(()))) {
            tracing::warn!(master, "the Go master was not told that this node leaves");
        }
    }

    async fn unregister(&self, wire: &Wire) -> Result<(), CallError> {
        let request = UnregisterRequest { service_addr: self.me.service_addr.clone() };
        wire.within(NANO_REGISTER_TIMEOUT, wire.master().unregister(request)).await.map(drop)
    }

    async fn register(&self, wire: &Wire) -> Result<(), CallError> {
        let request = RegisterRequest { member_info: Some(self.me.clone()) };
        let registered = wire.within(NANO_REGISTER_TIMEOUT, wire.master().register(request)).await?;
        self.handle_members(&registered.members);
        Ok(())
    }

    async fn beat(&self, wire: &Wire) -> Result<(), CallError> {
        let request = HeartbeatRequest { member_info: Some(self.me.clone()) };
        wire.within(NANO_CALL_TIMEOUT, wire.master().heartbeat(request)).await.map(drop)
    }
}

/// What this node is to its master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Unknown, or known from an earlier life.
    Stranger,
    Member,
    /// A member of the master's life before, perhaps.
    Former,
}

/// Keeps this node a member, until it stops.
pub(crate) async fn keep(joined: Arc<Joined>, master: String) {
    let stop = joined.shared.dialer.stop.clone();
    let keeping = async {
        let mut standing = Standing::Stranger;
        loop {
            let mut pause = NANO_REGISTER_PAUSE;
            match Wire::connect(&joined.shared, &master).await {
                Ok(wire) => {
                    standing = live(&joined, &master, (&wire, standing)).await;
                    if standing == Standing::Member {
                        // Whether somebody listens there still is to be known at once.
                        pause = REDIAL_PAUSE_MIN;
                    }
                }
                Err(error) => {
                    tracing::warn!(master, error = chain(&error), "the Go master is not reached");
                    if error.is_refused() && standing == Standing::Member {
                        standing = Standing::Former;
                    }
                }
            }
            sleep(pause).await;
        }
    };
    stop.run_until_cancelled(keeping).await;
}

/// One connection with the master. What this node is to it when it has ended.
async fn live(joined: &Joined, master: &str, (wire, standing): (&Wire, Standing)) -> Standing {
    if standing != Standing::Member {
        if standing == Standing::Former {
            // Where that is not known there is nothing to be taken away.
            joined.beat(wire).await.ok();
        }
        // Where nothing of this node is known there is nothing to be taken away either.
        joined.unregister(wire).await.ok();
        if let Err(error) = joined.register(wire).await {
            tracing::warn!(master, error = chain(&error), "the Go master does not take this node");
            return standing;
        }
        *joined.master() = Some(master.to_owned());
        tracing::info!(master, members = joined.members().len(), "this node is a member of a Go master");
    }
    let mut beats = interval(joined.shared.heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut knows_beats = true;
    loop {
        tokio::select! {

            () = wire.broken() => return if knows_beats { Standing::Member } else { Standing::Former },
            _ = beats.tick(), if knows_beats => match joined.beat(wire).await {
                Err(CallError::Refused(status)) if status.code() == Code::Unimplemented => knows_beats = false,
                Err(error @ CallError::Refused(_)) => {
                    tracing::warn!(master, error = chain(&error), "the Go master does not want to hear of this node");
                }
                Err(_) => return Standing::Member,
                Ok(()) => {}
            },
        }
    }
}

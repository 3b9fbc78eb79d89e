//! This node as a member of a Go master: it registers, says that it lives, and hears who comes and goes.
//!
//! A Go master tells all others of a member whenever it registers, so a node does that once: a newer master that was started anew takes it in when it says
//! that it lives. One of 0.5.0 does not know that call, so there a node registers again when the connection was lost; and it refuses whoever it has
//! already, so what a life before has left there is taken away first.
//!
//! Invariants: without its master a node knows the members that it knew; it is never a member of its own.

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
    NANO_CALL_TIMEOUT, NANO_NODES_MAX, NANO_REGISTER_PAUSE, NANO_REGISTER_TIMEOUT, STOP_TIMEOUT,
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

    /// The master says who is there.
    fn handle_members(&self, infos: &[MemberInfo]) {
        let mut members = self.members();
        members.retain(|addr, _| infos.iter().any(|info| info.service_addr == *addr));
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

/// Keeps this node a member, until it stops.
pub(crate) async fn keep(joined: Arc<Joined>, master: String) {
    let stop = joined.shared.dialer.stop.clone();
    let keeping = async {
        let mut is_member = false;
        loop {
            match Wire::connect(&joined.shared, &master).await {
                Ok(wire) => is_member = live(&joined, &master, (&wire, is_member)).await,
                Err(error) => tracing::warn!(master, error = chain(&error), "the Go master is not reached"),
            }
            sleep(NANO_REGISTER_PAUSE).await;
        }
    };
    stop.run_until_cancelled(keeping).await;
}

/// One connection with the master. Whether this node is still a member when it has ended.
async fn live(joined: &Joined, master: &str, (wire, is_member): (&Wire, bool)) -> bool {
    if !is_member {
        if let Err(error) = joined.register(wire).await {
            tracing::warn!(master, error = chain(&error), "the Go master does not take this node");
            if matches!(error, CallError::Refused(_)) {
                // Where an earlier life has left nothing there is nothing to take away.
                joined.unregister(wire).await.ok();
            }
            return false;
        }
        *joined.master() = Some(master.to_owned());
        tracing::info!(master, members = joined.members().len(), "this node is a member of a Go master");
    }
    let mut beats = interval(joined.shared.heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut knows_beats = true;
    loop {
        tokio::select! {

            () = wire.broken() => return knows_beats,
            _ = beats.tick(), if knows_beats => match joined.beat(wire).await {
                Err(CallError::Refused(status)) if status.code() == Code::Unimplemented => knows_beats = false,
                Err(error @ CallError::Refused(_)) => {
                    tracing::warn!(master, error = chain(&error), "the Go master does not want to hear of this node");
                }
                Err(_) => return knows_beats,
                Ok(()) => {}
            },
        }
    }
}

//! What the buttons do: the one object that kills, cuts and drains. All nodes of the demo have it as their state.
//!
//! It acts on a runtime of its own, since a handler's ends with its node. Everything it begins is over after some seconds,
//! and only one thing of a kind is under way at a time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context;
use dunlin::{App, Error, Node, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::desk::Desk;
use super::events::{Action, Events, UnderWay};
use super::ledger::{Court, serve_ledger};
use super::messages::Phase;
use super::nodes::{NAMES, Nodes, name};
use super::pages::serve_pages;
use super::pond::Pond;
use super::ports::reachable;
use super::slow::Slow;

/// How long a node is away that was killed or drained.
const AWAY: Duration = Duration::from_secs(6);

/// How long a link is cut unless it is mended before.
const CUT: Duration = Duration::from_secs(8);

/// The answer to a button goes out before its node is gone.
const LAST_WORDS: Duration = Duration::from_millis(150);

/// How long to wait until a node that does not start is tried again: its port may be taken, or its directory not yet free.
const START_PAUSE: Duration = Duration::from_millis(400);

/// See the module.
pub(super) struct Lab {
    me: Weak<Self>,
    pub(super) nodes: Nodes,
    pub(super) court: Court,
    pub(super) events: Events,
    runtime: Handle,
    tasks: Mutex<JoinSet<()>>,
    /// Tells the cut that is under way, if one is, to end.
    mending: Mutex<Option<oneshot::Sender<()>>>,
}

impl Lab {
    /// A lab around nodes that are not started yet. To be called on the runtime that it is to act on.
    pub(super) fn new(nodes: Nodes) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            nodes,
            court: Court::default(),
            events: Events::new(Instant::now()),
            runtime: Handle::current(),
            tasks: Mutex::default(),
            mending: Mutex::default(),
        })
    }

    /// Starts a node.
    ///
    /// # Errors
    ///
    /// [`dunlin::StartError`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, see [`App::start`].
    pub(super) async fn start(self: &Arc<Self>, index: usize) -> std::result::Result<(), dunlin::StartError> {
        self.nodes.set_phase(index, Phase::Starting);
        let life = self.nodes.next_life(index);
        let name = name(index);
        let app = serve_pages(App::new(), self.nodes.client_addrs());
        let app = serve_ledger(app, name, life, &self.court);
        let app = app.service(Pond::at(name)).service_as("Lab", Desk).state(self.clone());
        self.nodes.start(index, app).await?;
        self.heed(index, name);
        Ok(())
    }

    /// Drains a node when somebody asks for that elsewhere, on the cluster page or by the command.
    fn heed(self: &Arc<Self>, index: usize, name: &'static str) {
        let Some(node) = self.nodes.node(index) else { return };
        let lab = self.me.clone();
        let heeding = async move {
            node.stop_asked().await;
            drop(node);
            if let Some(lab) = lab.upgrade() {
                // One that is away already was asked here.
                lab.drain(name).ok();
            }
        };
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn_on(heeding, &self.runtime);
    }

    /// Ends everything at once.
    pub(super) fn end(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.nodes.abort();
    }

    /// The node that leads, and its term.
    pub(super) fn leader(&self) -> Option<(usize, u64)> {
        let leads = |index| {
            let voter = self.nodes.voter(index)?;
            (voter.leader == index as u64 + 1).then_some((index, voter.term))
        };
        (0..NAMES.len()).filter_map(leads).max_by_key(|(_, term)| *term)
    }

    /// Kills the node that leads, as a crash does. It comes back by itself.
    ///
    /// # Errors
    ///
    /// Code 409 while another one is away so, 503 when nobody leads.
    pub(super) fn kill_leader(&self) -> Result<String> {
        let under_way = self.events.begin(Action::KillLeader)?;
        let (index, term) = self.leader().ok_or_else(|| Error::unavailable("nobody leads at this moment"))?;
        let said = self.events.add(format!("{} led in term {term} and is killed", name(index)));
        self.act(under_way, move |lab| async move {
            sleep(LAST_WORDS).await;
            lab.kill(index);
            sleep(AWAY).await;
            lab.revive(index).await;
        });
        Ok(said)
    }

    fn kill(&self, index: usize) {
        if let Some(node) = self.nodes.set_phase(index, Phase::Down) {
            node.abort();
        }
        self.court.judge().handle_node_gone(Instant::now(), self.nodes.life(index));
    }

    /// Stops a node as a deploy does: its clients are sent away, what runs is finished. It comes back by itself.
    ///
    /// # Errors
    ///
    /// Code 404 when there is no such node, 409 when it is not up or another one drains.
    pub(super) fn drain(&self, node: &str) -> Result<String> {
        let index = self.find(node)?;
        let under_way = self.events.begin(Action::Drain)?;
        if self.nodes.phase(index) != Phase::Up {
            return Err(Error::conflict("this node is not up"));
        }
        let stopping = self.nodes.set_phase(index, Phase::Draining);
        let said = self.events.add(format!("{node} drains: it lets nobody in and finishes what it has"));
        self.act(under_way, move |lab| async move {
            sleep(LAST_WORDS).await;
            if let Some(stopping) = stopping {
                lab.stop(index, &stopping).await;
            }
            sleep(AWAY).await;
            lab.revive(index).await;
        });
        Ok(said)
    }

    async fn stop(&self, index: usize, node: &Node) {
        let is_clean = node.stop().await.is_clean;
        drop(self.nodes.set_phase(index, Phase::Down));
        self.court.judge().handle_node_gone(Instant::now(), self.nodes.life(index));
        let how = if is_clean { "nothing was cut short" } else { "not all was finished in time" };
        self.events.add(format!("{} has stopped; {how}", name(index)));
    }

    /// Brings a node back from its directory, however often that must be tried.
    async fn revive(self: Arc<Self>, index: usize) {
        while let Err(error) = self.start(index).await {
            tracing::info!(node = name(index), %error, "the node does not start yet");
            sleep(START_PAUSE).await;
        }
        self.events.add(format!("{} is back, from its own log", name(index)));
    }

    /// Cuts the link between two nodes. It is mended after some seconds, or by [`mend`](Self::mend).
    ///
    /// # Errors
    ///
    /// Code 404 when there are no such nodes, 409 while another link is cut.
    pub(super) fn cut(&self, one: &str, other: &str) -> Result<String> {
        let link = (self.find(one)?, self.find(other)?);
        if link.0 == link.1 {
            return Err(Error::bad_request("a link has two ends"));
        }
        let under_way = self.events.begin(Action::CutLink)?;
        self.nodes.cut(link);
        let said = self.events.add(format!("the link between {one} and {other} is cut"));
        let (one, other) = (one.to_owned(), other.to_owned());
        let (mend, mended) = oneshot::channel();
        *self.mending() = Some(mend);
        self.act(under_way, move |lab| async move {
            // Nobody mends it when the time is over, or somebody did.
            timeout(CUT, mended).await.ok();
            drop(lab.mending().take());
            lab.nodes.mend(link);
            lab.events.add(format!("the link between {one} and {other} is mended"));
        });
        Ok(said)
    }

    /// Mends the link that is cut.
    ///
    /// # Errors
    ///
    /// Code 409 when none is.
    pub(super) fn mend(&self) -> Result<String> {
        let mend = self.mending().take().ok_or_else(|| Error::conflict("no link is cut"))?;
        // If its time is over this very moment, it is mended as well.
        mend.send(()).ok();
        Ok("the link is mended".to_owned())
    }

    fn mending(&self) -> MutexGuard<'_, Option<oneshot::Sender<()>>> {
        self.mending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a client in that stops reading, until its node ends it.
    ///
    /// # Errors
    ///
    /// Code 409 while another one is slow, 503 when no node is up.
    pub(super) fn slow_client(&self) -> Result<String> {
        let under_way = self.events.begin(Action::SlowClient)?;
        let index = self.some_node().ok_or_else(|| Error::unavailable("no node is up"))?;
        let said = self.events.add(format!("a client of {} is about to stop reading", name(index)));
        self.act(under_way, move |lab| async move {
            if let Err(error) = lab.be_slow(index).await {
                // Another button may have taken its node away.
                lab.events.add(format!("the slow client of {} did not get that far: {error:#}", name(index)));
            }
        });
        Ok(said)
    }

    async fn be_slow(&self, index: usize) -> anyhow::Result<()> {
        let node = self.nodes.node(index).context("the node is gone")?;
        let (took, flooded) = Slow::enter(self.gate(index)?).await?.stop_reading(&node).await?;
        drop(node);
        let (took, mib) = (took.as_secs_f64(), flooded as f64 / f64::from(1 << 20));
        let name = name(index);
        self.events.add(format!("{name} ended the slow client after {took:.1} s, {mib:.1} MiB behind"));
        let back = self.some_node().context("no node is up")?;
        Slow::enter(self.gate(back)?).await?.swim_on().await;
        Ok(())
    }

    /// Where clients of a node are served.
    fn gate(&self, index: usize) -> anyhow::Result<SocketAddr> {
        self.nodes.client_addrs().nth(index).map(reachable).context("there is no such node")
    }

    /// Any node that is up.
    fn some_node(&self) -> Option<usize> {
        let up = (0..NAMES.len()).filter(|index| self.nodes.phase(*index) == Phase::Up);
        fastrand::choice(up.collect::<Vec<_>>())
    }

    /// Does something on the lab's runtime; it is under way until that is over.
    fn act<F>(&self, under_way: UnderWay, action: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(lab) = self.me.upgrade() else { return };
        let action = action(lab);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        let task = async move {
            action.await;
            drop(under_way);
        };
        tasks.spawn_on(task, &self.runtime);
    }

    fn find(&self, node: &str) -> Result<usize> {
        self.nodes.index_of(node).ok_or_else(|| Error::not_found("there is no node of this name"))
    }
}

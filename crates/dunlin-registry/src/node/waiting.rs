//! Who waits for what: requests by their numbers.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::driver::RequestId;
use crate::error::RegistryError;
use crate::store::Outcome;

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Done {
    /// A command was applied.
    Command(Outcome),
    /// A change of members was applied.
    Change,
    /// What is read now is not stale.
    Readable,
    /// It is not done.
    Refused(RegistryError),
}

/// See the module. Whoever waits takes itself out when it no longer does.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    requests: HashMap<RequestId, oneshot::Sender<Done>>,
    /// Requests that nobody waits for any more, for the driver to hear of.
    forgotten: Vec<RequestId>,
}

impl Waiting {
    pub(crate) fn insert(&mut self, request: RequestId) -> oneshot::Receiver<Done> {
        let (tell, told) = oneshot::channel();
        self.requests.insert(request, tell);
        told
    }

    /// Nobody waits for a request any more, answered or not.
    pub(crate) fn forget(&mut self, request: RequestId) {
        self.requests.remove(&request);
        self.forgotten.push(request);
    }

    /// Takes the requests that were forgotten since this was asked last.
    pub(crate) fn take_forgotten(&mut self) -> Vec<RequestId> {
        std::mem::take(&mut self.forgotten)
    }

    /// Tells what came of a request, if anybody waits for it.
    pub(crate) fn tell(&mut self, request: RequestId, done: Done) -> bool {
        // Whoever asked may have gone this very moment.
        self.requests.remove(&request).is_some_and(|tell| tell.send(done).is_ok())
    }

    /// Tells everybody that nothing more comes.
    pub(crate) fn stop(&mut self) {
        for (_, tell) in self.requests.drain() {
            tell.send(Done::Refused(RegistryError::Stopped)).ok();
        }
    }
}

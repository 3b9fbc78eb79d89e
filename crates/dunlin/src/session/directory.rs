//! The sessions of this node that are bound to a uid.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::{Session, SessionId};

type ByUid = HashMap<Arc<str>, Vec<Session>, foldhash::fast::RandomState>;

/// Finds the sessions of a user on this node. Only bound sessions are known here: others cost nothing.
#[derive(Debug, Default)]
pub struct Sessions {
    by_uid: Mutex<ByUid>,
}

impl Sessions {
    /// The sessions bound to `uid`, in the order in which they were bound.
    #[must_use]
    pub fn of_uid(&self, uid: &str) -> Vec<Session> {
        self.lock().get(uid).cloned().unwrap_or_default()
    }

    /// How many users have a session bound here.
    #[must_use]
    pub fn uid_count(&self) -> usize {
        self.lock().len()
    }

    /// The sessions of this gate's users whose uid contains `part`, `limit` of them at most, in the order of their uids from `after` on. For tools:
    /// it looks at every user.
    #[must_use]
    pub fn find(&self, part: &str, after: Option<&str>, limit: usize) -> Vec<Session> {
        let mut found: Vec<Session> = {
            let by_uid = self.lock();
            let mut uids: Vec<&Arc<str>> = by_uid
                .keys()
                .filter(|uid| uid.contains(part) && after.is_none_or(|after| ***uid > *after))
                .collect();
            if uids.len() > limit {
                uids.select_nth_unstable(limit);
                uids.truncate(limit);
            }
            uids.sort_unstable();
            uids.into_iter()
                .flat_map(|uid| &by_uid[uid])
                .filter(|session| !session.is_visitor())
                .cloned()
                .collect()
        };
        found.truncate(limit);
        found
    }

    pub(crate) fn insert(&self, uid: Arc<str>, session: Session) {
        self.lock().entry(uid).or_default().push(session);
    }

    pub(crate) fn remove(&self, uid: &str, id: SessionId) {
        let mut by_uid = self.lock();
        let Some(sessions) = by_uid.get_mut(uid) else { return };
        sessions.retain(|session| session.id() != id);
        if sessions.is_empty() {
            by_uid.remove(uid);
        }
    }

    fn lock(&self) -> MutexGuard<'_, ByUid> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

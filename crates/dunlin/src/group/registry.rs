//! The groups of one application by name.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use hashbrown::HashMap;

use super::{Group, GroupInner};
use crate::app::Shared;

/// The groups of an application. A named group is made when it is first asked for, and forgotten when nobody holds
/// it and nobody is a member of it any more.
#[derive(Clone)]
pub struct Groups(Arc<Registry>);

#[derive(Default)]
pub(crate) struct Registry {
    app: OnceLock<Weak<Shared>>,
    by_name: Mutex<HashMap<Arc<str>, Weak<GroupInner>, foldhash::fast::RandomState>>,
}

impl Groups {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Tells the registry whose groups it makes; done once, when the application is built.
    pub(crate) fn set_app(&self, app: Weak<Shared>) {
        // The only caller is the constructor of `Shared`, so nothing was set before.
        self.0.app.set(app).ok();
    }

    /// The application whose groups these are.
    pub(crate) fn app(&self) -> Weak<Shared> {
        self.0.app.get().cloned().unwrap_or_default()
    }

    /// The group of that name, made if there is none. A closed group is replaced by a new one.
    #[must_use]
    pub fn group(&self, name: &str) -> Group {
        // Declared before the guard: if this was the last handle of a closed group, it is dropped, and asks for
        // this registry's lock, only after the guard is gone.
        let closed;
        let mut by_name = self.lock();
        if let Some(group) = by_name.get(name).and_then(Weak::upgrade) {
            if !group.lock().is_closed {
                return Group(group);
            }
            closed = group;
            tracing::trace!(group = %closed.name, "a closed group is replaced");
        }
        let name: Arc<str> = name.into();
        let group = Group::new(name.clone(), self.0.app.get().cloned().unwrap_or_default());
        by_name.insert(name, Arc::downgrade(&group.0));
        group
    }

    /// The group of that name, if it exists.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Group> {
        self.lock().get(name).and_then(Weak::upgrade).map(Group)
    }

    /// How many named groups there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// The named groups with the most members, `limit` of them at most. For tools: it looks at every group.
    #[must_use]
    pub fn largest(&self, limit: usize) -> Vec<Group> {
        let groups: Vec<Arc<GroupInner>> = self.lock().values().filter_map(Weak::upgrade).collect();
        let mut counted: Vec<(usize, Group)> =
            groups.into_iter().map(Group).map(|group| (group.count(), group)).collect();
        let order = |(one, a): &(usize, Group), (other, b): &(usize, Group)| {
            other.cmp(one).then_with(|| a.name().cmp(b.name()))
        };
        // Of many groups only those that are asked for are put in order.
        if limit < counted.len() {
            counted.select_nth_unstable_by(limit, order);
            counted.truncate(limit);
        }
        counted.sort_unstable_by(order);
        counted.into_iter().map(|(_, group)| group).collect()
    }

    /// Forgets the name of a group that is gone.
    pub(super) fn purge(&self, name: &str) {
        let mut by_name = self.lock();
        if by_name.get(name).is_some_and(|group| group.strong_count() == 0) {
            by_name.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<GroupInner>, foldhash::fast::RandomState>> {
        self.0.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Groups({})", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_groups_that_are_equally_large_the_first_by_name_are_the_largest() {
        let groups = Groups::new();
        let _held = ["e", "b", "d", "a", "c"].map(|name| groups.group(name));
        let names =
            |limit| groups.largest(limit).iter().map(|group| group.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(0), [""; 0]);
        assert_eq!(names(2), ["a", "b"]);
        assert_eq!(names(5), ["a", "b", "c", "d", "e"]);
        assert_eq!(names(9).len(), 5);
    }
}

//! What all services of one application share: states, groups, timers, background tasks.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::tasks::Tasks;
use crate::group::Groups;
use crate::timer::{APP_TIMERS_MAX, Timers};

/// How long a serial service works on one call before it gives it up, unless the application says otherwise.
pub(crate) const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// What all services of one application share.
pub struct AppParts {
    pub(super) states: States,
    pub(super) groups: Groups,
    pub(super) timers: Timers,
    pub(super) tasks: Tasks,
    pub(super) call_timeout: Duration,
}

impl AppParts {
    pub(super) fn new(states: States, groups: Groups, call_timeout: Duration) -> Self {
        let tasks = Tasks::default();
        let timers = Timers::new(APP_TIMERS_MAX, Some(tasks.clone()));
        Self { states, groups, timers, tasks, call_timeout }
    }

    /// Ends all timers and background tasks at once.
    pub(crate) fn abort(&self) {
        self.timers.end();
        self.tasks.abort();
    }

    /// The application's state of type `T`, if it was given one.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.states.get()
    }

    /// The groups of the application.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The timers of the application; they end when it stops.
    #[must_use]
    pub fn timers(&self) -> &Timers {
        &self.timers
    }
}

impl fmt::Debug for AppParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppParts")
            .field("timers", &self.timers)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

/// The application's states, one for each type. There are few, so a list is faster than a map.
#[derive(Default)]
pub(crate) struct States(Vec<(TypeId, Arc<dyn Any + Send + Sync>)>);

impl States {
    /// Adds a state; a second one of the same type takes the place of the first.
    pub(super) fn set<T: Send + Sync + 'static>(&mut self, state: T) {
        self.0.retain(|(id, _)| *id != TypeId::of::<T>());
        self.0.push((TypeId::of::<T>(), Arc::new(state)));
    }

    fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let (_, state) = self.0.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        state.clone().downcast().ok()
    }

    pub(super) fn contains(&self, id: TypeId) -> bool {
        self.0.iter().any(|(known, _)| *known == id)
    }
}

/// What a route or a hook needs of the application, told when the application is built: a service that cannot work
/// does not start.
#[derive(Debug, Default)]
pub struct Needs {
    pub(super) states: Vec<(TypeId, &'static str)>,
    pub(super) payload: Option<ValueType>,
    pub(super) reply: Option<ValueType>,
}

/// The type of a payload or an answer, and how it becomes bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ValueType {
    pub(super) name: &'static str,
    /// It goes through the serializer, which must therefore know serde types.
    pub(super) is_serde: bool,
}

impl Needs {
    /// The application must have been given a state of type `T`.
    pub fn state<T: Send + Sync + 'static>(&mut self) {
        self.states.push((TypeId::of::<T>(), type_name::<T>()));
    }

    /// The payload is read as a `T` by the serializer.
    pub fn payload<T: ?Sized>(&mut self) {
        self.payload = Some(ValueType { name: type_name::<T>(), is_serde: true });
    }

    /// The payload is read as a `T`, whatever the serializer is.
    pub fn encoded_payload<T: ?Sized>(&mut self) {
        self.payload = Some(ValueType { name: type_name::<T>(), is_serde: false });
    }

    /// The answer is a `T`, written by the serializer.
    pub fn reply<T>(&mut self) {
        // A type without content is the same in every format.
        self.reply = Some(ValueType { name: type_name::<T>(), is_serde: size_of::<T>() != 0 });
    }

    /// The answer is a `T`, written the same whatever the serializer is.
    pub fn encoded_reply<T: ?Sized>(&mut self) {
        self.reply = Some(ValueType { name: type_name::<T>(), is_serde: false });
    }
}

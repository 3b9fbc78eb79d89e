//! Typed values that handlers keep with a session: one value for each type.

use std::any::{Any, TypeId};

/// A small map from type to value. Sessions hold few attributes, so a list is faster and smaller than a hash map.
#[derive(Default)]
pub(crate) struct Attributes(Vec<(TypeId, Box<dyn Any + Send + Sync>)>);

impl Attributes {
    /// Stores `value`, returning the one of the same type that it replaces.
    pub(crate) fn set<T: Any + Send + Sync>(&mut self, value: T) -> Option<T> {
        let old = self.remove();
        self.0.push((TypeId::of::<T>(), Box::new(value)));
        old
    }

    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.iter().find(|(id, _)| *id == TypeId::of::<T>()).and_then(|(_, value)| value.downcast_ref())
    }

    pub(crate) fn get_or_insert_with<T: Any + Send + Sync>(
        &mut self,
        make: impl FnOnce() -> T,
    ) -> Option<&mut T> {
        if self.get::<T>().is_none() {
            self.set(make());
        }
        self.0.iter_mut().find(|(id, _)| *id == TypeId::of::<T>()).and_then(|(_, value)| value.downcast_mut())
    }

    pub(crate) fn remove<T: Any>(&mut self) -> Option<T> {
        let at = self.0.iter().position(|(id, _)| *id == TypeId::of::<T>())?;
        self.0.swap_remove(at).1.downcast().ok().map(|value| *value)
    }
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attributes({})", self.0.len())
    }
}

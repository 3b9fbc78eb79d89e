//! What every registry must do for programs, as claims that can be made about any [`Registry`].
//!
//! Whoever writes an implementation runs [`run`] against it, or the claims of [`CLAIMS`] one by one. A claim knows nothing of what is behind
//! the trait: it has two handles, keys of its own, and a deadline. All may run at once on a store that others use.
//!
//! - `conformance/place.rs`: what a claim has. `conformance/violation.rs`: what it says when it does not hold.
//! - `conformance/keys.rs`, `conformance/ranges.rs`, `conformance/txns.rs`, `conformance/refusals.rs`, `conformance/leases.rs`,
//!   `conformance/watches.rs`, `conformance/locks.rs`, `conformance/many.rs`: the claims.
//!
//! Invariants: a claim touches no key outside of its place, leaves no lease without an end, and ends.

mod keys;
mod leases;
mod locks;
mod many;
mod place;
mod ranges;
mod refusals;
mod txns;
mod violation;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::time::timeout;

pub use self::place::Place;
pub use self::violation::Violation;
use crate::registry::Registry;

/// How long a claim may take: some leases and elections one after another, on a machine that does other things.
pub const CLAIM_TIMEOUT: Duration = Duration::from_secs(60);

/// A claim about a registry.
pub type Claim = fn(Place) -> BoxFuture<'static, Result<(), Violation>>;

/// What came of a claim.
#[derive(Debug)]
pub struct Finding {
    /// What was claimed: the family of claims, then what each must say, as `leases/keys go with their lease`.
    pub claim: &'static str,
    /// Why it does not hold, if it does not.
    pub violation: Option<Violation>,
}

/// The list of claims from their names and functions.
macro_rules! claims {
    ($($name:literal => $claim:path,)*) => {
        [$(($name, |place| Box::pin(async move { $claim(&place).await }))),*]
    };
}

/// All claims, with their names.
pub const CLAIMS: [(&str, Claim); 39] = claims! {
    "keys/what is put is read" => keys::put_is_read,
    "keys/a key knows its versions and revisions" => keys::versions,
    "keys/a put says whether the key was there" => keys::put_says_whether_it_was_there,
    "keys/a deleted key begins anew" => keys::deleted_begins_anew,
    "keys/the largest key and value are taken" => keys::largest,
    "keys/any bytes make a key and a value" => keys::any_bytes,
    "keys/a read through another handle sees what was answered" => keys::other_handle,
    "keys/a stale read sees it in the end" => keys::stale,
    "ranges/keys come in the order of their bytes" => ranges::order,
    "ranges/a limit gives the first and says that there are more" => ranges::limit,
    "ranges/a prefix gives what begins so" => ranges::prefix,
    "ranges/an end is not part of it and may be before the start" => ranges::ends,
    "ranges/a delete counts what was there" => ranges::delete_counts,
    "txns/one branch or the other is done" => txns::branches,
    "txns/every comparison means what it says" => txns::comparisons,
    "txns/a key that is not there is zeros and no value" => txns::absent,
    "txns/what cannot be compared never holds" => txns::never,
    "txns/all is done at one revision" => txns::one_revision,
    "txns/what a transaction reads is what it did" => txns::reads_its_own,
    "txns/what only reads makes no revision" => txns::only_reads,
    "refusals/what is too long or empty" => refusals::sizes,
    "refusals/a lease that is unknown" => refusals::unknown_lease,
    "refusals/too many operations" => refusals::too_many,
    "refusals/a lease that is too short or too long" => refusals::lease_time,
    "leases/keys go when a lease is over" => leases::expires,
    "leases/one that is kept alive lives on" => leases::kept_alive,
    "leases/its end takes all of its keys at one revision" => leases::revoked,
    "leases/a key goes with the lease it was put under last" => leases::last_lease,
    "leases/an id is chosen, or taken once" => leases::ids,
    "watches/from now on" => watches::from_now,
    "watches/from an old revision on" => watches::from_revision,
    "watches/a transaction's keys come together and in order" => watches::txn_order,
    "watches/only the keys that are watched" => watches::only_its_keys,
    "watches/the end of a lease is seen" => watches::lease_end,
    "watches/one that ended goes on where it was" => watches::resumes,
    "locks/one holds it at a time, with growing tokens" => locks::exclusion,
    "locks/who gives up is passed over" => locks::passed_over,
    "many/commands at the same time are each done once" => many::commands,
    "many/a watch sees a thousand puts once each" => many::puts,
};

/// Makes all claims about a registry at once, by two handles of it: clones, clients of their own, or two members. In the order of [`CLAIMS`].
///
/// # Cancel safety
///
/// Dropping the future ends the claims where they are; their keys stay, and their leases until they are over.
pub async fn run(one: Arc<dyn Registry>, other: Arc<dyn Registry>) -> Vec<Finding> {
    let make = |(claim, make): (&'static str, Claim)| {
        let made = make(Place::new(one.clone(), other.clone()));
        async move {
            let made = timeout(CLAIM_TIMEOUT, made).await.unwrap_or(Err(Violation::Endless));
            Finding { claim, violation: made.err() }
        }
    };
    join_all(CLAIMS.map(make)).await
}

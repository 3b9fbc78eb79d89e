//! The catalogue of seeded bugs: what somebody might have built instead of what is shipped.
//!
//! Each is done in the simulation's own shell or in its wrappers around core and disk, so the shipped code knows none of them. A
//! simulation that does not find them would not find their like.

/// Declares the bugs, each with its name and what it is.
macro_rules! bugs {
    ($($(#[doc = $text:literal])+ $variant:ident = $name:literal,)+) => {
        /// See the module.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $text])+ $variant,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it is, in a few words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($text),+).trim_ascii(),)+
                }
            }
        }
    };
}

bugs! {
    /// A vote is not written, only its term.
    VoteNotWritten = "vote-not-written",
    /// Term and vote are written only when entries are.
    TermNotWritten = "term-not-written",
    /// What is being written counts as written.
    AcknowledgedBeforeSync = "acknowledged-before-sync",
    /// Messages that wait for the disk are sent at once.
    SentBeforeWritten = "sent-before-written",
    /// The disk says that it synced and did not.
    SyncLies = "sync-lies",
    /// What was synced last is taken for a torn end, and cut.
    SyncedEndCut = "synced-end-cut",
    /// Entries that replace others are not written.
    ConflictKept = "conflict-kept",
    /// A follower acknowledges one entry more than it has.
    AcknowledgesMore = "acknowledges-more",
    /// A candidate says that its log is longer than it is.
    CandidateClaimsMore = "candidate-claims-more",
    /// A command is answered when it is proposed.
    AnsweredBeforeCommit = "answered-before-commit",
    /// A read is answered without asking anybody.
    StaleRead = "stale-read",
    /// A leader answers reads without asking whether it still leads.
    ReadWithoutQuorum = "read-without-quorum",
    /// A read is answered before its index is applied.
    ReadBeforeApplied = "read-before-applied",
    /// What is to be applied is said to be applied.
    AppliedToldEarly = "applied-told-early",
    /// Commands are proposed without the client's number.
    NumberNotSent = "number-not-sent",
    /// A store that is read from a snapshot has forgotten its clients.
    ClientsForgotten = "clients-forgotten",
    /// A member begins with its newest snapshot instead of that which the log goes on from.
    AppliedTwice = "applied-twice",
    /// A leader's snapshot is not noted in the log.
    SnapshotWithoutCut = "snapshot-without-cut",
    /// A leader's snapshot is said to be installed, and is not.
    SnapshotNotInstalled = "snapshot-not-installed",
    /// A snapshot holds the state of an earlier index than it says.
    SnapshotOfOtherIndex = "snapshot-of-other-index",
    /// Snapshots are removed before the log says that it no longer needs them.
    SnapshotRemovedEarly = "snapshot-removed-early",
    /// A change of members that a leader's snapshot has overtaken is done on top of it.
    ChangeAfterSnapshot = "change-after-snapshot",
    /// A change of members is never told to the core.
    ChangeNotTold = "change-not-told",
    /// A lease that is over is ended even if it was kept alive meanwhile.
    LeaseWithoutGuard = "lease-without-guard",
    /// The leader's clock does not see that a lease was kept alive.
    RenewalNotSeen = "renewal-not-seen",
    /// A watch that moves goes on from what its new member has.
    WatchSkips = "watch-skips",
    /// A watch that moves to a member that is behind goes back with it.
    WatchGoesBack = "watch-goes-back",
}

impl Bug {
    /// The bug of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}

//! Changes of the configuration, as they lie in the data of an entry.

use bytes::Bytes;

use super::UnknownValue;

/// What is done with a member. The numbers are etcd's; the crate `raft` has others, section "Two numberings".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ConfChangeType {
    /// It becomes a voter.
    AddNode = 0,
    /// It is removed.
    RemoveNode = 1,
    /// What is known of it changes, and its vote does not.
    UpdateNode = 2,
    /// It becomes a learner.
    AddLearnerNode = 3,
}

/// How a change of several members goes about. Section "Messages".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ConfChangeTransition {
    /// Through a joint configuration if there is more than one step, and out of it by itself.
    Auto = 0,
    /// Through a joint configuration always, and out of it by itself.
    JointImplicit = 1,
    /// Through a joint configuration always, and out of it by an empty change.
    JointExplicit = 2,
}

/// A change of one member. Section "Messages".
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConfChange {
    /// The proposer's number for it.
    #[prost(uint64, required, tag = "1")]
    pub id: u64,
    /// A [`ConfChangeType`] as it came; see [`ConfChange::change_type`].
    #[prost(int32, required, tag = "2")]
    pub change_type: i32,
    /// The member.
    #[prost(uint64, required, tag = "3")]
    pub node_id: u64,
    /// What the application adds, of etcd the member's record. Empty is not written.
    #[prost(bytes = "bytes", tag = "4")]
    pub context: Bytes,
}

/// One step of a [`ConfChangeV2`]. Section "Messages".
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ConfChangeSingle {
    /// A [`ConfChangeType`] as it came; see [`ConfChangeSingle::change_type`].
    #[prost(int32, required, tag = "1")]
    pub change_type: i32,
    /// The member.
    #[prost(uint64, required, tag = "2")]
    pub node_id: u64,
}

/// A change of any number of members at once; without any it ends a joint configuration. Section "Messages".
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConfChangeV2 {
    /// A [`ConfChangeTransition`] as it came; see [`ConfChangeV2::transition`].
    #[prost(int32, required, tag = "1")]
    pub transition: i32,
    /// The steps.
    #[prost(message, repeated, tag = "2")]
    pub changes: Vec<ConfChangeSingle>,
    /// What the application adds. Empty is not written.
    #[prost(bytes = "bytes", tag = "3")]
    pub context: Bytes,
}

impl ConfChange {
    /// What is done with the member.
    ///
    /// # Errors
    ///
    /// [`UnknownValue::ConfChangeType`] for an integer that we do not know. Such a change must not be guessed at.
    pub fn change_type(&self) -> Result<ConfChangeType, UnknownValue> {
        change_type(self.change_type)
    }
}

impl ConfChangeSingle {
    /// What is done with the member.
    ///
    /// # Errors
    ///
    /// [`UnknownValue::ConfChangeType`] for an integer that we do not know. Such a change must not be guessed at.
    pub fn change_type(&self) -> Result<ConfChangeType, UnknownValue> {
        change_type(self.change_type)
    }
}

impl ConfChangeV2 {
    /// How the change goes about.
    ///
    /// # Errors
    ///
    /// [`UnknownValue::ConfChangeTransition`] for an integer that we do not know.
    pub fn transition(&self) -> Result<ConfChangeTransition, UnknownValue> {
        let value = self.transition;
        ConfChangeTransition::try_from(value).map_err(|_| UnknownValue::ConfChangeTransition { value })
    }
}

fn change_type(value: i32) -> Result<ConfChangeType, UnknownValue> {
    ConfChangeType::try_from(value).map_err(|_| UnknownValue::ConfChangeType { value })
}

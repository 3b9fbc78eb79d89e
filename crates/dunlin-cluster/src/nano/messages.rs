//! nano's package `clusterpb`: what Go nodes say to each other, field by field as they have it.
//!
//! Knows no way to send it. Unknown fields are passed over, as Go does.

use bytes::Bytes;
use prost::Message;

/// A node.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct MemberInfo {
    /// What people call it.
    #[prost(string, tag = "1")]
    pub(crate) label: String,
    /// Where other nodes reach it, `host:port`. It is what a node is known by.
    #[prost(string, tag = "2")]
    pub(crate) service_addr: String,
    /// The names of its services.
    #[prost(string, repeated, tag = "3")]
    pub(crate) services: Vec<String>,
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field:meta])* $key:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Eq, Message)]
            pub(crate) struct $name {
                $($(#[$field])* pub(crate) $key: $kind,)*
            }
        )*
    };
}

messages! {
    /// A node wants to be a member.
    RegisterRequest { #[prost(message, optional, tag = "1")] member_info: Option<MemberInfo>, }
    /// All other members.
    RegisterResponse { #[prost(message, repeated, tag = "1")] members: Vec<MemberInfo>, }
    /// A node leaves.
    UnregisterRequest { #[prost(string, tag = "1")] service_addr: String, }
    /// It has left.
    UnregisterResponse {}
    /// A node lives.
    HeartbeatRequest { #[prost(message, optional, tag = "1")] member_info: Option<MemberInfo>, }
    /// That was heard.
    HeartbeatResponse {}
    /// A call of a client, which is to be answered.
    RequestMessage {
        #[prost(string, tag = "1")] gate_addr: String,
        #[prost(int64, tag = "2")] session_id: i64,
        #[prost(uint64, tag = "3")] id: u64,
        #[prost(string, tag = "4")] route: String,
        #[prost(bytes = "bytes", tag = "5")] data: Bytes,
    }
    /// A call of a client without an answer.
    NotifyMessage {
        #[prost(string, tag = "1")] gate_addr: String,
        #[prost(int64, tag = "2")] session_id: i64,
        #[prost(string, tag = "3")] route: String,
        #[prost(bytes = "bytes", tag = "4")] data: Bytes,
    }
    /// An answer for a client of the receiver.
    ResponseMessage {
        #[prost(int64, tag = "1")] session_id: i64,
        #[prost(uint64, tag = "2")] id: u64,
        #[prost(bytes = "bytes", tag = "3")] data: Bytes,
    }
    /// A push for a client of the receiver.
    PushMessage {
        #[prost(int64, tag = "1")] session_id: i64,
        #[prost(string, tag = "2")] route: String,
        #[prost(bytes = "bytes", tag = "3")] data: Bytes,
    }
    /// A call, an answer or a push was taken.
    MemberHandleResponse {}
    /// There is another member.
    NewMemberRequest { #[prost(message, optional, tag = "1")] member_info: Option<MemberInfo>, }
    /// That was heard.
    NewMemberResponse {}
    /// A member is gone.
    DelMemberRequest { #[prost(string, tag = "1")] service_addr: String, }
    /// That was heard.
    DelMemberResponse {}
    /// A client of the sender is gone.
    SessionClosedRequest { #[prost(int64, tag = "1")] session_id: i64, }
    /// That was heard.
    SessionClosedResponse {}
    /// A client of the receiver is to go.
    CloseSessionRequest { #[prost(int64, tag = "1")] session_id: i64, }
    /// That was heard.
    CloseSessionResponse {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: String = hex.split_whitespace().collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    fn is_written_as<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M, hex: &str) {
        assert_eq!(message.encode_to_vec(), bytes(hex));
        assert_eq!(&M::decode(&*bytes(hex)).unwrap(), message);
    }

    #[test]
    fn what_is_said_has_the_bytes_that_nano_gives_it() {
        let request = RequestMessage {
            gate_addr: "g:1".to_owned(),
            session_id: 5,
            id: 300,
            route: "Room.Join".to_owned(),
            data: "{}".into(),
        };
        is_written_as(&request, "0a03673a31 1005 18ac02 2209526f6f6d2e4a6f696e 2a027b7d");
        let notify = NotifyMessage {
            gate_addr: "g:1".to_owned(),
            session_id: 5,
            route: "Room.Say".to_owned(),
            data: "{}".into(),
        };
        is_written_as(&notify, "0a03673a31 1005 1a08526f6f6d2e536179 22027b7d");
        is_written_as(&ResponseMessage { session_id: 5, id: 1, data: "ok".into() }, "0805 1001 1a026f6b");
        let push = PushMessage { session_id: 5, route: "onX".to_owned(), data: "{}".into() };
        is_written_as(&push, "0805 12036f6e58 1a027b7d");
        let member_info = Some(MemberInfo {
            label: "gate".to_owned(),
            service_addr: "127.0.0.1:1".to_owned(),
            services: vec!["Gate".to_owned(), "Room".to_owned()],
        });
        let hex = "0a1f 0a0467617465 120b3132372e302e302e313a31 1a0447617465 1a04526f6f6d";
        is_written_as(&RegisterRequest { member_info }, hex);
    }

    #[test]
    fn a_field_of_a_version_to_come_is_passed_over() {
        let info = MemberInfo::decode(&*bytes("0a0467617465 a20601 78")).unwrap();
        assert_eq!(info.label, "gate");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            RequestMessage::decode(&*bytes).ok();
            RegisterRequest::decode(&*bytes).ok();
        }
    }
}

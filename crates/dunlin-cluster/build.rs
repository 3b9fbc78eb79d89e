//! Writes the glue between tonic and the messages of `src/frame.rs` and `src/nano/messages.rs`: no protoc, and no file that says the messages a second time.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let open = Method::builder()
        .name("open")
        .route_name("Open")
        .input_type("crate::frame::Batch")
        .output_type("crate::frame::Batch")
        .codec_path("crate::link::BatchCodec")
        .client_streaming()
        .server_streaming()
        .build();
    let link = Service::builder()
        .name("Link")
        .package("dunlin.cluster.v1")
        .comment("A link between two nodes. Frames: `docs/protocol/cluster.md`.")
        .method(open)
        .build();
    Builder::new().compile(&[link, master(), member()]);
}

/// nano's service for nodes that come and go.
fn master() -> Service {
    let methods = [
        ("register", "Register", "RegisterRequest", "RegisterResponse"),
        ("unregister", "Unregister", "UnregisterRequest", "UnregisterResponse"),
        ("heartbeat", "Heartbeat", "HeartbeatRequest", "HeartbeatResponse"),
    ];
    nano("Master", &methods)
}

/// nano's service of every node.
fn member() -> Service {
    let methods = [
        ("handle_request", "HandleRequest", "RequestMessage", "MemberHandleResponse"),
        ("handle_notify", "HandleNotify", "NotifyMessage", "MemberHandleResponse"),
        ("handle_push", "HandlePush", "PushMessage", "MemberHandleResponse"),
        ("handle_response", "HandleResponse", "ResponseMessage", "MemberHandleResponse"),
        ("new_member", "NewMember", "NewMemberRequest", "NewMemberResponse"),
        ("del_member", "DelMember", "DelMemberRequest", "DelMemberResponse"),
        ("session_closed", "SessionClosed", "SessionClosedRequest", "SessionClosedResponse"),
        ("close_session", "CloseSession", "CloseSessionRequest", "CloseSessionResponse"),
    ];
    nano("Member", &methods)
}

fn nano(name: &str, methods: &[(&str, &str, &str, &str)]) -> Service {
    let service = Service::builder()
        .name(name)
        .package("clusterpb")
        .comment("Of nano. Messages: `docs/protocol/nano-cluster.md`.");
    let methods = methods.iter().map(|(name, route, input, output)| {
        Method::builder()
            .name(*name)
            .route_name(*route)
            .input_type(format!("crate::nano::messages::{input}"))
            .output_type(format!("crate::nano::messages::{output}"))
            .codec_path("tonic_prost::ProstCodec")
            .build()
    });
    methods.fold(service, tonic_build::manual::ServiceBuilder::method).build()
}

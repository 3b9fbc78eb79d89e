//! Writes the glue between tonic and the messages of `src/grpc/messages.rs`, from the list of methods: no protoc, and no file that
//! says the messages a second time.

use tonic_build::manual::{Builder, Method, MethodBuilder, Service};

fn method(name: &str, route: &str, input: &str, output: &str) -> MethodBuilder {
    let path = |name: &str| format!("crate::grpc::messages::{name}");
    Method::builder()
        .name(name)
        .route_name(route)
        .input_type(path(input))
        .output_type(path(output))
        .codec_path("tonic_prost::ProstCodec")
}

fn main() {
    let service = Service::builder()
        .name("Registry")
        .package("dunlin.registry.v1")
        .comment("The registry. Messages: `docs/protocol/registry.md`.")
        .method(method("execute", "Execute", "ExecuteRequest", "ExecuteResponse").build())
        .method(method("range", "Range", "RangeRequest", "RangeResponse").build())
        .method(method("watch", "Watch", "WatchRequest", "WatchResponse").server_streaming().build())
        .method(
            method("change_member", "ChangeMember", "ChangeMemberRequest", "ChangeMemberResponse").build(),
        )
        .method(method("status", "Status", "StatusRequest", "StatusResponse").build())
        .build();
    Builder::new().compile(&[service]);
}

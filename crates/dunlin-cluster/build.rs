//! Writes the glue between tonic and the frames of `src/frame.rs`: no protoc, and no file that says the messages a second time.

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
    Builder::new().compile(&[link]);
}

//! Two methods have one route.
use dunlin::service;

struct Chat;

#[service]
impl Chat {
    #[notify]
    async fn say(&self) {}

    #[notify(name = "say")]
    async fn shout(&self) {}
}

fn main() {}

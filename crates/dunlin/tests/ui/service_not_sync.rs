//! A shared service that cannot be shared between threads.
use dunlin::service;

struct Chat(std::cell::Cell<u32>);

#[service]
impl Chat {
    #[notify]
    async fn say(&self) {}
}

fn main() {}

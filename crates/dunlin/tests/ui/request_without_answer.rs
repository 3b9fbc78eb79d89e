//! A request answers nothing.
use dunlin::service;

struct Chat;

#[service]
impl Chat {
    #[request]
    async fn join(&self) {}
}

fn main() {}

//! A request answers a bare value.
use dunlin::service;

struct Chat;

#[service]
impl Chat {
    #[request]
    async fn count(&self) -> usize {
        7
    }
}

fn main() {}

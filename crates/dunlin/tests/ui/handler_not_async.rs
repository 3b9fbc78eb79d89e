//! A handler is not async, and has no receiver; each method is told once.
use dunlin::{Result, service};

struct Chat;

#[service]
impl Chat {
    #[request]
    fn join(&self) -> Result<u8> {
        Ok(1)
    }

    #[notify]
    async fn leave() {}

    #[notify]
    async fn say<T>(&self, _text: T) {}
}

fn main() {}

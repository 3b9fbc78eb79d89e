//! The type of an answer cannot be written.
use dunlin::{Result, service};

struct Joined;
struct Chat;

#[service]
impl Chat {
    #[request]
    async fn join(&self) -> Result<Joined> {
        Ok(Joined)
    }
}

fn main() {}

//! A notify answers a value.
use dunlin::{Result, service};

struct Chat;

#[service]
impl Chat {
    #[notify]
    async fn say(&self) -> Result<u8> {
        Ok(1)
    }

    #[init]
    async fn open(&self) -> u8 {
        1
    }
}

fn main() {}

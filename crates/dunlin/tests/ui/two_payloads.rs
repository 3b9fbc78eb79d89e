//! Two arguments read the payload.
use dunlin::{Msg, Raw, service};

struct Chat;

#[service]
impl Chat {
    #[notify]
    async fn say(&self, Msg(_text): Msg<String>, Raw(_bytes): Raw) {}
}

fn main() {}

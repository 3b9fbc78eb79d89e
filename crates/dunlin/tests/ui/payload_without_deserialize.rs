//! The type of a payload cannot be read.
use dunlin::{Msg, service};

struct Say;
struct Chat;

#[service]
impl Chat {
    #[notify]
    async fn say(&self, Msg(_say): Msg<Say>) {}
}

fn main() {}

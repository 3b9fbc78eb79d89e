//! The payload is taken without `Msg`.
use dunlin::{Session, service};

struct Say;
struct Chat;

#[service]
impl Chat {
    #[notify]
    async fn say(&self, _session: Session, _say: Say) {}
}

fn main() {}

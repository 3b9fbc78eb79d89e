//! A hook takes what only a call has.
use dunlin::{Session, service};

struct Chat;

#[service]
impl Chat {
    #[init]
    async fn open(&self, _session: Session) {}
}

fn main() {}

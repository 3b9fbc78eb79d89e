//! A handler takes `&mut self` where handlers run at the same time.
use dunlin::service;

struct Chat;

#[service]
impl Chat {
    #[notify]
    async fn say(&mut self) {}
}

fn main() {}

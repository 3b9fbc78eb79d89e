//! Options that do not exist, or do not fit.
use dunlin::service;

struct Chat;
#[service(serail)]
impl Chat {
    #[notify(parallel)]
    async fn say(&self) {}

    #[every("5 minutes")]
    async fn tick(&self) {}

    #[notify(name = "Chat.leave")]
    async fn leave(&self) {}

    #[request]
    #[notify]
    async fn both(&self) {}
}

struct Room;
#[service(mailbox = 10)]
impl Room {
    #[notify]
    async fn say(&self) {}
}

struct Empty;
#[service]
impl Empty {
    async fn say(&self) {}
}

fn main() {}

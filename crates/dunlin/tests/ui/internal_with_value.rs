//! An internal route is so without a value.
use dunlin::service;

struct Bank;
#[service]
impl Bank {
    #[request(internal = true)]
    async fn balance(&self) -> dunlin::Result<u64> {
        Ok(0)
    }
}

fn main() {}

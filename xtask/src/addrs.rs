//! Addresses for processes that cannot take any port and say which.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

/// Loopback addresses that nobody listens on. They are held until all are found, so that they differ.
///
/// # Errors
///
/// When there are not so many ports.
pub(crate) fn free<const COUNT: usize>() -> Result<[SocketAddr; COUNT]> {
    let bind =
        |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|held| Ok((held.local_addr()?, held)));
    let held: Vec<_> = (0..COUNT).map(bind).collect::<Result<_, _>>().context("there is no free port")?;
    Ok(std::array::from_fn(|place| held[place].0))
}

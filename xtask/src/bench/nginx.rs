//! The server of the steady rows: Debian's nginx with one worker, one fresh process a run.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::fleet::{Fleet, Running, must_succeed};
use super::http::{Certificate, Protocol};
use crate::addrs;

/// Makes sure that there is an nginx: installs Debian's where we may.
pub(crate) fn install() -> Result<()> {
    if is_there("nginx", "-v") {
        return Ok(());
    }
    ensure!(is_there("apt-get", "--version"), "there is no nginx, and no apt-get to install it with");
    for arguments in ["update -q", "install -q -y --no-install-recommends nginx"] {
        let mut apt = Command::new("apt-get");
        apt.args(arguments.split(' ')).env("DEBIAN_FRONTEND", "noninteractive");
        must_succeed(&mut apt).context("there is no nginx")?;
    }
    ensure!(is_there("nginx", "-v"), "nginx was installed where it is not found");
    Ok(())
}

fn is_there(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Starts it and waits until it listens.
pub(crate) fn start(fleet: &Fleet, protocol: Protocol, certificate: &Certificate) -> Result<Running> {
    let folder = fleet.bench_file("nginx");
    fs::create_dir_all(&folder).context("cannot make the folder of nginx")?;
    // nginx cannot be told to take any port and say which, so the kernel names one that is free now.
    let [addr] = addrs::free()?;
    let config = folder.join("nginx.conf");
    fs::write(&config, configuration(addr, protocol, certificate)).context("cannot write nginx.conf")?;
    // It knows nothing of our standard input, so the kernel ends it when this process ends.
    let mut nginx = fleet.command(Path::new("setpriv"));
    nginx.args(["--pdeathsig", "KILL", "nginx", "-e", "stderr", "-p"]).arg(&folder).arg("-c").arg(&config);
    fleet.start_at(nginx, "nginx", addr)
}

/// One process that is its own worker, and as many requests on a connection as come.
fn configuration(addr: SocketAddr, protocol: Protocol, certificate: &Certificate) -> String {
    let listen = match protocol {
        Protocol::H1 => format!("listen {addr};"),
        Protocol::Tls => format!("listen {addr} ssl;"),
        Protocol::H2 => format!("listen {addr} ssl http2;"),
    };
    let tls = if protocol.is_secure() {
        let (cert, key) = (certificate.cert.display(), certificate.key.display());
        format!("ssl_certificate \"{cert}\"; ssl_certificate_key \"{key}\";")
    } else {
        String::new()
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("  {kind}_temp_path {kind};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{temporary}  access_log off;\n  tcp_nodelay on;\n  \
         keepalive_requests 1000000000;\n  keepalive_timeout 120s;\n  \
         server {{\n    {listen}\n    {tls}\n    location / {{ return 200 \"hello\"; }}\n  }}\n}}\n"
    )
}

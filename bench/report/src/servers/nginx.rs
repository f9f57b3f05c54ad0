//! nginx, as it is installed, with a configuration of our own.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::SITE;

/// It is a command for administrators, whose directory others may not search.
const PLACES: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// Where it is, and its version.
pub(super) fn find() -> Option<(&'static str, String)> {
    PLACES.into_iter().find_map(|place| {
        let output = Command::new(place).arg("-v").output().ok()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Some((place, said.trim().rsplit('/').next()?.to_owned()))
    })
}

/// The command that runs it in the foreground, with so many workers and these directives on how to send files. All
/// that it writes is below `scratch`.
pub(super) fn command(
    program: &str,
    scratch: &Path,
    address: SocketAddr,
    workers: usize,
    directives: &[&str],
) -> std::result::Result<Command, String> {
    let prefix = scratch.join(address.to_string());
    fs::create_dir_all(&prefix)
        .and_then(|()| fs::write(prefix.join("nginx.conf"), configuration(address, workers, directives)))
        .map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(prefix)
        .args(["-c", "nginx.conf", "-e", "error.log"]);
    Ok(command)
}

/// What is relative is below the prefix. `user` is heeded only where root runs it, whose files the workers are to read.
/// With `reuseport` each worker has its share of the connections.
fn configuration(address: SocketAddr, workers: usize, directives: &[&str]) -> String {
    let directives = directives.join("\n    ");
    format!(
        "\
daemon off;
user root;
worker_processes {workers};
worker_rlimit_nofile 8192;
pid nginx.pid;
error_log error.log;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    {directives}
    keepalive_requests 1000000000;
    keepalive_timeout 60;
    client_body_temp_path client;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {address} reuseport;
        root ../{SITE};
    }}
}}
"
    )
}

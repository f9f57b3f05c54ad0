//! Refuses to build the crate without a backend.
//!
//! Here, and not by `compile_error!`, because the compiler would go on and list each import that is missing then.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let backends = ["EPOLL", "KQUEUE", "POLL", "SELECT"];
    if !backends
        .iter()
        .any(|name| env::var_os(format!("CARGO_FEATURE_{name}")).is_some())
    {
        println!(
            "cargo::error=ev-core needs a backend: enable at least one of the features epoll, kqueue, poll and select"
        );
    }
}

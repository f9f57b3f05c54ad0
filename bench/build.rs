//! Tells a program the version of each library that it measures, as `NAME_VERSION`: that is all it depends on, but for the
//! scenarios. The programs in `ev` and in `peers/rust` are built with it.

use std::env;
use std::error::Error;

use cargo_metadata::{DependencyKind, MetadataCommand};

const SCENARIOS: &str = "bench-scenarios";

fn main() -> Result<(), Box<dyn Error>> {
    let metadata = MetadataCommand::new().other_options(["--locked".to_owned()]).exec()?;
    println!("cargo::rerun-if-changed={}", metadata.workspace_root.join("Cargo.lock"));
    let own = env::var("CARGO_PKG_NAME")?;
    let named = |name: &str| metadata.packages.iter().find(|package| package.name.as_str() == name);
    let program = named(&own).ok_or("cargo does not know what it builds")?;
    let libraries = program.dependencies.iter();
    for library in libraries.filter(|of| of.kind == DependencyKind::Normal && of.name != SCENARIOS) {
        let package = named(&library.name).ok_or("cargo does not know a library")?;
        let variable = library.name.to_uppercase().replace('-', "_");
        println!("cargo::rustc-env={variable}_VERSION={}", package.version);
    }
    Ok(())
}

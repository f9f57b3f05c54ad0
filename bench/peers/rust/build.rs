//! Tells each program the version of the library that it measures.

use std::error::Error;

use cargo_metadata::MetadataCommand;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    let metadata = MetadataCommand::new().other_options(["--locked".to_owned()]).exec()?;
    for name in ["calloop", "mio", "polling"] {
        let mut versions = metadata.packages.iter().filter(|package| package.name.as_str() == name);
        let package = versions.next().ok_or("a peer is no dependency")?;
        println!("cargo::rustc-env={}_VERSION={}", name.to_uppercase(), package.version);
    }
    Ok(())
}

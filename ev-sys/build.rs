//! Finds libkqueue for the feature of that name.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "libkqueue")]
    libkqueue();
}

/// Has the linker take libkqueue, which only Linux needs: elsewhere kqueue is the kernel's.
#[cfg(feature = "libkqueue")]
fn libkqueue() {
    let on_linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    // Documentation is built without linking.
    if !on_linux || std::env::var_os("DOCS_RS").is_some() {
        return;
    }
    if let Err(error) = pkg_config::probe_library("libkqueue") {
        let error = error.to_string().replace('\n', "\ncargo::error=");
        println!("cargo::error=The feature `libkqueue` of ev-sys needs the library libkqueue and its .pc file:");
        println!("cargo::error=install its development package, or name the directory in PKG_CONFIG_PATH.");
        println!("cargo::error={error}");
    }
}

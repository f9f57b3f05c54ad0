//! Compiles the functions that take C's `...`.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=src/variadic.c");
    let mut build = cc::Build::new();
    build.file("src/variadic.c").flag_if_supported("-fvisibility=hidden");
    let Err(error) = build.try_compile("ev_capi_variadic") else {
        return;
    };
    // A check for another system needs no C compiler for it; a link without the functions fails all the same.
    assert!(env::var("TARGET") != env::var("HOST"), "{error}");
    println!("cargo::warning=src/variadic.c is not compiled: {error}");
}

//! Passes the linker script to the link of the loader itself, and to nothing that runs on the host.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=loader.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo:rustc-link-arg-bins=--script={folder}/loader.ld");
    }
}

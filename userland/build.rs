//! How programs are linked: what is executable, what is constant and what is writable lie in pages of
//! their own.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for argument in [
        // Not even the rest of a page carries the bytes of its neighbour with other rights.
        "-zseparate-loadable-segments",
        "-zmax-page-size=4096",
        // Nothing is relocated at run time, so there is nothing to protect after it.
        "-znorelro",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    // It has to see the registers before the usual start uses them.
    println!("cargo:rustc-link-arg-bin=registers=--entry=registers_start");
}

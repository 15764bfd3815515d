//! How programs are linked: as those of `userland`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for argument in ["-zseparate-loadable-segments", "-zmax-page-size=4096", "-znorelro"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}

//! How the module is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // pam_end(3) unloads modules. Rust's standard library keeps thread-local destructors and keys that then point into
    // nothing: a crash, or "out of TLS keys" after a thousand logins (rust-lang/rust#91979). So the module stays loaded.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // A symbol that no library has is an error here, and not in somebody's login.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,defs");
}

//! Link arguments of the shared object; `tests/gates.rs` checks that they took effect.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for argument in [
        // glibc's name of the module: `lib` + `nss_` + service + `.so.2`.
        "-Wl,-soname,libnss_svcauth.so.2",
        // Never unmapped: other code may hold addresses of this module while it is being closed.
        "-Wl,-z,nodelete",
        // Every symbol must be found at link time. The proof of panic freedom rests on it.
        "-Wl,-z,defs",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}

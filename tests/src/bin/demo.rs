//! `cargo demo`: see `svcauth_tests::demo`.

fn main() -> std::process::ExitCode {
    svcauth_tests::demo::main()
}

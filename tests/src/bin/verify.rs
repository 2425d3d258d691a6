//! `cargo verify`: see `svcauth_tests::verify`.

fn main() -> std::process::ExitCode {
    svcauth_tests::verify::main()
}

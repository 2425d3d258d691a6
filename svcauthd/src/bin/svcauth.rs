//! The `svcauth` command; the library has the program.

fn main() -> std::process::ExitCode {
    svcauthd::cli::run()
}

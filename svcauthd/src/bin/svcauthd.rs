//! The daemon; the library has the program.

fn main() -> std::process::ExitCode {
    svcauthd::daemon::run()
}

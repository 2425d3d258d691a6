//! What a proof could leave behind.

use std::fs;
use std::path::Path;

use svcauth_tests::failure::{Outcome, require_eq};
use svcauth_tests::program::Program;

/// Nothing but what `before` tells of is there.
pub(super) fn same_files(before: &str) -> Outcome {
    let now = fingerprint()?;
    let only = |one: &str, other: &str| {
        one.lines()
            .filter(|line| !other.lines().any(|known| known == *line))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    require_eq("what is new or different", &only(&now, before), &Vec::<String>::new())?;
    require_eq("what is gone", &only(before, &now), &Vec::<String>::new())
}

/// Names, sizes, times and modes of everything that could be changed, and what is in /etc.
pub(super) fn fingerprint() -> Outcome<String> {
    let line = "find /etc /var /home /root /tmp /run /srv /usr/lib/*/security -path /run/world -prune -o -path /var/log/auth.log -prune \
                -o -path /var/log -prune -o -printf '%p %m %U %G %s %T@ %l\\n' | sort; ls -la /var/log; \
                find /etc -type f -exec cat {} + | sha256sum";
    Ok(Program::new("bash").args(&["-c", line]).run()?.expect_ok()?.stdout)
}

/// The programs that run in this world.
pub(super) fn processes() -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in
        fs::read_dir("/proc")?.flatten().filter(|entry| Path::new(&entry.path()).join("stat").exists())
    {
        names.extend(
            fs::read_to_string(entry.path().join("comm")).ok().filter(|_| entry.path().join("exe").exists()),
        );
    }
    names.sort();
    Ok(names)
}

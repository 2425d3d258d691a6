//! Where the trees come from: the mirror that apt of this machine is configured with.

use std::env;

use crate::failure::{Context, Failure, Outcome, require};
use crate::program::Program;

/// One line a list of packages: where it is, who made it, which release.
const FORMAT: &str = "$(REPO_URI) $(ORIGIN) $(CODENAME)";

/// The address of a Debian archive, and the proxy through which it is reached, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) address: String,
    pub(super) proxy: Option<String>,
}

/// Asks apt. Fails with the next step when apt knows no Debian archive.
pub(super) fn configured() -> Outcome<Mirror> {
    let address = match archive(&targets()?) {
        Some(found) => found,
        None => {
            // Without its lists apt does not know who made an archive.
            let update = Program::new("apt-get").args(&["update", "-q"]);
            update.patience(std::time::Duration::from_secs(300)).run()?.expect_ok()?;
            archive(&targets()?).ok_or_else(no_archive)?
        }
    };
    let proxy = proxy_of_apt()?.or_else(|| env::var("http_proxy").ok());
    Ok(Mirror { address, proxy })
}

fn targets() -> Outcome<String> {
    let asked = Program::new("apt-get").args(&["indextargets", "--format", FORMAT, "Created-By: Packages"]);
    Ok(asked.run().doing("ask apt for its archives")?.expect_ok()?.stdout)
}

/// The archive with a whole release of Debian in it: neither updates nor what is for security alone.
fn archive(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        [address, "Debian", code] if !code.contains('-') => Some((*address).to_owned()),
        _ => None,
    })
}

fn proxy_of_apt() -> Outcome<Option<String>> {
    let asked = Program::new("apt-config").args(&["shell", "proxy", "Acquire::http::Proxy"]).run()?;
    require(asked.ok(), || asked.report())?;
    let value = asked.text().trim().strip_prefix("proxy=").map(|quoted| quoted.trim_matches('\'').to_owned());
    Ok(value.filter(|found| !found.is_empty() && found != "DIRECT"))
}

fn no_archive() -> Failure {
    Failure::new(
        "apt of this machine has no Debian archive in its sources, so no Debian can be installed into a folder for the \
         tests of packages; add a line for Debian's main archive to /etc/apt/sources.list.d and run this again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_the_one_with_a_whole_release() {
        let targets = "http://other.example/x/ Else bookworm\nhttp://m.example/debian-security/ Debian bookworm-security\n\
                       http://m.example/debian/ Debian bookworm-updates\nhttp://m.example/debian/ Debian bookworm\n";
        assert_eq!(archive(targets).as_deref(), Some("http://m.example/debian/"));
        assert_eq!(archive("http://m.example/debian/  \n"), None);
    }
}

//! The real sssd in a world, as a second opinion about a domain.
//!
//! Its packages change PAM and the name service of the machine, so they are never installed there: the machine gets them
//! as files, and each world that wants sssd installs them for itself.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::Outcome;
use crate::packages;
use crate::program::{Background, Program, wait_until};
use crate::samba::{self, DOMAIN};
use crate::world::World;

/// A running sssd.
#[derive(Debug)]
pub struct Sssd {
    process: Background,
}

impl Sssd {
    /// Installs sssd in this world, points it at the world's domain controller, with ids computed from SIDs, and waits
    /// until it knows `user`.
    pub fn start(world: &World, user: &str) -> Outcome<Self> {
        packages::install_here(packages::SSSD)?;
        world.write("/etc/sssd/sssd.conf", 0o600, config())?;
        let daemon = Program::new("/usr/sbin/sssd").args(&["-i", "--logger=files"]);
        let process = daemon.start(world.log_file("sssd.out")?)?;
        wait_until("an answer of sssd", Duration::from_secs(120), || {
            let asked = Program::new("getent").args(&["-s", "sss", "passwd", user]).run();
            asked.is_ok_and(|answer| answer.ok()).then_some(())
        })?;
        Ok(Self { process })
    }

    /// Ends it in good order.
    pub fn stop(self) -> Outcome {
        self.process.stop(Signal::SIGTERM).map(drop)
    }
}

fn config() -> String {
    format!(
        "[sssd]\nservices = nss\ndomains = example\n[nss]\n[domain/example]\nid_provider = ldap\nauth_provider = none\n\
         access_provider = permit\nldap_uri = {}\nldap_schema = ad\nldap_search_base = {DOMAIN}\n\
         ldap_default_bind_dn = {}\nldap_default_authtok = {}\nldap_tls_cacert = {}\nldap_tls_reqcert = demand\n\
         ldap_referrals = false\nldap_id_mapping = true\n",
        samba::URI,
        samba::READER,
        samba::SECRET,
        samba::CA_FILE
    )
}

//! Kerberos of a domain: what a host that has joined it has.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use crate::failure::{Context, Outcome};
use crate::program::Program;
use crate::samba::{ADDRESS, DOMAIN, NAME, set_password};
use crate::site::Site;
use crate::world::World;

/// The keytab of a host.
pub const KEYTAB: &str = "/etc/krb5.keytab";
/// The principal of the one host of the domain.
pub const HOST: &str = "HOST1$@EXAMPLE.COM";
/// The name of its account.
const ACCOUNT: &str = "HOST1$";

/// The entry of the host's account, which may read what every user may, and the name of the controller's LDAP service.
pub fn machine() -> String {
    format!(
        "dn: CN=HOST1,CN=Computers,{DOMAIN}\nobjectClass: computer\nsAMAccountName: {ACCOUNT}\n\
         userAccountControl: 4096\n\n"
    )
}

/// The name of the controller's LDAP service, which Samba adds only with a DNS server beside it.
pub fn service() -> String {
    format!(
        "dn: CN=DC1,OU=Domain Controllers,{DOMAIN}\nchangetype: modify\nadd: servicePrincipalName\n\
         servicePrincipalName: ldap/{NAME}\n\n"
    )
}

/// Tells the Kerberos library where the KDC is; `kdc` is an address.
pub fn configure(world: &World, kdc: &str) -> Outcome {
    let text = format!(
        "[libdefaults]\ndefault_realm = EXAMPLE.COM\ndns_lookup_kdc = false\ndns_lookup_realm = false\n\
         [realms]\nEXAMPLE.COM = {{\n kdc = {kdc}\n}}\n"
    );
    world.write("/etc/krb5.conf", 0o644, text)
}

/// The controller of [`crate::samba::Samba`].
pub const KDC: &str = ADDRESS;

/// Gives the host's account a new password and puts its key into a file that only root can read.
pub fn new_key(password: &str, file: &str) -> Outcome {
    set_password(ACCOUNT, password)?;
    let fresh = format!("{file}.new");
    let _ = fs::remove_file(&fresh);
    let tool = Program::new("samba-tool").args(&["domain", "exportkeytab", &fresh]);
    tool.arg(format!("--principal={ACCOUNT}")).run()?.expect_ok().doing("export a keytab")?;
    chown(&fresh, Some(0), Some(0))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    fs::rename(fresh, file).doing("put the keytab in place")
}

/// Takes the password away from a site, and gives it Kerberos. The rules stay in their lines, which a snapshot names.
pub fn bind_with_kerberos(site: &mut Site) -> Outcome {
    site.configure(
        "bind = \"simple\"\nbind_dn = \"svcauth@example.com\"\nbind_password_file = \"/etc/svcauth/bind.secret\"\n",
        "bind = \"gssapi\"\n# as the principal of the host\n# in /etc/krb5.keytab\n",
    )
}

//! A real KDC of MIT Kerberos in a world, for two realms that trust each other one way.
//!
//! Everything lies in a folder of the world, and the KDC listens on its loopback only.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{Context, Outcome};
use crate::program::{Background, Program, wait_until};
use crate::world::World;

/// The realm of the host and of its people.
pub const REALM: &str = "EXAMPLE.COM";
/// A realm whose people can get a ticket for this host, and who are nobody here.
pub const OTHER_REALM: &str = "OTHER.REALM";

const HOME: &str = "/run/world/kdc";
const PROFILE: &str = "/run/world/kdc/kdc.conf";
const PASSWORD: &str = "secret";
const SERVICE: &str = "host/web1.example.com";

/// A running KDC.
#[derive(Debug)]
pub struct Kdc {
    _process: Background,
}

/// A ticket of somebody, in a file that only root can read.
#[derive(Debug, Clone)]
pub struct Ticket {
    cache: PathBuf,
}

impl Kdc {
    /// Makes both realms with the principals of people, and the key of this host's sshd; starts the KDC. A principal with
    /// `@` names its realm, every other one is of [`REALM`].
    pub fn start(world: &World, people: &[&str]) -> Outcome<Self> {
        fs::create_dir_all(HOME)?;
        world.write("/etc/krb5.conf", 0o644, client_profile())?;
        world.write(PROFILE, 0o600, server_profile())?;
        for realm in [REALM, OTHER_REALM] {
            tool("kdb5_util", &["-r", realm, "create", "-s", "-P", PASSWORD])?;
            // Who has a ticket of the other realm gets one of ours.
            add(realm, &format!("krbtgt/{REALM}@{OTHER_REALM}"))?;
        }
        for person in people {
            let realm = if person.ends_with(&format!("@{OTHER_REALM}")) { OTHER_REALM } else { REALM };
            add(realm, person)?;
        }
        add(REALM, SERVICE)?;
        admin(REALM, &format!("ktadd -k /etc/krb5.keytab {SERVICE}"))?;
        let daemon = Program::new("krb5kdc").args(&["-n", "-r", REALM, "-r", OTHER_REALM]);
        let process = daemon.env("KRB5_KDC_PROFILE", PROFILE).start(world.log_file("krb5kdc.out")?)?;
        let address = SocketAddr::from(([127, 0, 0, 1], 88));
        wait_until("the KDC on port 88", Duration::from_secs(120), || TcpStream::connect(address).ok())?;
        Ok(Self { _process: process })
    }

    /// Lets principals log in as an account, as far as sshd is concerned (k5login(5)).
    pub fn accept(world: &World, account: &str, uid: u32, principals: &[&str]) -> Outcome {
        let path = format!("/home/{account}/.k5login");
        let lines: String = principals.iter().map(|name| format!("{name}\n")).collect();
        world.write(&path, 0o644, lines)?;
        Ok(chown(path.as_str(), Some(uid), None)?)
    }

    /// Gets a ticket with the password, as kinit(1) does.
    pub fn ticket(&self, principal: &str) -> Outcome<Ticket> {
        let name: String =
            principal.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let cache = PathBuf::from(HOME).join(format!("ticket-of-{name}"));
        let kinit = Program::new("kinit").arg("-c").arg(&cache).arg(principal).input(format!("{PASSWORD}\n"));
        kinit.run()?.expect_ok()?;
        Ok(Ticket { cache })
    }
}

impl Ticket {
    /// A program that has this ticket.
    #[must_use]
    pub fn with(&self, program: Program) -> Program {
        program.env("KRB5CCNAME", format!("FILE:{}", self.cache.display()))
    }
}

/// What client and sshd read: nothing is looked up, so nothing leaves the world.
fn client_profile() -> String {
    let realms: String =
        [REALM, OTHER_REALM].iter().map(|realm| format!("{realm} = {{\n kdc = 127.0.0.1\n}}\n")).collect();
    format!(
        "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\ndns_lookup_realm = false\nrdns = false\n\
         dns_canonicalize_hostname = false\n[domain_realm]\n.example.com = {REALM}\n[realms]\n{realms}"
    )
}

fn server_profile() -> String {
    let realm = |realm: &&str| {
        format!(
            "{realm} = {{\n database_name = {HOME}/{realm}.db\n key_stash_file = {HOME}/{realm}.stash\n \
             supported_enctypes = aes256-cts-hmac-sha1-96:normal\n acl_file = {HOME}/kadm5.acl\n}}\n"
        )
    };
    let realms: String = [REALM, OTHER_REALM].iter().map(realm).collect();
    format!("[kdcdefaults]\nkdc_listen = 127.0.0.1:88\nkdc_tcp_listen = 127.0.0.1:88\n[realms]\n{realms}")
}

fn add(realm: &str, principal: &str) -> Outcome {
    admin(realm, &format!("addprinc -pw {PASSWORD} +requires_preauth \"{principal}\""))
}

fn admin(realm: &str, query: &str) -> Outcome {
    tool("kadmin.local", &["-r", realm, "-q", query])
}

fn tool(name: &str, args: &[&str]) -> Outcome {
    let tool = Program::new(name).args(args).env("KRB5_KDC_PROFILE", PROFILE);
    tool.run()?.expect_ok().doing(name).map(drop)
}

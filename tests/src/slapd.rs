//! A real OpenLDAP server in a world, on an address of its own, with TLS under a certificate authority of its own.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::directory::{BASE, Directory, Schema};
use crate::failure::{Context, Failure, Outcome, require};
use crate::program::{Background, Ended, Program, wait_until};
use crate::site::{SVCAUTH_ID, Site};
use crate::tls::make_certificates;
use crate::world::World;

const HOME: &str = "/run/world/slapd";
const ADDRESS: &str = "10.77.0.1";
const NAME: &str = "ldap1.example.com";
const LDAPI: &str = "ldapi://%2Frun%2Fworld%2Fslapd%2Fldapi";
/// The password of `cn=svcauth,ou=system`, the entry that may read everything.
const SECRET: &str = "reader of the directory";

/// The password policy of [`Slapd::lock_out`]; nobody else has one.
const LOCKOUTS: &str = "cn=lockouts,ou=system,dc=example,dc=com";

/// Attribute and class of public keys; not part of the distribution.
pub(crate) const KEY_SCHEMA: &str = "\
attributetype ( 1.3.6.1.4.1.24552.500.1.1.1.13 NAME 'sshPublicKey'
  EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.24552.500.1.1.2.0 NAME 'ldapPublicKey' SUP top AUXILIARY MAY ( sshPublicKey $ uid ) )
";

/// What a server does besides answering.
#[derive(Debug, Clone, Copy)]
pub struct Overlays {
    /// Content synchronisation (RFC 4533).
    pub push: bool,
    /// Entries that go leave their groups, renamed ones keep them, and members say which those are.
    pub references: bool,
}

impl Default for Overlays {
    /// As most servers are set up.
    fn default() -> Self {
        Self { push: true, references: false }
    }
}

/// A running slapd.
#[derive(Debug)]
pub struct Slapd {
    process: Background,
}

impl Slapd {
    /// Makes a server with these entries and starts it.
    pub fn start(world: &World, directory: &Directory, schema: Schema) -> Outcome<Self> {
        Self::make(world, directory, schema, |text| text, Overlays::default())
    }

    /// Makes a server with these entries that does these things besides, and starts it.
    pub fn start_with(
        world: &World,
        directory: &Directory,
        schema: Schema,
        overlays: Overlays,
    ) -> Outcome<Self> {
        Self::make(world, directory, schema, |text| text, overlays)
    }

    /// Makes a server with these entries and a `slapd.conf` that is the harness's after `edit`, and starts it.
    pub fn start_edited(
        world: &World,
        directory: &Directory,
        schema: Schema,
        edit: impl FnOnce(String) -> String,
    ) -> Outcome<Self> {
        Self::make(world, directory, schema, edit, Overlays::default())
    }

    fn make(
        world: &World,
        directory: &Directory,
        schema: Schema,
        edit: impl FnOnce(String) -> String,
        overlays: Overlays,
    ) -> Outcome<Self> {
        fs::create_dir_all(format!("{HOME}/db"))?;
        ip(&["addr", "add", &format!("{ADDRESS}/32"), "dev", "lo"])?;
        let hosts = fs::read_to_string("/etc/hosts")?;
        world.write("/etc/hosts", 0o644, format!("{hosts}{ADDRESS} {NAME}\n"))?;
        make_certificates(world, HOME, &[NAME])?;
        write_schema(world, schema)?;
        world.write(format!("{HOME}/slapd.conf"), 0o600, edit(config(schema, overlays)))?;
        world.write(format!("{HOME}/data.ldif"), 0o600, entries(directory, schema))?;
        let load =
            Program::new("slapadd").args(&["-q", "-f", "/run/world/slapd/slapd.conf", "-b", BASE, "-l"]);
        load.arg(format!("{HOME}/data.ldif")).run()?.expect_ok().doing("load the directory")?;
        Self::start_again(world)
    }

    /// Starts a server that was made and stopped before.
    pub fn start_again(world: &World) -> Outcome<Self> {
        let listeners = format!("ldap://{ADDRESS}/ ldap://127.0.0.1/ ldaps://{ADDRESS}/ {LDAPI}");
        let daemon =
            Program::new("slapd").args(&["-d", "0", "-f", "/run/world/slapd/slapd.conf", "-h", &listeners]);
        let mut slapd = Self { process: daemon.start(world.log_file("slapd.out")?)? };
        let mut ended = None;
        let process = &mut slapd.process;
        wait_until("an answer of slapd", Duration::from_secs(120), || {
            ended = process.ended();
            let asked = search(&["-s", "base", "-b", "", "namingContexts"]).is_ok_and(|answer| answer.ok());
            (asked || ended.is_some()).then_some(())
        })?;
        require(ended.is_none(), || fs::read_to_string("/var/log/slapd.out").unwrap_or_default())?;
        Ok(slapd)
    }

    /// Points a site at this server: LDAPS, simple bind, one second between two looks.
    pub fn serve(world: &World, site: &mut Site) -> Outcome {
        world.write("/etc/svcauth/bind.secret", 0o600, format!("{SECRET}\n"))?;
        site.configure(
            "kind = \"ldif\"\nfile = \"/etc/svcauth/directory.ldif\"\n",
            &format!(
                "kind = \"ldap\"\nuris = [\"ldaps://{NAME}\"]\nbind = \"simple\"\n\
                 bind_dn = \"cn=svcauth,ou=system,{BASE}\"\nbind_password_file = \"/etc/svcauth/bind.secret\"\n\
                 ca_file = \"{HOME}/ca.pem\"\nrefresh = \"1s\"\ntimeout = \"2s\"\n"
            ),
        )
    }

    /// Applies changes in LDIF, as the directory's administrator.
    pub fn modify(&self, ldif: &str) -> Outcome {
        let done =
            Program::new("ldapmodify").args(&["-Q", "-Y", "EXTERNAL", "-H", LDAPI]).input(ldif).run()?;
        done.expect_ok().map(drop)
    }

    /// Gives an entry a password, and enters a wrong one so often that the server locks it out.
    pub fn lock_out(&self, dn: &str) -> Outcome {
        self.give_password(dn)?;
        self.enter_wrong_passwords(dn)
    }

    /// Gives an entry a password, and a policy by which wrong ones lock it.
    pub fn give_password(&self, dn: &str) -> Outcome {
        self.modify(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: the right one\n-\n\
             replace: pwdPolicySubentry\npwdPolicySubentry: {LOCKOUTS}\n"
        ))
    }

    /// Locks an entry that was given a password: nothing but what the server does by itself then changes it.
    pub fn enter_wrong_passwords(&self, dn: &str) -> Outcome {
        let bind = |password: &str| {
            let base = ["-x", "-o", "nettimeout=30", "-H", "ldap://127.0.0.1", "-D", dn, "-w", password];
            Program::new("ldapwhoami").args(&base).run()
        };
        bind("the right one")?.expect_ok()?;
        for _ in 0..3 {
            bind("a wrong one")?.expect_code(49)?;
        }
        bind("the right one")?.expect_code(49).doing("the lockout").map(drop)
    }

    /// Searches as the directory's administrator; prints LDIF without comments.
    pub fn search(&self, args: &[&str]) -> Outcome<Ended> {
        search(args)?.expect_ok()
    }

    /// Ends it in good order.
    pub fn stop(self) -> Outcome {
        self.process.stop(Signal::SIGTERM).map(drop)
    }

    /// Ends it as a crash would.
    pub fn kill(self) -> Outcome {
        self.process.stop(Signal::SIGKILL).map(drop)
    }

    /// Stops it in the middle of whatever it does: connections are accepted by the kernel and never answered.
    pub fn freeze(&self) -> Outcome {
        self.process.freeze()
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Outcome {
        self.process.signal(Signal::SIGCONT)
    }

    /// Lets every packet to its address vanish without an answer.
    pub fn blackhole(&self) -> Outcome {
        ip(&["addr", "del", &format!("{ADDRESS}/32"), "dev", "lo"])?;
        ip(&["link", "add", "hole0", "type", "veth", "peer", "name", "hole1"])?;
        ip(&["link", "set", "hole0", "up"])?;
        ip(&["link", "set", "hole1", "up"])?;
        ip(&["addr", "add", "10.77.0.2/24", "dev", "hole0"])?;
        ip(&["neigh", "add", ADDRESS, "lladdr", "02:00:00:00:00:01", "dev", "hole0", "nud", "permanent"])
    }

    /// Undoes [`Slapd::blackhole`].
    pub fn leave_blackhole(&self) -> Outcome {
        ip(&["link", "del", "hole0"])?;
        ip(&["addr", "add", &format!("{ADDRESS}/32"), "dev", "lo"])
    }
}

fn search(args: &[&str]) -> Outcome<Ended> {
    let base = ["-Q", "-LLL", "-o", "nettimeout=2", "-Y", "EXTERNAL", "-H", LDAPI];
    Program::new("ldapsearch").args(&base).args(args).run()
}

fn ip(args: &[&str]) -> Outcome {
    Program::new("ip").args(args).run()?.expect_ok().map(drop)
}

fn entries(directory: &Directory, schema: Schema) -> String {
    format!(
        "{}\ndn: ou=system,{BASE}\nobjectClass: organizationalUnit\nou: system\n\ndn: cn=svcauth,ou=system,{BASE}\n\
         objectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: svcauth\nuserPassword: {SECRET}\n\n\
         dn: {LOCKOUTS}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: lockouts\npwdAttribute: userPassword\n\
         pwdLockout: TRUE\npwdMaxFailure: 3\n",
        directory.text(schema)
    )
}

fn config(schema: Schema, overlays: Overlays) -> String {
    let nis = match schema {
        Schema::Rfc2307 => "/etc/ldap/schema/nis.schema",
        Schema::Rfc2307bis => "/run/world/slapd/rfc2307bis.schema",
    };
    format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude {nis}\n\
         include /etc/ldap/schema/inetorgperson.schema\ninclude {HOME}/key.schema\npidfile {HOME}/pid\n\
         modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload syncprov\nmoduleload ppolicy\nmoduleload memberof\n\
         moduleload refint\nloglevel 0\nthreads 8\n\
         TLSCACertificateFile {HOME}/ca.pem\nTLSCertificateFile {HOME}/server.pem\n\
         TLSCertificateKeyFile {HOME}/server.key\n\
         authz-regexp \"gidNumber=0\\\\+uidNumber=0,cn=peercred,cn=external,cn=auth\" \"cn=admin,{BASE}\"\n\
         authz-regexp \"gidNumber={SVCAUTH_ID}\\\\+uidNumber={SVCAUTH_ID},cn=peercred,cn=external,cn=auth\" \
         \"cn=svcauth,ou=system,{BASE}\"\n\
         database mdb\nsuffix {BASE}\nrootdn cn=admin,{BASE}\ndirectory {HOME}/db\nmaxsize 1073741824\ndbnosync\n\
         limits dn.exact=\"cn=svcauth,ou=system,{BASE}\" size=unlimited time=unlimited\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"cn=svcauth,ou=system,{BASE}\" read by * none\n\
         index objectClass,uid,cn,uidNumber,gidNumber,memberUid,entryUUID,entryCSN eq\n{}overlay ppolicy\n\
         database monitor\naccess to * by dn.exact=\"cn=admin,{BASE}\" read by * none\n",
        overlays.config()
    )
}

impl Overlays {
    fn config(self) -> String {
        let references = "overlay memberof\noverlay refint\nrefint_attributes member\n";
        let push = "overlay syncprov\nsyncprov-sessionlog 1000\n";
        [(self.references, references), (self.push, push)]
            .map(|(wanted, lines)| if wanted { lines } else { "" })
            .concat()
    }
}

/// rfc2307bis differs from the distribution's nis.schema in that a group may be of another class first.
fn write_schema(world: &World, schema: Schema) -> Outcome {
    world.write(format!("{HOME}/key.schema"), 0o644, KEY_SCHEMA)?;
    if schema == Schema::Rfc2307bis {
        let nis = fs::read_to_string("/etc/ldap/schema/nis.schema").doing("read nis.schema")?;
        let (before, group) = nis
            .split_once("NAME 'posixGroup'")
            .ok_or_else(|| Failure::new("nis.schema has no posixGroup"))?;
        let group = group.replacen("STRUCTURAL", "AUXILIARY", 1);
        world.write(
            format!("{HOME}/rfc2307bis.schema"),
            0o644,
            format!("{before}NAME 'posixGroup'{group}"),
        )?;
    }
    Ok(())
}

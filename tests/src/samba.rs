//! A real Samba domain controller in a world, on an address of its own, with TLS under a certificate authority of its own.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::{Context, Failure, Outcome, require};
use crate::keys::Key;
use crate::program::{Background, Ended, Program, wait_until};
use crate::site::Site;
use crate::tls::make_certificates;
use crate::world::World;

const HOME: &str = "/run/world/samba";
/// Its database.
pub(crate) const SAM: &str = "/run/world/samba/private/sam.ldb";
/// The address of the controller, in the world alone.
pub(crate) const ADDRESS: &str = "10.77.0.2";
/// Where the system itself may change it while the controller runs.
const LDAPI: &str = "ldapi://%2Frun%2Fworld%2Fsamba%2Fprivate%2Fldap_priv%2Fldapi";
/// Its name.
pub(crate) const NAME: &str = "dc1.example.com";
/// The suffix of the domain.
pub const DOMAIN: &str = "DC=example,DC=com";
/// The password of svcauth@example.com, an ordinary user; controllers demand letters of both cases and digits.
pub(crate) const SECRET: &str = "Reader of 1 directory";
/// The password of a person who has one.
const PASSWORD: &str = "A right 1 password";
/// Who reads the domain for svcauth.
pub(crate) const READER: &str = "svcauth@example.com";
/// Where the controller answers.
pub(crate) const URI: &str = "ldaps://dc1.example.com";
/// The authority that signed its certificate.
pub(crate) const CA_FILE: &str = "/run/world/samba/ca.pem";

/// A running controller.
#[derive(Debug)]
pub struct Samba {
    process: Background,
}

/// The name of a person.
pub fn person_dn(login: &str) -> String {
    format!("CN={login},OU=people,{DOMAIN}")
}

/// The name of the account.
pub fn account_dn(name: &str) -> String {
    format!("CN={name},OU=accounts,{DOMAIN}")
}

/// The name of a group.
pub fn group_dn(name: &str) -> String {
    format!("CN={name},OU=groups,{DOMAIN}")
}

/// A person, with more lines of LDIF.
pub fn person(login: &str, lines: &str) -> String {
    let dn = person_dn(login);
    // 544: an ordinary user who may do without a password.
    format!("dn: {dn}\nobjectClass: user\nsAMAccountName: {login}\nuserAccountControl: 544\n{lines}\n\n")
}

/// The line of a public key.
pub fn key_line(key: &Key) -> String {
    format!("altSecurityIdentities: SSHKey:{}", key.public())
}

/// A security group, with more lines of LDIF; members must be there already.
pub fn group(name: &str, lines: &str, members: &[String]) -> String {
    let members: String = members.iter().map(|dn| format!("member: {dn}\n")).collect();
    let dn = group_dn(name);
    format!("dn: {dn}\nobjectClass: group\nsAMAccountName: {name}\n{lines}\n{members}\n")
        .replace("\n\n", "\n")
        + "\n"
}

/// What `conf/directory.ldif` says, as a domain has it: the account deployer, the role application with alice and bob, and
/// carol without it. `more` people are in no group.
pub fn example(people: &[(&str, &Key)], more: &str) -> String {
    let mut text: String = ["accounts", "groups", "people", "system"]
        .map(|name| format!("dn: OU={name},{DOMAIN}\nobjectClass: organizationalUnit\n\n"))
        .concat();
    text += &format!(
        "dn: {}\nobjectClass: user\nsAMAccountName: deployer\nuserAccountControl: 544\nuidNumber: 7001\n\
         gidNumber: 7000\nunixHomeDirectory: /home/deployer\nloginShell: /bin/bash\n\n",
        account_dn("deployer")
    );
    text += &format!(
        "dn: CN=svcauth,OU=system,{DOMAIN}\nobjectClass: user\nsAMAccountName: svcauth\n\
         userPrincipalName: svcauth@example.com\nuserAccountControl: 544\n\n"
    );
    for (login, key) in people {
        text += &person(login, &key_line(key));
    }
    text += &group("application", "gidNumber: 7000", &[person_dn("alice"), person_dn("bob")]);
    text + more
}

impl Samba {
    /// Makes a domain with these entries and starts its controller.
    pub fn start(world: &World, ldif: &str) -> Outcome<Self> {
        let ip = Program::new("ip").args(&["addr", "add", &format!("{ADDRESS}/32"), "dev", "lo"]);
        ip.run()?.expect_ok()?;
        let hosts = fs::read_to_string("/etc/hosts")?;
        world.write("/etc/hosts", 0o644, format!("{hosts}{ADDRESS} {NAME} dc1\n"))?;
        provision()?;
        world.write("/etc/samba/smb.conf", 0o644, config())?;
        make_certificates(world, HOME, &[NAME, "dc2.example.com"])?;
        ldb("ldbadd", SAM)
            .args(&["-o", "batch_mode:1"])
            .input(ldif)
            .patience(Duration::from_secs(300))
            .run()?
            .expect_ok()
            .doing("fill the domain")?;
        set_password("svcauth", SECRET)?;
        Self::start_again(world)
    }

    /// Starts a controller that was made and stopped before.
    pub fn start_again(world: &World) -> Outcome<Self> {
        let daemon = Program::new("samba").args(&["--foreground", "--no-process-group"]);
        let mut process = daemon.start(world.log_file("samba.out")?)?;
        let mut ended = None;
        wait_until("an answer of samba", Duration::from_secs(120), || {
            ended = process.ended();
            let root = ["-x", "-LLL", "-o", "nettimeout=2", "-s", "base", "-b", "", "defaultNamingContext"];
            let search = Program::new("ldapsearch").args(&["-H", &format!("ldap://{ADDRESS}")]).args(&root);
            let asked = search.run().is_ok_and(|answer| answer.stdout.contains(DOMAIN));
            (asked || ended.is_some()).then_some(())
        })?;
        require(ended.is_none(), || fs::read_to_string("/var/log/samba.out").unwrap_or_default())?;
        Ok(Self { process })
    }

    /// Points a site at this controller: LDAPS, simple bind, one second between two looks.
    pub fn serve(world: &World, site: &mut Site) -> Outcome {
        world.write("/etc/svcauth/bind.secret", 0o600, format!("{SECRET}\n"))?;
        site.configure("filter = \"(objectClass=posixAccount)\" ", "")?;
        site.configure("ssh_key = [\"sshPublicKey\", \"altSecurityIdentities\"]\n", "")?;
        site.configure(
            "kind = \"ldif\"\nfile = \"/etc/svcauth/directory.ldif\"\n",
            &format!(
                "kind = \"ad\"\nuris = [\"ldaps://{NAME}\"]\nbind = \"simple\"\nbind_dn = \"svcauth@example.com\"\n\
                 bind_password_file = \"/etc/svcauth/bind.secret\"\nca_file = \"{HOME}/ca.pem\"\nrefresh = \"1s\"\n"
            ),
        )
    }

    /// Applies changes in LDIF, as the system itself.
    pub fn modify(&self, ldif: &str) -> Outcome {
        ldb("ldbmodify", LDAPI).input(ldif).run()?.expect_ok().map(drop)
    }

    /// Whether the database has an entry of this name.
    pub fn knows(&self, dn: &str) -> Outcome<bool> {
        let found = ldb("ldbsearch", LDAPI).args(&["-s", "base", "-b", dn, "dn"]).run()?;
        Ok(found.ok() && found.stdout.contains("dn: "))
    }

    /// The number of a group in its domain, the last part of its SID.
    pub fn rid(&self, dn: &str) -> Outcome<u32> {
        let shown =
            ldb("ldbsearch", LDAPI).args(&["-s", "base", "-b", dn, "objectSid"]).run()?.expect_ok()?;
        let line = shown.stdout.lines().find_map(|line| line.strip_prefix("objectSid: S-"));
        let rid = line.and_then(|sid| sid.rsplit('-').next()?.parse().ok());
        rid.ok_or_else(|| Failure::new(format!("no SID of {dn}\n{}", shown.report())))
    }

    /// Lets svcauth see what was deleted: List Contents and Read Property on Deleted Objects, as docs/active-directory.md says.
    pub fn show_deletions(&self) -> Outcome {
        let sid =
            ldb("ldbsearch", SAM).args(&["(sAMAccountName=svcauth)", "objectSid"]).run()?.expect_ok()?;
        let sid = sid.stdout.lines().find_map(|line| line.strip_prefix("objectSid: ").map(str::to_owned));
        let sid = sid.ok_or_else(|| Failure::new("svcauth has no SID"))?;
        let full = "RPWPCCDCLCRCWOWDSDSW";
        let ldif = format!(
            "dn: CN=Deleted Objects,{DOMAIN}\nchangetype: modify\nreplace: nTSecurityDescriptor\n\
             nTSecurityDescriptor: O:DAG:DAD:PAI(A;;{full};;;SY)(A;;{full};;;BA)(A;;LCRP;;;{sid})\n"
        );
        ldb("ldbmodify", SAM).args(&["--controls=show_deleted:1"]).input(ldif).run()?.expect_ok().map(drop)
    }

    /// Searches the controller as svcauth does; prints LDIF without comments.
    pub fn search(&self, args: &[&str]) -> Outcome<Ended> {
        ask("svcauth@example.com", SECRET, args)?.expect_ok()
    }

    /// Gives a person a password; three wrong ones will lock them out.
    pub fn give_password(&self, login: &str) -> Outcome {
        set_password(login, PASSWORD)?;
        self.modify(&format!(
            "dn: {DOMAIN}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 3\n"
        ))
    }

    /// Enters a wrong password so often that the controller locks the person out.
    pub fn enter_wrong_passwords(&self, login: &str) -> Outcome {
        let (who, base) = (format!("{login}@example.com"), ["-s", "base", "-b", DOMAIN]);
        ask(&who, PASSWORD, &base)?.expect_ok().doing("the right password")?;
        for _ in 0..3 {
            ask(&who, "wrong", &base)?.expect_code(49)?;
        }
        ask(&who, PASSWORD, &base)?.expect_code(49).doing("the lockout").map(drop)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it in good order.
    pub fn stop(self) -> Outcome {
        self.process.stop(Signal::SIGTERM).map(drop)
    }
}

/// Asks over TLS, with certificate and host name checked.
fn ask(who: &str, password: &str, args: &[&str]) -> Outcome<Ended> {
    let bind =
        ["-x", "-LLL", "-H", &format!("ldaps://{NAME}"), "-o", "nettimeout=30", "-D", who, "-w", password];
    let search = Program::new("ldapsearch").args(&bind).args(args);
    search.env("LDAPTLS_CACERT", format!("{HOME}/ca.pem")).env("LDAPTLS_REQCERT", "demand").run()
}

fn provision() -> Outcome {
    // One that the package left would be taken for a domain that is there already.
    let _ = fs::remove_file("/etc/samba/smb.conf");
    let tool =
        Program::new("samba-tool").args(&["domain", "provision", "--realm=EXAMPLE.COM", "--domain=EXAMPLE"]);
    let tool =
        tool.args(&["--server-role=dc", "--dns-backend=SAMBA_INTERNAL", "--use-rfc2307", "--host-name=dc1"]);
    let tool = tool.args(&[&format!("--host-ip={ADDRESS}"), &format!("--targetdir={HOME}")]);
    let tool = tool.args(&["--adminpass=Not used 1 time", "--option=ldb:nosync=true"]);
    tool.patience(Duration::from_secs(300)).run()?.expect_ok().doing("make a domain").map(drop)
}

/// LDAP, Kerberos and DNS: no file sharing. Over TLS a ticket is enough, without a signature on every message.
fn config() -> String {
    format!(
        "[global]\nnetbios name = DC1\nrealm = EXAMPLE.COM\nworkgroup = EXAMPLE\n\
         server role = active directory domain controller\nserver services = ldap, kdc, dns\n\
         ldap server require strong auth = allow_sasl_over_tls\n\
         interfaces = {ADDRESS}/32\nbind interfaces only = yes\nprivate dir = {HOME}/private\n\
         state directory = {HOME}/state\ncache directory = {HOME}/cache\nlock directory = {HOME}\n\
         pid directory = {HOME}\nbinddns dir = {HOME}/bind-dns\nlog file = /var/log/samba.%m\nldb:nosync = true\n\
         tls enabled = yes\ntls cafile = {HOME}/ca.pem\ntls certfile = {HOME}/server.pem\n\
         tls keyfile = {HOME}/server.key\n"
    )
}

pub(crate) fn set_password(login: &str, password: &str) -> Outcome {
    let tool = Program::new("samba-tool").args(&["user", "setpassword", login]);
    tool.arg(format!("--newpassword={password}")).arg("-H").arg(SAM).run()?.expect_ok().map(drop)
}

/// A program of ldb as the system itself, on the controller's database or through the running controller.
fn ldb(name: &str, database: &str) -> Program {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let modules = folders.map(|folder| folder.path().join("samba/ldb")).find(|path| path.is_dir());
    let program = Program::new(name).args(&["-H", database]);
    match modules {
        Some(path) => program.env("LDB_MODULES_PATH", path),
        None => program,
    }
}

/// The login names of the members that a search has printed, from `place` on.
pub fn members_from(printed: &Ended, place: usize) -> Outcome<Vec<String>> {
    let unfolded = printed.stdout.replace("\n ", "");
    let prefix = format!("member;range={place}-*: CN=");
    let logins = unfolded.lines().filter_map(|line| line.strip_prefix(&prefix)?.split(',').next());
    let logins: Vec<String> = logins.map(str::to_owned).collect();
    if logins.is_empty() {
        Err(Failure::new(format!("no member after {place}\n{unfolded}")))
    } else {
        Ok(logins)
    }
}

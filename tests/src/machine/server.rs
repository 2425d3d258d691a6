//! A directory on the network: a real slapd outside of the machine, and the cable between them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::boot::Machine;
use super::release::Release;
use crate::directory::{BASE, Directory, Schema};
use crate::failure::{Context, Outcome, require};
use crate::program::{Background, Program, wait_until};
use crate::slapd::KEY_SCHEMA;
use crate::tls::make_certificates_in;

/// The name in its certificate.
const NAME: &str = "ldap1.example.com";
/// The password of `cn=svcauth,ou=system`, who may read.
const SECRET: &str = "reader of the directory";
/// Where the administrator has put what the machine needs to know: outside of /etc, which tests compare.
const AUTHORITY: &str = "/root/ldap/ca.pem";
/// Where the daemon can see it.
const CA: &str = "/etc/svcauth/ca.pem";
const PASSWORD: &str = "/root/ldap/password";

/// Who may become whom.
const RULE: [&str; 4] = ["--account", "deployer", "--role", "application"];

/// `network-online.target` is reached when somebody has plugged the cable in, and not before.
const WAIT_ONLINE: &str = "\
[Unit]
Description=Waits for an address
DefaultDependencies=no
Before=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=infinity
ExecStart=/bin/sh -c 'until ip -4 address show host0 2>/dev/null | grep -q inet; do sleep 0.1; done'
";

/// A slapd that one machine can be connected with.
#[derive(Debug)]
pub struct Server {
    _process: Background,
    /// Of the server; it answers there whether anybody can reach it or not.
    address: String,
    /// The two ends of the cable.
    ends: [String; 2],
    /// The name of the end outside.
    wire: String,
}

impl Server {
    /// Starts a server with these entries for a machine, and lets the machine know its name. Nothing is connected yet.
    pub fn start(machine: &Machine, directory: &Directory) -> Outcome<Self> {
        let folder = machine.folder().join("slapd");
        let (net, number) = (100 + u8::from(machine.release() == Release::Debian13), machine.number());
        let address = format!("10.{net}.{number}.1");
        ip(&["addr", "add", &format!("{address}/32"), "dev", "lo"])?;
        write_files(&folder, directory)?;
        let load = Program::new("slapadd").args(&["-q", "-b", BASE, "-f"]).arg(folder.join("slapd.conf"));
        load.arg("-l").arg(folder.join("data.ldif")).run()?.expect_ok().doing("load the directory")?;
        let process = start_slapd(&folder, &address)?;
        let hosts = machine.read("/etc/hosts")?;
        machine.write("/etc/hosts", 0o644, format!("{hosts}{address} {NAME}\n"))?;
        machine.copy_in(&folder.join("ca.pem"), AUTHORITY, 0o644)?;
        machine.write(PASSWORD, 0o600, format!("{SECRET}\n"))?;
        machine.write("/usr/local/lib/systemd/system/wait-online.service", 0o644, WAIT_ONLINE)?;
        machine.tell(
            "cd /usr/local/lib/systemd/system; mkdir network-online.target.wants; \
             ln -s ../wait-online.service network-online.target.wants; systemctl daemon-reload",
        )?;
        let ends = [format!("10.{net}.{number}.129"), format!("10.{net}.{number}.130")];
        Ok(Self { _process: process, address, ends, wire: format!("{}-{number}", machine.release().suite()) })
    }

    /// Sets svcauth up with it, as an administrator does who answers on the command line, or Ansible.
    pub fn set_up(&self, machine: &Machine) -> Outcome {
        machine.tell(&format!("install -m 644 {AUTHORITY} {CA}"))?;
        let words = self.setup_words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        machine.ask(&[&["svcauth", "setup", "--yes"][..], &words, &RULE].concat())?;
        machine.wait_for_state("ok")
    }

    fn setup_words(&self) -> Vec<String> {
        let uri = format!("ldaps://{NAME}");
        let bind_dn = format!("cn=svcauth,ou=system,{BASE}");
        ["--kind", "ldap", "--uri", &uri, "--bind-dn", &bind_dn, "--password-file", PASSWORD, "--ca-file", CA]
            .map(str::to_owned)
            .to_vec()
    }

    /// Connects the machine; a reboot takes the cable out again.
    pub fn plug_in(&self, machine: &Machine) -> Outcome {
        let (wire, leader) = (self.wire.as_str(), machine.leader()?.to_string());
        let [outside, inside] = &self.ends;
        ip(&["link", "add", wire, "type", "veth", "peer", "name", "host0", "netns", &leader])?;
        ip(&["addr", "add", &format!("{outside}/30"), "dev", wire])?;
        ip(&["link", "set", wire, "up"])?;
        machine.tell(&format!("ip link set host0 up; ip addr add {inside}/30 dev host0"))?;
        machine.tell(&format!("ip route add {} via {outside}", self.address)).map(drop)
    }
}

fn start_slapd(folder: &Path, address: &str) -> Outcome<Background> {
    let log = fs::File::create(folder.join("slapd.out"))?;
    let url = format!("ldaps://{address}/");
    let slapd = Program::new("slapd").args(&["-d", "0", "-h", &url, "-f"]).arg(folder.join("slapd.conf"));
    let mut process = slapd.start(log)?;
    let listens = || std::net::TcpStream::connect((address, 636)).ok().map(drop);
    let mut ended = None;
    wait_until("slapd on port 636", Duration::from_secs(120), || {
        ended = process.ended();
        listens().or_else(|| ended.map(drop))
    })?;
    require(ended.is_none(), || fs::read_to_string(folder.join("slapd.out")).unwrap_or_default())?;
    Ok(process)
}

fn write_files(folder: &Path, directory: &Directory) -> Outcome {
    fs::create_dir_all(folder.join("db"))?;
    make_certificates_in(folder, &[NAME])?;
    fs::write(folder.join("key.schema"), KEY_SCHEMA)?;
    fs::write(folder.join("slapd.conf"), config(folder))?;
    let reader = format!(
        "dn: ou=system,{BASE}\nobjectClass: organizationalUnit\nou: system\n\ndn: cn=svcauth,ou=system,{BASE}\n\
         objectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: svcauth\nuserPassword: {SECRET}\n"
    );
    Ok(fs::write(folder.join("data.ldif"), format!("{}\n{reader}", directory.text(Schema::Rfc2307)))?)
}

fn config(folder: &Path) -> String {
    let home = folder.display();
    let reader = format!("cn=svcauth,ou=system,{BASE}");
    format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/nis.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n\
         include {home}/key.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload syncprov\nloglevel 0\n\
         threads 8\nTLSCACertificateFile {home}/ca.pem\nTLSCertificateFile {home}/server.pem\n\
         TLSCertificateKeyFile {home}/server.key\ndatabase mdb\nsuffix {BASE}\ndirectory {home}/db\n\
         limits dn.exact=\"{reader}\" size=unlimited time=unlimited\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"{reader}\" read by * none\noverlay syncprov\n"
    )
}

fn ip(args: &[&str]) -> Outcome {
    Program::new("ip").args(args).run()?.expect_ok().map(drop)
}

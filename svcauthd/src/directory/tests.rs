//! The LDIF file answers the same searches as a server, and is read only when nobody else could have written it.

use super::{FetchError, fetch};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use svcauth_core::config::Config;

const LDIF: &str = "dn: dc=x\nobjectClass: domain\n\n\
    dn: uid=deployer,ou=accounts,dc=x\nobjectClass: posixAccount\nuid: deployer\n\n\
    dn: uid=intruder,ou=elsewhere,dc=x\nobjectClass: posixAccount\nuid: intruder\n\n\
    dn: cn=application,ou=groups,dc=x\nobjectClass: groupOfNames\ncn: application\n\n\
    dn: uid=bob,ou=people,dc=x\nobjectClass: inetOrgPerson\nuid: bob\n";

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("svcauth-directory-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn config(file: &Path, accounts: &str) -> Config {
    let text = format!(
        "[directory]\nkind = \"ldif\"\nfile = \"{}\"\n[accounts]\n{accounts}\n[people]\nbase = \"OU=People, DC=x\"\n\
         [[access]]\naccounts = [\"*\"]\nroles = []\n",
        file.display()
    );
    Config::parse(&text).unwrap()
}

fn error(file: &Path, accounts: &str) -> String {
    fetch(&config(file, accounts), None, Instant::now()).unwrap_err().to_string()
}

#[test]
fn an_ldif_file_is_searched_like_a_directory() {
    let file = Scratch::new("search", LDIF);
    let fetched = fetch(&config(&file.0, "base = \"ou=accounts,dc=x\""), None, Instant::now()).unwrap();
    let names = |entries: &[super::Entry]| entries.iter().map(|entry| entry.dn.clone()).collect::<Vec<_>>();
    assert_eq!(names(&fetched.accounts), ["uid=deployer,ou=accounts,dc=x"]);
    assert_eq!(names(&fetched.groups), ["cn=application,ou=groups,dc=x"]);
    assert_eq!(names(&fetched.people), ["uid=bob,ou=people,dc=x"]);
    assert_eq!(fetched.server, file.0.display().to_string());
    let filtered = fetch(&config(&file.0, "filter = \"(uid=i*)\""), None, Instant::now()).unwrap();
    assert_eq!(names(&filtered.accounts), ["uid=intruder,ou=elsewhere,dc=x"]);
}

#[test]
fn a_base_that_is_not_there_is_an_error_and_not_an_empty_directory() {
    let file = Scratch::new("base", LDIF);
    let shown = file.0.display();
    assert_eq!(
        error(&file.0, "base = \"ou=acounts,dc=x\""),
        format!(
            "{shown}: there is no entry \"ou=acounts,dc=x\"; check [accounts] base and what the bind DN may read"
        )
    );
    let empty = Scratch::new("empty", "# nothing\n");
    assert!(error(&empty.0, "").ends_with("there are no entries in it"));
}

#[test]
fn a_file_that_others_could_have_written_is_refused() {
    let file = Scratch::new("mode", LDIF);
    assert!(fetch(&config(&file.0, ""), None, Instant::now()).is_ok());
    for mode in [0o664, 0o646, 0o666] {
        fs::set_permissions(&file.0, Permissions::from_mode(mode)).unwrap();
        assert!(error(&file.0, "").contains("chmod go-w"), "{mode:o}");
    }
    assert!(error(&std::env::temp_dir(), "").contains("is not a regular file"));
    assert!(error(Path::new("/nonexistent/x.ldif"), "").contains("cannot be opened"));
    assert!(error(Path::new("/dev/null"), "").contains("is not a regular file"));
}

#[test]
fn a_fault_in_the_file_names_file_and_line() {
    let file = Scratch::new("fault", "dn: dc=x\nnonsense\n");
    assert_eq!(error(&file.0, ""), format!("{}: line 2: expected \"name: value\"", file.0.display()));
}

#[test]
fn a_server_that_never_answers_is_left_after_the_timeout_and_the_next_one_is_asked() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[directory]\nkind = \"ldap\"\ntls = \"off\"\nuris = [\"ldap://{}\", \"ldapi://%2Fnonexistent\"]\ntimeout = \"1s\"\n\
         [accounts]\nbase = \"dc=x\"\n[groups]\nbase = \"dc=x\"\n[people]\nbase = \"dc=x\"\n\
         [[access]]\naccounts = [\"*\"]\nroles = []\n",
        silent.local_addr().unwrap()
    );
    let config = Config::parse(&text).unwrap();
    let start = Instant::now();
    let Err(FetchError::NoServer(failures)) = fetch(&config, None, start + Duration::from_secs(90)) else {
        panic!("no server can be used")
    };
    assert!(
        matches!(failures.as_slice(), [FetchError::Timeout { seconds: 1, .. }, FetchError::Connect { .. }]),
        "{failures:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(60));
    let start = Instant::now();
    assert_eq!(fetch(&config, None, start + Duration::from_millis(200)), Err(FetchError::Deadline));
    assert!(start.elapsed() < Duration::from_secs(60));
}

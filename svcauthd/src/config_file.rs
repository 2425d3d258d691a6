//! Reading `/etc/svcauth/svcauth.toml` and the files that it names.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use svcauth_core::config::{Bind, Config, ConfigError, DirectoryKind};
use svcauth_core::origin::{Fingerprint, PublicKey};
use svcauth_host::managed::CONFIG_MAX;
use svcauth_host::paths;
use svcauth_host::snapshot_file::{SnapshotError, read_trusted, read_trusted_bytes};

/// Longest keytab in bytes: some thousand keys.
const KEYTAB_MAX: u64 = 1 << 20;

/// The configuration with what its files hold.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The text of the file, for the worker.
    pub text: String,
    /// The checked configuration.
    pub config: Config,
    /// Fingerprints of the trusted certificate authorities.
    pub trusted_ca: Vec<Fingerprint>,
}

/// A keytab, and whose key of it is used. Not `Debug`: a key must not reach a log by way of a `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Keytab {
    /// Where it was.
    pub path: PathBuf,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// The principal that the configuration names.
    pub principal: Option<String>,
}

/// Why the configuration cannot be used.
#[derive(Debug)]
pub enum ConfigFileError {
    /// The file, or one that it names, cannot be read or trusted.
    File(PathBuf, SnapshotError),
    /// A value is wrong.
    Value(ConfigError),
    /// A line of a file of certificate authorities is no public key.
    Authority(PathBuf, usize, String),
}

impl ConfigFileError {
    /// Nobody has written the configuration yet.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(path, SnapshotError::Missing) if path == Path::new(paths::CONFIG))
    }
}

impl fmt::Display for ConfigFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, SnapshotError::Missing) if self.is_missing() => write!(
                f,
                "{}: there is no such file; run: svcauth setup (or copy the commented example, /usr/share/doc/svcauth/examples/svcauth.toml)",
                path.display()
            ),
            Self::File(path, SnapshotError::Missing) => {
                write!(f, "{}: there is no such file", path.display())
            }
            Self::File(path, SnapshotError::Untrusted(why)) => {
                write!(
                    f,
                    "{0}: {why}; it must be a plain file that only root can write (chown root {0} && chmod go-w {0})",
                    path.display()
                )
            }
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Value(error) => write!(f, "{error}"),
            Self::Authority(path, line, why) => {
                write!(
                    f,
                    "{}: line {line}: {why}; write one public key a line, as in a .pub file",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for ConfigFileError {}

impl Loaded {
    /// Reads the configuration and the certificate authorities.
    ///
    /// # Errors
    /// [`ConfigFileError`], which names the file, the line and the next step.
    pub fn read() -> Result<Self, ConfigFileError> {
        let text = read(Path::new(paths::CONFIG))?;
        let config = Config::parse(&text)
            .map_err(|error| ConfigFileError::Value(error.with_path(Path::new(paths::CONFIG))))?;
        let mut trusted_ca = Vec::new();
        for path in &config.certificates.trusted_ca {
            trusted_ca.extend(authorities(path)?);
        }
        Ok(Self { text, config, trusted_ca })
    }

    /// The bind password, if the configuration names a file for it: its first line.
    ///
    /// # Errors
    /// When the file cannot be read, or everybody can read it, or the password is empty: many servers take an empty one
    /// for an anonymous bind.
    pub fn secret(&self) -> Result<Option<String>, ConfigFileError> {
        let Some(server) = self.config.directory.kind.server() else {
            return Ok(None);
        };
        let Bind::Simple { password_file, .. } = &server.bind else {
            return Ok(None);
        };
        let text = read(password_file)?;
        keeps_to_itself(password_file, "password")
            .map_err(|why| ConfigFileError::File(password_file.clone(), SnapshotError::Refused(why)))?;
        let secret = text.lines().next().unwrap_or_default();
        if secret.is_empty() {
            return Err(ConfigFileError::File(
                password_file.clone(),
                SnapshotError::Refused("the password is empty".into()),
            ));
        }
        Ok(Some(secret.to_owned()))
    }

    /// The keytab, with `bind = "gssapi"`.
    ///
    /// # Errors
    /// When it cannot be read, or others than root can: whoever has its key is this host.
    pub fn keytab(&self) -> Result<Option<Keytab>, ConfigFileError> {
        let Some(Bind::Gssapi { keytab, principal }) =
            self.config.directory.kind.server().map(|server| &server.bind)
        else {
            return Ok(None);
        };
        let fault = |why| ConfigFileError::File(keytab.clone(), why);
        let bytes = read_trusted_bytes(keytab, KEYTAB_MAX).map_err(fault)?;
        keeps_to_itself(keytab, "key").map_err(|why| fault(SnapshotError::Refused(why)))?;
        Ok(Some(Keytab { path: keytab.clone(), bytes, principal: principal.clone() }))
    }

    /// Looks whether the LDIF file, or the authorities of the LDAP servers, are there.
    ///
    /// # Errors
    /// [`ConfigFileError::File`], which names the file that is not.
    pub fn sources_are_there(&self) -> Result<(), ConfigFileError> {
        match &self.config.directory.kind {
            DirectoryKind::Ldif { file } => is_there(file),
            DirectoryKind::Ldap(server) | DirectoryKind::Ad(server) => {
                server.ca_file.as_deref().map_or(Ok(()), is_there)
            }
        }
    }
}

/// Whether there is such a file at all; what is in it is the worker's business.
fn is_there(path: &Path) -> Result<(), ConfigFileError> {
    let fault = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => SnapshotError::Missing,
        _ => SnapshotError::Refused(error.to_string()),
    };
    std::fs::File::open(path).map(drop).map_err(|error| ConfigFileError::File(path.to_owned(), fault(error)))
}

fn read(path: &Path) -> Result<String, ConfigFileError> {
    read_trusted(path, CONFIG_MAX).map_err(|error| ConfigFileError::File(path.to_owned(), error))
}

/// Whoever reads the bind password can ask the directory in svcauth's name (CVE-2009-1073 of nss-ldapd).
fn keeps_to_itself(path: &Path, what: &str) -> Result<(), String> {
    let mode = std::fs::metadata(path).map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o007 == 0 {
        Ok(())
    } else {
        Err(format!("everybody on this host can read the {what}; run: chmod 0600 {}", path.display()))
    }
}

fn authorities(path: &Path) -> Result<Vec<Fingerprint>, ConfigFileError> {
    let text = read(path)?;
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            let key = PublicKey::parse(line)
                .map_err(|error| ConfigFileError::Authority(path.to_owned(), number, error.to_string()))?;
            Ok(key.fingerprint())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfigFileError, Loaded, PathBuf, SnapshotError, keeps_to_itself, paths};
    use std::fs::{Permissions, remove_file, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_that_is_not_trusted_or_not_there_is_named_with_the_next_step() {
        let said = |why| ConfigFileError::File(PathBuf::from("/etc/svcauth/ca.pub"), why).to_string();
        let untrusted = said(SnapshotError::Untrusted("it is not owned by root"));
        assert!(untrusted.starts_with("/etc/svcauth/ca.pub: it is not owned by root; "), "{untrusted}");
        assert!(
            untrusted.ends_with("(chown root /etc/svcauth/ca.pub && chmod go-w /etc/svcauth/ca.pub)"),
            "{untrusted}"
        );
        assert_eq!(said(SnapshotError::Missing), "/etc/svcauth/ca.pub: there is no such file");
        let config = ConfigFileError::File(PathBuf::from(paths::CONFIG), SnapshotError::Missing).to_string();
        assert!(config.contains("/usr/share/doc/svcauth/examples/svcauth.toml"), "{config}");
    }

    #[test]
    fn what_the_configuration_names_is_looked_for() {
        let loaded = |file: &str| {
            let text = format!(
                "[directory]\nkind = \"ldif\"\nfile = \"{file}\"\n[[access]]\naccounts = [\"*\"]\nroles = [\"r\"]\n"
            );
            Loaded { config: Config::parse(&text).unwrap(), text, trusted_ca: Vec::new() }
        };
        assert!(loaded("/etc/passwd").sources_are_there().is_ok());
        let missing = loaded("/nowhere/directory.ldif").sources_are_there().unwrap_err().to_string();
        assert_eq!(missing, "/nowhere/directory.ldif: there is no such file");
    }

    #[test]
    fn a_password_that_everybody_can_read_is_refused() {
        let path = std::env::temp_dir().join(format!("svcauth-bind-secret-{}", std::process::id()));
        write(&path, "secret\n").unwrap();
        let verdict = |mode| {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            keeps_to_itself(&path, "password")
        };
        for mode in [0o600, 0o400, 0o640] {
            assert_eq!(verdict(mode), Ok(()), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o601] {
            assert!(verdict(mode).unwrap_err().contains("chmod 0600 "), "{mode:o}");
        }
        remove_file(&path).unwrap();
    }
}

//! Key pairs and certificates, made by the real ssh-keygen.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure, Outcome};
use crate::program::Program;

/// A key pair in a file, and perhaps a certificate beside it.
#[derive(Debug, Clone)]
pub struct Key {
    private: PathBuf,
    public: String,
    fingerprint: String,
}

/// What a certificate says.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The key id.
    pub id: &'a str,
    /// The principals.
    pub principals: &'a [&'a str],
    /// The serial number.
    pub serial: u64,
    /// More options of `ssh-keygen -O`.
    pub options: &'a [&'a str],
}

impl Key {
    /// Makes `folder/name` and `folder/name.pub`; the comment is `name@laptop`.
    pub fn generate(folder: &Path, name: &str) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let private = folder.join(name);
        let keygen = Program::new("ssh-keygen").args(&["-q", "-t", "ed25519", "-N", "", "-C"]);
        keygen.arg(format!("{name}@laptop")).arg("-f").arg(&private).run()?.expect_ok()?;
        let public = fs::read_to_string(private.with_extension("pub"))?.trim_end().to_owned();
        let fingerprint = fingerprint(&private.with_extension("pub"))?;
        Ok(Self { private, public, fingerprint })
    }

    /// The file that ssh is given with `-i`.
    pub fn path(&self) -> &Path {
        &self.private
    }

    /// `ssh-ed25519 AAAA... name@laptop`
    pub fn public(&self) -> &str {
        &self.public
    }

    /// `SHA256:...`
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A copy of this key with a certificate signed by `ca`, in a folder of its own named after `label`.
    pub fn signed_by(&self, ca: &Self, label: &str, says: Statement<'_>) -> Outcome<Self> {
        let name = self.private.file_name().ok_or_else(|| Failure::new("a key without a file name"))?;
        let folder = self.private.with_file_name(format!("{label}.signed"));
        fs::create_dir_all(&folder)?;
        let copy = folder.join(name);
        fs::copy(&self.private, &copy).doing("copy the key")?;
        fs::write(copy.with_extension("pub"), &self.public)?;
        let mut sign = Program::new("ssh-keygen").args(&["-q", "-s"]).arg(&ca.private).args(&["-I", says.id]);
        sign = sign.arg("-z").arg(says.serial.to_string()).args(&["-V", "-5m:+1h"]);
        if !says.principals.is_empty() {
            sign = sign.arg("-n").arg(says.principals.join(","));
        }
        for option in says.options {
            sign = sign.arg("-O").arg(option);
        }
        sign.arg(copy.with_extension("pub")).run()?.expect_ok()?;
        Ok(Self { private: copy, ..self.clone() })
    }
}

fn fingerprint(public: &Path) -> Outcome<String> {
    let shown =
        Program::new("ssh-keygen").args(&["-l", "-E", "sha256", "-f"]).arg(public).run()?.expect_ok()?;
    let word = shown.stdout.split_whitespace().nth(1).map(str::to_owned);
    word.ok_or_else(|| Failure::new(format!("no fingerprint in {:?}", shown.stdout)))
}

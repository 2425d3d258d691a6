//! Certificates for servers of a world.

use std::fs;
use std::path::Path;

use crate::failure::Outcome;
use crate::program::Program;
use crate::world::World;

/// Makes `ca.pem`, and `server.pem` with `server.key` for host names, in a folder; nothing for the host's address.
pub fn make_certificates(_world: &World, folder: &str, names: &[&str]) -> Outcome {
    make_certificates_in(Path::new(folder), names)
}

/// The same, for a server that is in no world.
pub fn make_certificates_in(folder: &Path, names: &[&str]) -> Outcome {
    const NEW_KEY: &str = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let name = names.first().copied().unwrap_or_default();
    let all = names.join(",DNS:");
    let extensions =
        format!("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:{all}\n");
    fs::create_dir_all(folder)?;
    fs::write(folder.join("extensions"), extensions)?;
    let openssl = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        Program::new("openssl").args(&words).dir(folder).run()?.expect_ok().map(drop)
    };
    openssl(&format!("{NEW_KEY} -x509 -days 30 -subj /CN=authority -keyout ca.key -out ca.pem"))?;
    openssl(&format!("{NEW_KEY} -subj /CN={name} -keyout server.key -out server.csr"))?;
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out server.pem",
    )
}

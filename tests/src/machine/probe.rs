//! A small program that asks PAM of a machine as a service would.

use std::path::Path;

use super::boot::Machine;
use crate::failure::{Context, Failure, Outcome};
use crate::program::Program;

const SOURCE: &str = include_str!("probe.c");
const INSIDE: &str = "/root/probe";

/// What PAM says about a user of a service: its codes, 0 for yes. The session is not asked where the account is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The file below `/etc/pam.d`.
    pub service: String,
    /// Who it was.
    pub user: String,
    /// Of `pam_acct_mgmt`.
    pub account: i32,
    /// Of `pam_open_session`.
    pub session: i32,
}

impl Answer {
    /// Whether the user would be let in.
    pub fn entered(&self) -> bool {
        self.account == 0 && self.session == 0
    }
}

impl Machine {
    /// Compiles the program and puts it into the machine.
    pub fn bring_probe(&self) -> Outcome {
        let built = Path::new("/run/machines").join(format!("probe-{}-{}", self.release(), self.number()));
        let compile = Program::new("cc").args(&["-O1", "-x", "c", "-", "-lpam", "-o"]).arg(&built);
        compile.input(SOURCE).run()?.expect_ok().doing("compile the probe (libpam0g-dev is needed)")?;
        self.copy_in(&built, INSIDE, 0o755)
    }

    /// Asks every service for every user. A service that crashes says so by a code that PAM does not have.
    pub fn probe(&self, services: &[String], users: &[&str]) -> Outcome<Vec<Answer>> {
        let (services, users) = (services.join(" "), users.join(" "));
        let script = format!(
            "for s in {services}; do for u in {users}; do {INSIDE} $s $u </dev/null || echo \"$s $u -2 $?\"; done; done"
        );
        self.tell(&script)?.lines().map(parse).collect()
    }
}

fn parse(line: &str) -> Outcome<Answer> {
    let strange = || Failure::new(format!("the probe said {line:?}"));
    let words: Vec<&str> = line.split(' ').collect();
    let [service, user, account, session] = words.as_slice() else {
        return Err(strange());
    };
    let code = |word: &str| word.parse().map_err(|_| strange());
    let (account, session) = (code(account)?, code(session)?);
    Ok(Answer { service: (*service).to_owned(), user: (*user).to_owned(), account, session })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_only_two_zeros_let_in() {
        let answer = parse("sshd root 0 0").unwrap();
        assert!(answer.entered() && answer.service == "sshd" && answer.user == "root");
        assert!(!parse("sshd deployer 0 6").unwrap().entered());
        assert!(parse("Segmentation fault").is_err());
    }
}

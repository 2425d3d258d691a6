//! What sshd may forward for somebody, or for everybody who may use an account.

use svcauth_core::command::{Forwarding, Limits, Mode};

/// What may be forwarded, by all that allow it together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Forwards {
    /// From the client's side (`ssh -L`, `-D`, `-W`).
    pub local: bool,
    /// From this host's side (`ssh -R`).
    pub remote: bool,
    /// The agent, X11 and tunnels, too: whatever sshd allows.
    pub rest: bool,
}

impl Forwards {
    /// Nothing.
    pub const NOTHING: Self = Self { local: false, remote: false, rest: false };
    /// Whatever sshd allows.
    pub const ANYTHING: Self = Self { local: true, remote: true, rest: true };

    /// What one rule allows.
    ///
    /// Nothing tells the daemon about a forward, so that a rule that is learning could only refuse it: it does not, as it
    /// refuses nothing else.
    #[must_use]
    pub fn of(limits: Option<&Limits>) -> Self {
        match limits.map(|limits| (limits.mode, limits.forwarding)) {
            None | Some((Mode::Learn, _) | (_, Forwarding::Any)) => Self::ANYTHING,
            Some((Mode::Enforce, Forwarding::No)) => Self::NOTHING,
            Some((Mode::Enforce, Forwarding::Local)) => Self { local: true, ..Self::NOTHING },
            Some((Mode::Enforce, Forwarding::Remote)) => Self { remote: true, ..Self::NOTHING },
        }
    }

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            local: self.local && other.local,
            remote: self.remote && other.remote,
            rest: self.rest && other.rest,
        }
    }

    /// What one of both allows.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            local: self.local || other.local,
            remote: self.remote || other.remote,
            rest: self.rest || other.rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Forwarding, Forwards, Limits, Mode};

    #[test]
    fn several_rules_allow_what_any_of_them_allows() {
        let of = |forwarding| Forwards::of(Some(&Limits { forwarding, ..Limits::default() }));
        let (local, remote) = (of(Forwarding::Local), of(Forwarding::Remote));
        assert_eq!(of(Forwarding::No), Forwards::NOTHING);
        assert_eq!(local.or(remote), Forwards { rest: false, ..Forwards::ANYTHING });
        assert_eq!(local.and(remote), Forwards::NOTHING);
        assert_eq!(of(Forwarding::No).or(local), local);
        assert_eq!(of(Forwarding::Any).or(local), Forwards::ANYTHING);
        assert_eq!(Forwards::of(None).or(remote), Forwards::ANYTHING);
        let learning = Limits { mode: Mode::Learn, ..Limits::default() };
        assert_eq!(Forwards::of(Some(&learning)), Forwards::ANYTHING);
    }
}

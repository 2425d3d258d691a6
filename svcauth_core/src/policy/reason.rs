//! Why somebody is refused: stable codes for scripts, one sentence for people.

use core::fmt;

macro_rules! reasons {
    ($($variant:ident $code:literal $sentence:literal)*) => {
        /// Why a request is denied. The codes are an interface (audit records, `svcauth explain --json`): never change one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $sentence] $variant,)*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable code, as in `reason=not_in_role`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
            /// The sentence for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

reasons! {
    NotInRole "not_in_role" "the person is in none of the roles that may use this account"
    MissingRole "missing_role" "the person lacks at least one of the roles that this account needs"
    NoRule "no_rule" "no access rule names this account"
    NoRoles "no_roles" "the access rule has no roles, so nobody may use this account"
    NoOrigin "no_origin" "nothing proves who is behind this session"
    AmbiguousOrigin "ambiguous_origin" "the proofs name different people"
    UnknownKey "unknown_key" "the SSH key belongs to nobody in the directory who holds a role"
    UntrustedCa "untrusted_ca" "the certificate is signed by an authority that the configuration does not list"
    UnknownPrincipal "unknown_principal" "the certificate or ticket names nobody in the directory who holds a role"
    PersonDisabled "person_disabled" "the person is disabled in the directory"
    PersonExpired "person_expired" "the person has expired in the directory"
    PersonLocked "person_locked" "the person is locked out in the directory"
    AccountDisabled "account_disabled" "the account is disabled or locked in the directory"
    AccountExpired "account_expired" "the account has expired in the directory"
    HostNotAllowed "host_not_allowed" "this account may not be used on this host"
    ServiceNotAllowed "service_not_allowed" "no access rule allows this account through this service"
    SourceNotAllowed "source_not_allowed" "no access rule allows this account from this address"
    Stale "stale" "the directory has not confirmed the snapshot for longer than max_stale"
    SnapshotMissing "snapshot_missing" "there is no snapshot, and the account is a managed one"
    SnapshotInvalid "snapshot_invalid" "the snapshot cannot be trusted, and the account is a managed one"
    ConfigInvalid "config_invalid" "the configuration cannot be read, and the account was a managed one when it last could"
    AuditUnavailable "audit_unavailable" "no log took the audit record"
    CommandNotAllowed "command_not_allowed" "no access rule allows this command"
    ShellNotAllowed "shell_not_allowed" "no access rule allows an interactive shell"
    InternalError "internal_error" "svcauth itself failed"
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl core::str::FromStr for Reason {
    type Err = ();
    fn from_str(code: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code).ok_or(())
    }
}

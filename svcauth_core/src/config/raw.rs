//! The shape of the file: sections, keys and TOML types. What the values mean is checked by the files beside this one.
//!
//! No `#[serde(flatten)]` here: it silently switches `deny_unknown_fields` off.

use serde::Deserialize;
use std::string::String;
use std::vec::Vec;
use toml::Spanned;

pub(super) type Text = Option<Spanned<String>>;
pub(super) type Number = Option<Spanned<i64>>;
pub(super) type Flag = Option<Spanned<bool>>;
pub(super) type Texts = Option<Spanned<Vec<Spanned<String>>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) directory: Spanned<Directory>,
    #[serde(default)]
    pub(super) accounts: Accounts,
    #[serde(default)]
    pub(super) groups: Groups,
    #[serde(default)]
    pub(super) people: People,
    #[serde(default)]
    pub(super) certificates: Certificates,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) sessions: Sessions,
    #[serde(default)]
    pub(super) audit: Audit,
    #[serde(default)]
    pub(super) access: Vec<Spanned<Access>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directory {
    pub(super) kind: Text,
    pub(super) file: Text,
    pub(super) uris: Texts,
    pub(super) domain: Text,
    pub(super) site: Text,
    pub(super) bind: Text,
    pub(super) bind_dn: Text,
    pub(super) bind_password_file: Text,
    pub(super) keytab: Text,
    pub(super) principal: Text,
    pub(super) tls: Text,
    pub(super) ca_file: Text,
    pub(super) changes: Text,
    pub(super) refresh: Text,
    pub(super) full_refresh: Text,
    pub(super) timeout: Text,
    pub(super) lockout_duration: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Accounts {
    pub(super) base: Text,
    pub(super) filter: Text,
    pub(super) id_map: Text,
    pub(super) idmap_range_min: Number,
    pub(super) idmap_range_max: Number,
    pub(super) idmap_range_size: Number,
    pub(super) id_range: Text,
    pub(super) host_attribute: Text,
    pub(super) home: Text,
    pub(super) shell: Text,
    pub(super) local_accounts: Texts,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Groups {
    pub(super) base: Text,
    pub(super) filter: Text,
    pub(super) member: Texts,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct People {
    pub(super) base: Text,
    pub(super) filter: Text,
    pub(super) login: Text,
    pub(super) ssh_key: Texts,
    pub(super) principal: Texts,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificates {
    pub(super) trusted_ca: Texts,
    pub(super) key_id: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) max_stale: Text,
    pub(super) audit: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Sessions {
    pub(super) on_revoke: Text,
    pub(super) grace: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    pub(super) rotate_size: Text,
    pub(super) keep: Number,
    pub(super) denied_per_minute: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Access {
    pub(super) accounts: Texts,
    pub(super) roles: Texts,
    pub(super) roles_from: Text,
    pub(super) need: Text,
    pub(super) services: Texts,
    pub(super) hosts: Texts,
    pub(super) from: Texts,
    pub(super) mode: Text,
    pub(super) shell: Text,
    pub(super) commands: Option<Spanned<Vec<Spanned<toml::Value>>>>,
    pub(super) sftp: Text,
    pub(super) forwarding: Text,
    pub(super) record: Flag,
}

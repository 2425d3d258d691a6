//! `[[access]]`: which accounts may be used by whom, through what, where and from where.

use super::check::Check;
use super::error::ConfigError;
use super::{limits, raw};
use crate::command::Limits;
use crate::policy::{Need, Network, NetworkError, Pattern};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;
use toml::Spanned;

/// Services of a rule that names none.
const DEFAULT_SERVICES: [&str; 4] = ["sshd", "su", "sudo", "login"];

/// One `[[access]]` rule as it is written; [`crate::policy::AccessRule`] is the same with its roles resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenRule {
    /// The line of its `[[access]]`, to name the rule in explanations.
    pub line: u32,
    /// The accounts it is about; at least one pattern.
    pub accounts: Vec<Pattern>,
    /// Where its roles come from.
    pub roles: WrittenRoles,
    /// Whether one role is enough.
    pub need: Need,
    /// PAM services through which the accounts may be used; at least one.
    pub services: Vec<String>,
    /// Hosts on which the accounts may be used; empty means every host.
    pub hosts: Vec<Pattern>,
    /// Networks from which the accounts may be used; empty means from anywhere.
    pub from: Vec<Network>,
    /// What may be done with the accounts; `None` means everything.
    pub limits: Option<Limits>,
}

/// Where the roles of a rule come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenRoles {
    /// Directory groups by name, DN or SID. An empty list allows nobody.
    Named(Vec<String>),
    /// The account's own groups (`roles_from = "memberOf"`).
    MemberOf,
}

pub(super) fn check(check: Check<'_>, rule: Spanned<raw::Access>) -> Result<WrittenRule, ConfigError> {
    let span = rule.span();
    let mut raw = rule.into_inner();
    let limits = limits::check(check, &mut raw)?;
    let Some(accounts) = raw.accounts else {
        let hint =
            "this rule names no accounts; add accounts = [\"NAME\"], or [\"*\"] for every managed account";
        return Err(check.0.error(span, hint));
    };
    let patterns = |list, empty| check.items(list, empty, |text| pattern(check, text));
    Ok(WrittenRule {
        line: u32::try_from(check.0.place(span.start).0).unwrap_or(u32::MAX),
        accounts: patterns(
            accounts,
            "the list of accounts is empty; write [\"*\"] for every managed account",
        )?,
        roles: roles(check, span, raw.roles, raw.roles_from)?,
        need: check
            .one_of(raw.need, "need", &[("any", Need::Any), ("every", Need::Every)])?
            .unwrap_or(Need::Any),
        services: services(check, raw.services)?,
        hosts: raw.hosts.map_or_else(
            || Ok(Vec::new()),
            |list| patterns(list, "the list of hosts is empty; leave the key out for every host"),
        )?,
        from: raw.from.map_or_else(|| Ok(Vec::new()), |list| networks(check, list))?,
        limits,
    })
}

/// A pattern of letters, digits, `_`, `.`, `-`, `*` and `?`. Brackets and braces are refused, so that nobody believes that
/// `web[12]` is a set.
fn pattern(check: Check<'_>, text: Spanned<String>) -> Result<Pattern, ConfigError> {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-*?".contains(&byte);
    if (1..=255).contains(&text.get_ref().len()) && text.get_ref().bytes().all(ok) {
        return Ok(Pattern::new(text.into_inner()));
    }
    let shown = text.get_ref().escape_default();
    let hint = "use letters, digits, _ . - and the wildcards * (any text) and ? (one character)";
    Err(check.0.error(text.span(), format!("\"{shown}\" is no name or pattern; {hint}")))
}

fn roles(
    check: Check<'_>,
    rule: core::ops::Range<usize>,
    named: raw::Texts,
    from: raw::Text,
) -> Result<WrittenRoles, ConfigError> {
    let span = from.as_ref().map(Spanned::span);
    match (named, check.one_of(from, "roles_from", &[("memberOf", ())])?) {
        (Some(list), None) => {
            let names: Result<_, _> = list.into_inner().into_iter().map(|name| check.word(name)).collect();
            Ok(WrittenRoles::Named(names?))
        }
        (None, Some(())) => Ok(WrittenRoles::MemberOf),
        (Some(_), Some(())) => Err(check
            .0
            .error(span.unwrap_or(rule), "roles and roles_from exclude each other; keep one of the two")),
        (None, None) => {
            let hint = "this rule has no roles; add roles = [\"GROUP\"] or roles_from = \"memberOf\"";
            Err(check.0.error(rule, hint))
        }
    }
}

fn services(check: Check<'_>, list: raw::Texts) -> Result<Vec<String>, ConfigError> {
    let Some(list) = list else {
        return Ok(DEFAULT_SERVICES.iter().map(ToString::to_string).collect());
    };
    check.items(
        list,
        "the list of services is empty; leave the key out for sshd, su, sudo and login",
        |text| {
            let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
            if !text.get_ref().is_empty() && text.get_ref().bytes().all(ok) {
                return Ok(text.into_inner());
            }
            let shown = text.get_ref().escape_default();
            let hint = "write the name of a file of /etc/pam.d in lower case, such as \"sshd\"";
            Err(check.0.error(text.span(), format!("\"{shown}\" is no service; {hint}")))
        },
    )
}

fn networks(check: Check<'_>, list: Spanned<Vec<Spanned<String>>>) -> Result<Vec<Network>, ConfigError> {
    check.items(list, "the list of networks is empty; leave the key out for anywhere", |text| {
        text.get_ref().parse().map_err(|error: NetworkError| {
            let shown = text.get_ref().escape_default();
            check.0.error(text.span(), format!("\"{shown}\" is no network; {error}"))
        })
    })
}

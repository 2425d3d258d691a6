//! Asks once more for the groups that list certain entries.
//!
//! Member lists change without a word about the group: a server that keeps references up to date takes out who is deleted
//! and renames who is renamed, and neither the time stamps of the group nor content synchronisation tell. So after
//! changes, the groups that have the DNs of changed entries are read again, whatever they were before.

use super::error::FetchError;
use super::ldap::Server;
use super::{Kind, Sink, dn};
use ldap3::Ldap;
use std::collections::HashSet;
use svcauth_core::config::{Config, Filter};

/// DNs in one filter; servers answer as fast as they do for one, as long as the attributes have an index.
pub(super) const BATCH: usize = 50;
/// More than so many DNs at once cost about as much as everything.
pub(super) const MAX_RELISTED: usize = 1000;

impl Server<'_> {
    /// Takes every group that has one of these DNs as a member, and says so.
    pub(super) async fn relist(
        &self,
        session: &mut Ldap,
        config: &Config,
        dns: Vec<String>,
        sink: &mut dyn Sink,
    ) -> Result<(), FetchError> {
        let dns = distinct(dns);
        for batch in dns.chunks(BATCH) {
            if let Some(filter) = filter(config, batch) {
                self.search_for(session, config, Kind::Groups, &filter, sink).await?;
            }
        }
        if !dns.is_empty() {
            sink.relisted(dns);
        }
        Ok(())
    }
}

/// Each name once; one without a normal form is nobody's.
fn distinct(dns: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    dns.into_iter().filter(|name| dn::normalise(name).is_some_and(|normal| seen.insert(normal))).collect()
}

/// Finds the groups that have one of the DNs; `None` where members are login names alone.
fn filter(config: &Config, dns: &[String]) -> Option<String> {
    listing(&config.groups.search.filter, &config.groups.member, dns)
}

/// Finds what the filter finds and lists one of the DNs under one of these names; `None` where none of these has DNs.
pub(super) fn listing(filter: &Filter, names: &[String], dns: &[String]) -> Option<String> {
    let by_dn: Vec<&String> = names.iter().filter(|name| !name.eq_ignore_ascii_case("memberUid")).collect();
    let mut any = String::new();
    for dn in dns {
        let value = assertion(dn);
        any.extend(by_dn.iter().map(|name| format!("({name}={value})")));
    }
    (!any.is_empty()).then(|| format!("(&{filter}(|{any}))"))
}

/// A DN as the value of a filter (RFC 4515, 3): its own escapes are escaped again, and so is all that is no ordinary ASCII.
fn assertion(dn: &str) -> String {
    let mut out = String::with_capacity(dn.len() + 16);
    for byte in dn.bytes() {
        if byte.is_ascii_alphanumeric() || b"=,.-_ ".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("\\{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{assertion, distinct, filter};
    use svcauth_core::config::Config;

    fn config(member: &str) -> Config {
        let text = format!(
            "[directory]\nkind = \"ldap\"\nuris = [\"ldapi://%2Fx\"]\nbind = \"external\"\n\
             [accounts]\nbase = \"dc=x\"\nfilter = \"(uid=*)\"\n[groups]\nbase = \"dc=x\"\nfilter = \"(cn=*)\"\n\
             member = [{member}]\n[people]\nbase = \"dc=x\"\nfilter = \"(uid=*)\"\n\
             [[access]]\naccounts = [\"a\"]\nroles = [\"b\"]\n"
        );
        Config::parse(&text).unwrap()
    }

    #[test]
    fn the_filter_names_every_dn_under_every_attribute_that_has_dns() {
        let dns = ["uid=a,dc=x".to_owned(), "uid=b,dc=x".to_owned()];
        assert_eq!(
            filter(&config("\"member\", \"memberUid\", \"uniqueMember\""), &dns).unwrap(),
            "(&(cn=*)(|(member=uid=a,dc=x)(uniqueMember=uid=a,dc=x)(member=uid=b,dc=x)(uniqueMember=uid=b,dc=x)))"
        );
        assert_eq!(filter(&config("\"memberUid\""), &dns), None);
        assert_eq!(filter(&config("\"member\""), &[]), None);
    }

    #[test]
    fn a_dn_is_escaped_again_and_its_filter_is_one_that_the_library_takes() {
        for (dn, value) in [
            ("cn=Doe\\, John,dc=x", "cn=Doe\\5c, John,dc=x"),
            ("cn=a*)(uid=\\2a,dc=x", "cn=a\\2a\\29\\28uid=\\5c2a,dc=x"),
            ("cn=Zo\u{eb} \0,dc=x", "cn=Zo\\c3\\ab \\00,dc=x"),
        ] {
            assert_eq!(assertion(dn), value);
            let filter = filter(&config("\"member\""), &[dn.to_owned()]).unwrap();
            assert!(ldap3::parse_filter(&filter).is_ok(), "{filter}");
        }
    }

    #[test]
    fn every_name_is_asked_for_once_and_what_is_none_never() {
        let dns = ["UID=a, DC=x", "uid=a,dc=x", "nonsense", "cn=\\zz", "uid=b,dc=x"];
        assert_eq!(distinct(dns.map(str::to_owned).to_vec()), ["UID=a, DC=x", "uid=b,dc=x"]);
    }
}

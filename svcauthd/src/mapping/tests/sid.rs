//! Ids that are computed from SIDs: the attributes that say others do not count.

use super::ad::{CONFIG, mapped_as};
use super::refusals;
use crate::candidate::Candidate;
use crate::local_names::LocalNames;

/// The slice of the domain S-1-5-21-1-2-3 in sssd (`id_map/sssd.txt` of svcauth_core has it, too).
const SLICE: u32 = 686_200_000;

fn mapped(id_range: &str, accounts: &str, groups: &str) -> Candidate {
    let keys = format!("[accounts]\nid_map = \"sid\"\nid_range = \"{id_range}\"\n");
    let local = LocalNames::parse("joe:x:686201110:1::/:\n", "staff:x:686202010:\n");
    mapped_as(&CONFIG.replace("[accounts]\n", &keys), &local, None, [accounts, groups, ""])
}

fn account(rid: u32, lines: &str) -> String {
    format!("dn: cn=a{rid},dc=x\nrid: {rid}\nsAMAccountName: a{rid}\nuserAccountControl: 512\n{lines}\n")
}

fn group(rid: u32, lines: &str) -> String {
    format!("dn: cn=g{rid},dc=x\nrid: {rid}\nsAMAccountName: g{rid}\ngroupType: -2147483646\n{lines}\n")
}

#[test]
fn an_account_has_the_uid_of_its_sid_and_the_gid_of_its_primary_group() {
    let posix = "primaryGroupID: 513\nuidNumber: 7001\ngidNumber: 7000\n";
    let text = account(1100, posix) + &account(200_001, "primaryGroupID: 1999999\nuidNumber: 0\n");
    let candidate = mapped("200000-2000199999", &text, "");
    assert_eq!(refusals(&candidate), [] as [&str; 0]);
    let found: Vec<_> = candidate.accounts.iter().map(|found| (found.uid, found.gid)).collect();
    assert_eq!(found, [(SLICE + 1100, SLICE + 513), (832_600_001, 560_199_999)]);
}

#[test]
fn the_range_still_rules_and_what_cannot_be_computed_is_refused() {
    for (account, refusal) in [
        (account(1100, ""), "cn=a1100,dc=x | primaryGroupID | is missing"),
        (
            account(1110, "primaryGroupID: 1200"),
            "cn=a1110,dc=x | objectSid | \"686201110\": is the uid of a user of this host",
        ),
        (
            account(999, "primaryGroupID: 1200"),
            "cn=a999,dc=x | objectSid | \"S-1-5-21-1-2-3-999\": gives the id 686200999, which is outside id_range \
             686201000-686201999, or reserved",
        ),
        (
            account(1100, "primaryGroupID: 513"),
            "cn=a1100,dc=x | primaryGroupID | \"S-1-5-21-1-2-3-513\": gives the id 686200513, which is outside id_range \
             686201000-686201999, or reserved",
        ),
        (
            account(4_000_000_000, "primaryGroupID: 513"),
            "cn=a4000000000,dc=x | objectSid | \"S-1-5-21-1-2-3-4000000000\": has a RID beyond the slices of a domain; \
             a larger idmap_range_size, here and in sssd, would hold it",
        ),
    ] {
        let good = self::account(1200, "primaryGroupID: 1201\n");
        let candidate = mapped("686201000-686201999", &(good + "\n" + &account), "");
        let names: Vec<_> = candidate.accounts.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["a1200"]);
        assert_eq!(refusals(&candidate), [refusal]);
    }
}

#[test]
fn a_group_has_the_gid_of_its_sid_where_the_range_holds_it_and_is_a_role_anyway() {
    let builtin = "dn: cn=admins,dc=x\nobjectSid:: AQIAAAAAAAUgAAAAIAIAAA==\nsAMAccountName: admins\n\
        groupType: -2147483643\n\n";
    let text = group(2001, "gidNumber: 7000\n") + &group(999, "") + "\n" + &group(2010, "") + "\n" + builtin;
    let candidate = mapped("686202000-686202999", "", &text);
    let found: Vec<_> = candidate.groups.iter().map(|found| (found.name.as_str(), found.gid)).collect();
    assert_eq!(found, [("g2001", Some(SLICE + 2001)), ("g2010", None), ("g999", None), ("admins", None)]);
    assert_eq!(
        refusals(&candidate),
        [
            "cn=g2010,dc=x | objectSid | \"S-1-5-21-1-2-3-2010\": gives the gid 686202010, which is that of a group of \
             this host; the group can be a role, but is no group of this host"
        ]
    );
}

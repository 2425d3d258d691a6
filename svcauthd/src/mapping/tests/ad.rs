//! What the entries of Active Directory mean.

use super::{KEY, entries, refusals};
use crate::candidate::{Candidate, Member};
use crate::directory::{Entry, Fetched};
use crate::local_names::LocalNames;
use crate::mapping::map;
use svcauth_core::config::Config;

pub(super) const CONFIG: &str = "[directory]\nkind = \"ad\"\nuris = [\"ldaps://dc1\"]\nbind = \"simple\"\nbind_dn = \"x@x\"\n\
    bind_password_file = \"/x\"\n[accounts]\nbase = \"dc=x\"\n[groups]\nbase = \"dc=x\"\n[people]\nbase = \"dc=x\"\n\
    [[access]]\naccounts = [\"*\"]\nroles = []\n";
const SECONDS_TO_1970: u64 = 11_644_473_600;

/// S-1-5-21-1-2-3-RID
fn sid(rid: u32) -> Vec<u8> {
    let numbers = [21, 1, 2, 3, rid].into_iter().flat_map(u32::to_le_bytes);
    [1, 5, 0, 0, 0, 0, 0, 5].into_iter().chain(numbers).collect()
}

/// Entries whose SIDs end in the number that their pseudo attribute `rid` gives.
fn with_sids(text: &str) -> Vec<Entry> {
    let with_sid = |entry: Entry| {
        let mut attributes = entry.attributes;
        let rid = attributes.remove("rid").map(|values| String::from_utf8(values[0].clone()).unwrap());
        attributes.extend(rid.map(|rid| ("objectsid".to_owned(), vec![sid(rid.parse().unwrap())])));
        Entry::new(entry.dn, attributes)
    };
    entries(text).into_iter().map(with_sid).collect()
}

fn mapped_in(domain: Option<&str>, accounts: &str, groups: &str, people: &str) -> Candidate {
    mapped_as(CONFIG, &LocalNames::default(), domain, [accounts, groups, people])
}

pub(super) fn mapped_as(
    config: &str,
    local: &LocalNames,
    domain: Option<&str>,
    [accounts, groups, people]: [&str; 3],
) -> Candidate {
    let fetched = Fetched {
        server: "dc1".into(),
        accounts: with_sids(accounts),
        groups: with_sids(groups),
        people: with_sids(people),
        domain: domain.and_then(|lines| entries(&format!("dn: dc=x\n{lines}\n")).pop()),
    };
    map(fetched, &Config::parse(config).unwrap(), local)
}

fn person(lines: &str) -> String {
    format!(
        "dn: cn=Bob B,dc=x\nrid: 1001\nobjectClass: user\nsAMAccountName: bob\nprimaryGroupID: 513\n{lines}\n"
    )
}

/// The refusal of the one person with these lines.
fn refusal(lines: &str) -> String {
    let candidate = mapped_in(None, "", "", &person(lines));
    assert!(candidate.people.is_empty(), "{lines}");
    refusals(&candidate).join(" && ")
}

/// Disabled, expires and locked until of the one person with these lines.
fn state(domain: Option<&str>, lines: &str) -> (bool, Option<u64>, Option<u64>) {
    let candidate = mapped_in(domain, "", "", &person(lines));
    let [person] = candidate.people.as_slice() else { panic!("{lines}: {:?}", refusals(&candidate)) };
    (person.disabled, person.expires, person.locked_until)
}

/// Ticks of 100 ns since 1601.
fn filetime(unix: u64) -> u64 {
    (unix + SECONDS_TO_1970) * 10_000_000
}

#[test]
fn a_user_has_the_principal_of_his_domain_besides_the_one_that_is_written() {
    let user = |rid: u32, dn: &str, name: &str, upn: &str| {
        let upn = if upn.is_empty() { String::new() } else { format!("userPrincipalName: {upn}\n") };
        format!(
            "dn: {dn}\nrid: {rid}\nobjectClass: user\nsAMAccountName: {name}\nuserAccountControl: 512\n{upn}\n"
        )
    };
    let (here, child) = ("OU=People,DC=Example,DC=com", "CN=Users,DC=child,DC=example,DC=com");
    let people = [
        user(1, &format!("CN=Ann,{here}"), "ann", "ann.b@corp.example"),
        user(2, &format!("CN=Ben,{child}"), "Ben", ""),
        // The written name of one is the other's own: nobody can tell who came with that ticket.
        user(3, &format!("CN=Cat,{here}"), "cat", "dan@EXAMPLE.COM"),
        user(4, &format!("CN=Dan,{here}"), "dan", "dan@corp.example"),
        // The name of a shared account, which is nobody's.
        user(7, &format!("CN=Gil,{here}"), "gil", "Deployer@example.com"),
        // Outside of a domain, and with a written name that is none.
        user(5, "CN=Eve,O=x", "eve", ""),
        user(6, &format!("CN=Fay F,{here}"), "fay", "fay"),
    ];
    let account = "dn: CN=deployer,OU=accounts,DC=example,DC=com\nrid: 1100\nobjectClass: user\nsAMAccountName: deployer\n\
        userAccountControl: 512\nuidNumber: 7001\ngidNumber: 7000\n";
    let candidate = mapped_in(None, account, "", &people.concat());
    assert_eq!(candidate.accounts.len(), 1);
    let found: Vec<(&str, Vec<&str>)> = candidate
        .people
        .iter()
        .map(|person| (person.login.as_str(), person.principals.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        found,
        [
            ("ann", vec!["ann.b@corp.example", "ann@EXAMPLE.COM"]),
            ("Ben", vec!["Ben@CHILD.EXAMPLE.COM"]),
            ("cat", vec!["cat@EXAMPLE.COM"]),
            ("dan", vec!["dan@corp.example"]),
            ("eve", vec![]),
            ("fay", vec!["fay@EXAMPLE.COM"]),
            ("gil", vec!["gil@EXAMPLE.COM"]),
        ]
    );
}

#[test]
fn without_the_attribute_nobody_has_a_principal() {
    let ann = "dn: CN=Ann,DC=Example,DC=com\nrid: 1\nobjectClass: user\nsAMAccountName: ann\nuserAccountControl: 512\n\
        userPrincipalName: ann@corp.example\n";
    let principals = |config: &str| {
        let fetched = Fetched { people: with_sids(ann), ..Fetched::default() };
        let candidate = map(fetched, &Config::parse(config).unwrap(), &LocalNames::default());
        candidate.people.iter().map(|person| person.principals.len()).collect::<Vec<_>>()
    };
    assert_eq!(principals(CONFIG), [2]);
    assert_eq!(principals(&CONFIG.replace("[[access]]", "principal = []\n[[access]]")), [0]);
}

#[test]
fn a_person_and_an_account_are_taken_over_by_sid() {
    let account = "dn: CN=deployer,DC=x\nrid: 1100\nobjectClass: user\nsAMAccountName: deployer\nuserAccountControl: 512\n\
        uidNumber: 7001\ngidNumber: 7000\nhomeDirectory: \\\\\\\\server\\\\share\nunixHomeDirectory: /srv/d\nloginShell: /bin/sh\n";
    let bob = person(&format!(
        "userAccountControl: 66048\naltSecurityIdentities: SSHKey:{KEY}\naltSecurityIdentities: X509:<I>x\n\
         userPrincipalName: bob@x.test\naccountExpires: 9223372036854775807\nlockoutTime: 0"
    ));
    let candidate = mapped_in(None, account, "", &bob);
    assert_eq!(refusals(&candidate), [] as [&str; 0]);
    let [account] = candidate.accounts.as_slice() else { panic!("one account") };
    assert_eq!((account.id.as_str(), account.name.as_str()), ("S-1-5-21-1-2-3-1100", "deployer"));
    assert_eq!((account.uid, account.gid, account.disabled, account.expires), (7001, 7000, false, None));
    assert_eq!((account.home.as_str(), account.shell.as_str()), ("/srv/d", "/bin/sh"));
    let [bob] = candidate.people.as_slice() else { panic!("one person") };
    assert_eq!(
        (bob.id.as_str(), bob.dn.as_str(), bob.login.as_str()),
        ("S-1-5-21-1-2-3-1001", "cn=bob b,dc=x", "bob")
    );
    assert_eq!(
        (bob.keys.len(), bob.principals.as_slice()),
        (1, &["bob@X".to_owned(), "bob@x.test".to_owned()][..])
    );
    assert_eq!((bob.disabled, bob.expires, bob.locked_until), (false, None, None));
}

#[test]
fn disabled_and_expired_are_told_from_their_opposites() {
    assert_eq!(state(None, "userAccountControl: 512"), (false, None, None));
    assert_eq!(state(None, "userAccountControl: 514"), (true, None, None));
    assert_eq!(state(None, "userAccountControl: -2147483646"), (true, None, None));
    for (value, expires) in [
        ("0".to_owned(), None),
        (i64::MAX.to_string(), None),
        (filetime(1_700_000_000).to_string(), Some(1_700_000_000)),
        ((filetime(1_700_000_000) + 1).to_string(), Some(1_700_000_001)),
        ("1".to_owned(), Some(0)),
    ] {
        let found = state(None, &format!("userAccountControl: 512\naccountExpires: {value}"));
        assert_eq!(found, (false, expires, None), "{value}");
    }
}

#[test]
fn a_lockout_lasts_as_long_as_the_domain_says_and_else_until_it_is_taken_back() {
    let locked = format!("userAccountControl: 512\nlockoutTime: {}", filetime(1_700_000_000));
    let half_an_hour = Some("lockoutDuration: -18000000000");
    assert_eq!(state(half_an_hour, &locked), (false, None, Some(1_700_001_800)));
    assert_eq!(state(half_an_hour, "userAccountControl: 512\nlockoutTime: 0"), (false, None, None));
    for domain in [
        None,
        Some(""),
        Some("lockoutDuration: 0"),
        Some("lockoutDuration: -9223372036854775808"),
        Some("lockoutDuration: 18000000000"),
        Some("lockoutDuration: soon"),
    ] {
        assert_eq!(state(domain, &locked), (false, None, Some(u64::MAX)), "{domain:?}");
    }
}

#[test]
fn a_shared_account_is_locked_until_the_lockout_ends_and_nobody_asks_the_clock_before() {
    let locked = |domain, since: u64| {
        let account = format!(
            "dn: cn=d,dc=x\nrid: 1\nsAMAccountName: d\nuserAccountControl: 512\nuidNumber: 7001\ngidNumber: 7000\nlockoutTime: {}\n",
            filetime(since)
        );
        let found = mapped_in(domain, &account, "", "").accounts;
        found.iter().map(|found| (found.disabled, found.locked_until)).collect::<Vec<_>>()
    };
    let half_an_hour = Some("lockoutDuration: -18000000000");
    assert_eq!(locked(half_an_hour, 1_700_000_000), [(false, Some(1_700_001_800))]);
    assert_eq!(locked(None, 1_700_000_000), [(false, Some(u64::MAX))]);
}

#[test]
fn what_says_that_somebody_is_out_is_understood_or_the_entry_is_refused() {
    for line in [
        "",
        "userAccountControl: x",
        "userAccountControl: 4294967296",
        "userAccountControl: 512\naccountExpires: -1",
        "userAccountControl: 512\naccountExpires: never",
        "userAccountControl: 512\naccountExpires: 1\naccountExpires: 2",
        "userAccountControl: 512\nlockoutTime: -1",
        "userAccountControl: 512\nprimaryGroupID: 514",
    ] {
        let last = line.rsplit('\n').next().unwrap();
        let attribute = if last.is_empty() { "userAccountControl" } else { last.split(':').next().unwrap() };
        assert!(refusal(line).starts_with(&format!("cn=Bob B,dc=x | {attribute} |")), "{line}");
    }
}

#[test]
fn an_entry_without_a_sid_is_refused_and_so_is_a_broken_one() {
    let text = "dn: cn=a\nsAMAccountName: a\nuserAccountControl: 512\n";
    assert_eq!(refusals(&mapped_in(None, "", "", text)), ["cn=a | objectSid | is missing"]);
    for broken in ["AQ==", "AQQAAAAAAAUVAAAA", "AgEAAAAAAAUVAAAA", "AQAAAAAAAAU="] {
        let candidate = mapped_in(None, "", "", &format!("{text}objectSid:: {broken}\n"));
        assert!(refusals(&candidate)[0].ends_with("is no SID"), "{broken}");
    }
    // S-1-5-32-544, which is valid UTF-8 as well.
    let builtin = mapped_in(None, "", "", &format!("{text}objectSid:: AQIAAAAAAAUgAAAAIAIAAA==\n"));
    assert_eq!(builtin.people.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["S-1-5-32-544"]);
}

#[test]
fn a_machine_is_nobody_by_class_by_name_and_by_control_bits() {
    for lines in [
        "objectClass: Computer\nsAMAccountName: host1\nuserAccountControl: 512",
        "sAMAccountName: host1$\nuserAccountControl: 512",
        "sAMAccountName: host1\nuserAccountControl: 4096",
        "sAMAccountName: host1\nuserAccountControl: 8192",
        "sAMAccountName: host1\nuserAccountControl: 2048",
    ] {
        let text = format!("dn: cn=h,dc=x\nrid: 9\n{lines}\nuidNumber: 7001\ngidNumber: 7001\n");
        let (as_person, as_account) = (mapped_in(None, "", "", &text), mapped_in(None, &text, "", ""));
        assert!(as_person.people.is_empty() && as_account.accounts.is_empty(), "{lines}");
        assert!(refusals(&as_person)[0].ends_with("is a machine's account; it is nobody"), "{lines}");
    }
}

#[test]
fn the_primary_group_counts_by_its_number_and_a_mailing_list_does_not_count() {
    let groups = "dn: cn=app,dc=x\nrid: 2001\nsAMAccountName: app\ngroupType: -2147483646\nmember: CN=Ann,DC=x\n\n\
        dn: cn=list,dc=x\nrid: 2002\nsAMAccountName: list\ngroupType: 2\nmember: CN=Ann,DC=x\n\n\
        dn: cn=odd,dc=x\nrid: 2003\nsAMAccountName: odd\n";
    let people = person("userAccountControl: 512").replace(": 513", ": 2001")
        + "\ndn: CN=Ann,DC=x\nrid: 1002\nsAMAccountName: ann\nuserAccountControl: 512\nprimaryGroupID: 2001\n\
           \ndn: CN=Eve,DC=x\nrid: 1003\nsAMAccountName: eve\nuserAccountControl: 512\nprimaryGroupID: 2002\n";
    let candidate = mapped_in(None, "", groups, &people);
    let [app] = candidate.groups.as_slice() else { panic!("one group") };
    assert_eq!(app.id, "S-1-5-21-1-2-3-2001");
    assert_eq!(app.members, [Member::Dn("cn=ann,dc=x".into()), Member::Dn("cn=bob b,dc=x".into())]);
    assert_eq!(
        refusals(&candidate),
        [
            "cn=list,dc=x | groupType | \"2\": is that of a distribution group; only a security group is a role",
            "cn=odd,dc=x | groupType | is missing",
        ]
    );
}

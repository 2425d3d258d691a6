//! What sshd would do for a login: sshd is asked (`sshd -T -C`), for one login of each kind that its configuration knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::config::Config;
use crate::doctor::{Host, Site};

pub(super) const SSHD: &str = "/usr/sbin/sshd";
/// Logins that are asked about, and how long that may take: an answer takes some hundredths of a second.
const QUESTIONS_MAX: usize = 64;
const PATIENCE: Duration = Duration::from_secs(8);
/// From an address that no `Match` of a real site names (RFC 5737).
const ADDRESS: &str = "192.0.2.1";

/// Who logs in from where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Login {
    pub(super) user: String,
    host: String,
    address: String,
    port: String,
}

impl Login {
    /// From anywhere.
    pub(super) fn plain(user: &str) -> Self {
        let (user, host) = (user.to_owned(), "localhost".to_owned());
        Self { user, host, address: ADDRESS.to_owned(), port: "22".to_owned() }
    }
}

/// The options that count for a login; those that may stand more than once have a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Effective(BTreeMap<String, Vec<String>>);

impl Effective {
    pub(super) fn parse(text: &str) -> Self {
        let mut options = BTreeMap::<String, Vec<String>>::new();
        for line in text.lines() {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            options.entry(keyword.to_ascii_lowercase()).or_default().push(value.trim().to_owned());
        }
        Self(options)
    }

    /// The first value of an option; empty if sshd does not know it.
    pub(super) fn value(&self, keyword: &str) -> &str {
        self.0.get(keyword).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// All words of all values.
    pub(super) fn words(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.0.get(keyword).into_iter().flatten().flat_map(|value| value.split_whitespace())
    }
}

/// What sshd says for each login; why it does not, and whether not all could be asked about.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) logins: Vec<(Login, Effective)>,
    pub(super) trouble: Option<String>,
    pub(super) is_cut: bool,
}

pub(super) fn ask(host: &Host, site: &Site, config: &Config) -> Answers {
    let until = Instant::now() + PATIENCE;
    let (wanted, mut answers) = (logins(site, config), Answers::default());
    answers.is_cut = wanted.len() > QUESTIONS_MAX;
    for login in wanted.into_iter().take(QUESTIONS_MAX) {
        if Instant::now() > until {
            answers.is_cut = true;
            break;
        }
        match ask_about(host, &login) {
            Ok(effective) => answers.logins.push((login, effective)),
            Err(why) => {
                answers.trouble = Some(why);
                break;
            }
        }
    }
    answers
}

fn ask_about(host: &Host, login: &Login) -> Result<Effective, String> {
    let Login { user, host: name, address, port } = login;
    let from = format!("user={user},host={name},addr={address},laddr=127.0.0.1,lport={port}");
    let said = host.run(SSHD, &["-T", "-C", &from])?;
    if !said.success {
        return Err(said.err.lines().last().unwrap_or("it failed without a word").to_owned());
    }
    Ok(Effective::parse(&said.out))
}

/// Without a `Match` every login is as any other. With some: each account, and an account from each address, host and port
/// that a `Match` names. Of accounts that are the same to every `Match`, and to the rules that limit them, one is asked about.
fn logins(site: &Site, config: &Config) -> Vec<Login> {
    let limited = site.limited().unwrap_or_default();
    let of_site = site.accounts.iter().map(|account| account.name.as_str());
    let mut names: Vec<&str> = of_site.collect();
    names.extend(limited.iter().map(|account| account.name.as_str()));
    let any = names.first().copied().unwrap_or("nobody");
    let blocks: Vec<_> = config.all("match").map(|directive| Criteria::of(&directive.arguments)).collect();
    let mut found = vec![Login::plain(any)];
    if blocks.is_empty() {
        return found;
    }
    for criteria in &blocks {
        // Who is meant, or anybody: a group is known to sshd alone.
        let named = names.iter().find(|name| criteria.names(name));
        let mut login = Login::plain(named.copied().unwrap_or(any));
        login.address = criteria.address.clone().unwrap_or(login.address);
        login.host = criteria.host.clone().unwrap_or(login.host);
        login.port = criteria.port.clone().unwrap_or(login.port);
        found.push(login);
    }
    let mut kinds = BTreeSet::new();
    names.retain(|name| {
        let forwards = limited.iter().find(|account| account.name == *name).map(|account| account.forwards);
        let matches: Vec<bool> = blocks.iter().map(|criteria| criteria.names(name)).collect();
        let itself = blocks.iter().any(|criteria| criteria.asks_group).then_some(*name);
        kinds.insert((forwards, matches, itself))
    });
    found.extend(names.into_iter().map(Login::plain));
    let mut seen = Vec::new();
    found.retain(|login| {
        !seen.contains(login) && {
            seen.push(login.clone());
            true
        }
    });
    found
}

/// What a `Match` asks for, made into one login that it is about.
#[derive(Debug, Default)]
struct Criteria {
    users: Vec<String>,
    address: Option<String>,
    host: Option<String>,
    port: Option<String>,
    asks_group: bool,
}

impl Criteria {
    fn names(&self, user: &str) -> bool {
        self.users.iter().any(|list| super::patterns::any_of(list, user))
    }

    fn of(words: &[String]) -> Self {
        let mut criteria = Self::default();
        // "User a,b", and also "User=a,b" (OpenSSH 9.9 and later).
        let flat: Vec<&str> = words.iter().flat_map(|word| word.splitn(2, '=')).collect();
        for pair in flat.chunks(2) {
            let [word, list] = pair else { continue };
            let first = || list.split(',').find(|item| !item.starts_with('!')).unwrap_or_default();
            match word.to_ascii_lowercase().as_str() {
                "group" => criteria.asks_group = true,
                "user" => criteria.users.push((*list).to_owned()),
                "address" => criteria.address = Some(one_address(first())),
                "host" => criteria.host = Some(first().replace(['*', '?'], "x")),
                "localport" => criteria.port = Some(first().to_owned()),
                _ => {}
            }
        }
        criteria
    }
}

/// An address of a network or a pattern: `10.0.0.0/8` has 10.0.0.0, and `10.*` has 10.1.
fn one_address(pattern: &str) -> String {
    let plain = pattern.split('/').next().unwrap_or_default();
    match plain.split_once('*') {
        None => plain.to_owned(),
        Some((begins, _)) => {
            let parts: Vec<&str> = begins.split('.').filter(|part| !part.is_empty()).collect();
            parts.into_iter().chain(["1", "1", "1", "1"]).take(4).collect::<Vec<_>>().join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::{Criteria, Effective, logins, one_address};
    use crate::doctor::Site;
    use crate::doctor::site::Account;

    #[test]
    fn options_are_read_as_sshd_prints_them() {
        let it =
            Effective::parse("usepam yes\nacceptenv LANG\nacceptenv LC_* X\nauthorizedkeyscommand /a b c\n");
        assert_eq!((it.value("usepam"), it.value("authorizedkeyscommand")), ("yes", "/a b c"));
        assert_eq!(it.words("acceptenv").collect::<Vec<_>>(), ["LANG", "LC_*", "X"]);
        assert_eq!(it.value("pamservicename"), "");
    }

    #[test]
    fn each_match_gets_a_login_that_it_is_about() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let it = Criteria::of(&words("User a,deploy* Address 10.0.0.0/8 LocalPort 2222"));
        assert_eq!(
            (it.users[0].as_str(), it.address.as_deref(), it.port.as_deref()),
            ("a,deploy*", Some("10.0.0.0"), Some("2222"))
        );
        assert_eq!(Criteria::of(&words("host=*.example.com")).host.as_deref(), Some("x.example.com"));
        for (pattern, address) in
            [("192.168.1.*", "192.168.1.1"), ("10.*", "10.1.1.1"), ("fe80::/10", "fe80::"), ("::1", "::1")]
        {
            assert_eq!(one_address(pattern), address);
        }
        let account =
            |name: &str| Account { name: name.to_owned(), uid: 7001, home: "/".into(), is_local: false };
        let site = Site { accounts: vec![account("jenkins"), account("deployer")], ..Site::default() };
        assert_eq!(logins(&site, &Config::default()).len(), 1);
        let root = std::env::temp_dir().join(format!("svcauth-doctor-logins-{}", std::process::id()));
        std::fs::create_dir_all(root.join("etc/ssh")).unwrap();
        let text = "Match User dep*\nUsePAM no\nMatch Address 10.9.0.0/16\n";
        std::fs::write(root.join("etc/ssh/sshd_config"), text).unwrap();
        let config = Config::read(&crate::doctor::Host::in_folder(&root));
        let asked: Vec<_> = logins(&site, &config).into_iter().map(|it| (it.user, it.address)).collect();
        let asked: Vec<_> = asked.iter().map(|(user, address)| (user.as_str(), address.as_str())).collect();
        assert_eq!(asked, [("jenkins", "192.0.2.1"), ("deployer", "192.0.2.1"), ("jenkins", "10.9.0.0")]);
        // A thousand accounts that no Match tells apart are one question, unless groups might.
        let many = (0..1000).map(|number| account(&format!("app{number}"))).collect();
        let site = Site { accounts: many, ..Site::default() };
        assert_eq!(logins(&site, &config).len(), 2);
        std::fs::write(
            root.join("etc/ssh/sshd_config"),
            "Match User app7\nUsePAM no\nMatch Group x\nUsePAM no\n",
        )
        .unwrap();
        let config = Config::read(&crate::doctor::Host::in_folder(&root));
        assert_eq!(logins(&site, &config).len(), 1000);
        std::fs::remove_dir_all(&root).unwrap();
    }
}

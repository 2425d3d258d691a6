//! Any text as `svcauth.toml`: a fault has a place in the text, and what is accepted cannot mean "everybody" or "root".
#![no_main]

use libfuzzer_sys::fuzz_target;
use svcauth_core::config::{Config, Filter, WrittenRoles};
use svcauth_core::id::is_assignable;
use svcauth_core::origin::KeyIdTemplate;

fuzz_target!(|text: &str| {
    if let Ok(filter) = Filter::parse(text) {
        assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
    }
    let read = Config::parse(text);
    assert_eq!(read, Config::parse(text));
    let config = match read {
        Ok(config) => config,
        Err(error) => {
            assert!((1..=text.matches('\n').count() + 1).contains(&error.line()));
            assert!(error.column() >= 1 && !error.message().is_empty());
            assert!(!error.message().chars().any(|c| c.is_control() && c != '\n'), "{error:?}");
            return;
        }
    };
    let managed = config.managed();
    for name in managed.local_accounts.iter().map(String::as_str).chain(["root", "deployer"]) {
        assert!(!managed.covers(name, 0));
    }
    assert!(!managed.covers("nobody-named", 27) && !managed.covers("nobody-named", 65_534));
    assert!(
        managed.covers("nobody-named", managed.id_range.first()) == is_assignable(managed.id_range.first())
    );
    assert!(config.limits.max_stale >= config.directory.refresh);
    assert!(config.sessions.grace.as_secs() <= 3600);
    assert!((64 << 10..=1 << 30).contains(&config.audit.rotate_size));
    assert!((1..=999).contains(&config.audit.keep) && config.audit.denied_per_minute > 0);
    assert!(!config.access.is_empty());
    for rule in &config.access {
        assert!(!rule.accounts.is_empty() && !rule.services.is_empty());
        assert!((1..=text.lines().count()).contains(&(rule.line as usize)));
        if let WrittenRoles::Named(roles) = &rule.roles {
            assert!(roles.iter().all(|role| !role.trim().is_empty()));
        }
    }
    for search in [&config.accounts.search, &config.groups.search, &config.people.search] {
        assert_eq!(Filter::parse(&search.filter.to_string()).as_ref(), Ok(&search.filter));
        // A search ends on every entry, also on one with every attribute.
        let values = [b"posixAccount".to_vec(), b"7001".to_vec(), vec![0xff; 3]];
        let _ = search.filter.matches(&|_: &str| &values[..]);
    }
    let template = &config.certificates.key_id;
    assert_eq!(KeyIdTemplate::parse(&template.to_string()).as_ref(), Ok(template));
    assert_eq!(template.login("root"), None);
});

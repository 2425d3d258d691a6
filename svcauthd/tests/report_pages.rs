//! Pages of reports with names that a directory of today could not have, in a real Chromium: whatever a later reader or a
//! damaged snapshot lets through runs nothing. `cargo test -p svcauthd --features e2e --test report_pages`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;
use svcauth_core::id::IdRange;
use svcauth_core::policy::{
    AccessRule, Account, Age, AuditMode, Held, Need, Pattern, Person, Policy, Role, RoleRef, Roles,
};
use svcauth_tests::browser::Browser;
use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require_contains, require_eq};
use svcauth_tests::world::World;
use svcauthd::report::about::About;
use svcauthd::report::access::{Here, Inventory, Service, Wish};
use svcauthd::report::html;
use svcauthd::report::keys::{KeyState, Keys, LocalKey};
use svcauthd::report::usage::Usage;
use svcauthd::trail::Entry;

cases!("browser":
    names_that_are_markup_are_words_on_an_access_page_and_run_nothing,
    names_that_are_markup_are_words_on_a_page_of_keys_and_run_nothing,
);

fn main() -> ExitCode {
    svcauth_tests::runner::main(&[CASES])
}

const PAGE: &str = "/run/world/page.html";

/// Each would do something if it were markup, script, or an order to the browser.
const HOSTILE: &[&str] = &[
    "plain",
    "<img src=x onerror=\"window.owned=1\">",
    "</script><script>window.owned=1</script>",
    "</style><script>window.owned=1</script>",
    "\"><svg onload=window.owned=1>",
    "' onpointerenter='window.owned=1",
    "</title></svg><script>window.owned=1</script>",
    "<a href=\"http://192.0.2.1/\">click</a>",
    "<meta http-equiv=refresh content=\"0;url=http://192.0.2.1/\">",
    "<!--",
    "${window.owned=1}`",
    "a\u{202e}b\u{2028}c\nd\0",
    "&lt;b&gt;",
];

/// What is made where these are the names of accounts, people, groups and roles, and of the host.
fn with_everybody<T>(then: impl FnOnce(&About, &Inventory<'_>) -> Outcome<T>) -> Outcome<T> {
    let names = || HOSTILE.iter().map(ToString::to_string);
    let rule = |(role, name): (u32, String)| AccessRule {
        line: 1,
        accounts: vec![Pattern::new(name)],
        roles: Roles::Named(vec![RoleRef(role)]),
        need: Need::Any,
        services: vec!["sshd".to_owned()],
        hosts: Vec::new(),
        from: Vec::new(),
        limits: None,
    };
    let policy = Policy {
        roles: names().map(|name| Role { id: Some(name.clone()), name, ..Role::default() }).collect(),
        rules: (0..).zip(names()).map(rule).collect(),
        max_stale: 86_400,
        audit: AuditMode::Required,
        trusted_ca: Vec::new(),
        key_id: None,
        id_range: IdRange::new(7000, 7999).map_err(|_| Failure::new("no id range"))?,
        local_accounts: Vec::new(),
    };
    let accounts: Vec<Account> = names().map(|name| Account { name, ..Account::default() }).collect();
    let person = |(role, login): (u32, String)| {
        let path = vec![login.clone(), login.clone()];
        Person { login, held: vec![Held { role: RoleRef(role), path }], ..Person::default() }
    };
    let people: Vec<Person> = (0..).zip(names()).map(person).collect();
    let services = Service::all_of(&policy);
    let here = Here { hosts: &["web1"], now: 1_000_000, age: Age(Some(3)) };
    let inventory = Inventory::new(&policy, &accounts, people.iter(), &services, here);
    then(&about(), &inventory)
}

fn about() -> About {
    let all = HOSTILE.concat();
    About {
        host: all.clone(),
        made_by: all.clone(),
        account: Some(all.clone()),
        services_without_proof: vec![all],
        ..About::default()
    }
}

fn keys_page(about: &About, inventory: &Inventory<'_>) -> Outcome<Vec<u8>> {
    let key = |name: &&str| LocalKey {
        account: (*name).to_owned(),
        file: (*name).to_owned(),
        line: 1,
        key_type: (*name).to_owned(),
        fingerprint: (*name).to_owned(),
        state: KeyState::Nobody,
        owner: Some((*name).to_owned()),
    };
    let mut usage = Usage::default();
    usage.add(&Entry { time: Some(1_000_000), event: "sync".to_owned(), ..Entry::default() });
    let keys = Keys {
        local: HOSTILE.iter().map(key).collect(),
        unread: Vec::new(),
        inventory,
        people: &[],
        usage: &usage,
        unreadable_lines: 0,
        days: 90,
        now: 1_000_000,
    };
    let mut page = Vec::new();
    html::keys::write(&mut page, about, &keys)?;
    Ok(page)
}

fn names_that_are_markup_are_words_on_a_page_of_keys_and_run_nothing(world: &mut World) -> Outcome {
    let page = with_everybody(keys_page)?;
    let mut browser = Browser::start(world)?;
    is_harmless(world, &mut browser, &page)?;
    let rows = browser.value("document.querySelectorAll('#local tbody tr').length")?;
    require_eq("keys in local files", &rows, &Value::from(HOSTILE.len()))
}

fn access_page(about: &About, inventory: &Inventory<'_>) -> Outcome<Vec<u8>> {
    let mut page = Vec::new();
    html::access::write(&mut page, about, inventory, Wish::default())?;
    Ok(page)
}

fn names_that_are_markup_are_words_on_an_access_page_and_run_nothing(world: &mut World) -> Outcome {
    let page = with_everybody(access_page)?;
    let mut browser = Browser::start(world)?;
    is_harmless(world, &mut browser, &page)?;
    let nodes = browser.value("document.querySelectorAll('#graph .node').length")?;
    require_eq("boxes of the graph", &nodes, &Value::from(HOSTILE.len() * 4))
}

/// Every name is on the page as words, and nothing ran, was fetched or was complained about.
fn is_harmless(world: &World, browser: &mut Browser, page: &[u8]) -> Outcome {
    world.write(PAGE, 0o600, page)?;
    browser.open(Path::new(PAGE))?;
    let text = browser.value("document.body.textContent")?;
    let text = text.as_str().unwrap_or_default();
    for name in HOSTILE {
        let shown = name.replace('\u{202e}', "\\u{202e}").replace('\u{2028}', "\\u{2028}");
        let shown = shown.replace('\n', "\\x0a").replace('\0', "\\x00");
        require_contains("the words on the page", text, &shown)?;
    }
    let hover = "document.querySelectorAll('#graph .node, td, th').forEach((node) => \
                 ['pointerenter', 'mouseover', 'click'].forEach((kind) => node.dispatchEvent(new PointerEvent(kind)))); \
                 typeof window.owned";
    require_eq("what ran", &browser.value(hover)?, &Value::from("undefined"))?;
    let foreign = "document.querySelectorAll('img, a, iframe, object, embed, link, base, form, b > b, [onerror], [onload]').length";
    require_eq("foreign elements", &browser.value(foreign)?, &Value::from(0))?;
    require_eq("scripts", &browser.value("document.scripts.length")?, &Value::from(1))?;
    require_eq("what the page asked for", &browser.requests()?, &vec![format!("file://{PAGE}")])?;
    require_eq("what was complained about", &browser.complaints()?, &Vec::<String>::new())
}

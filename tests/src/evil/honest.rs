//! The right answers, from which a script departs.

use super::ber::{entry, number, page_end, reference, result, tlv};
use super::content_sync::{self, SYNC};
use super::request::{Operation, Request, Search};
use super::tree::{Entry, Flavour, Tree};
use super::{Answer, PAGING, Step};

/// No search references, please ([MS-ADTS] 3.1.1.3.4.1.8).
pub const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";
/// Values that Windows gives of one attribute at most (MaxValRange).
const MAX_VALUES: usize = 1500;
const NO_SUCH_OBJECT: u32 = 32;
const SIZE_LIMIT: u32 = 4;

/// The answer to a request, one message a step.
pub(super) fn answer(tree: &Tree, request: &Request) -> Answer {
    let id = request.id;
    match &request.operation {
        Operation::Bind => vec![Step::Send(result(id, 0x61, 0, ""))],
        Operation::Unbind => vec![Step::Close],
        Operation::Search(search) if search.base.is_empty() && search.scope == 0 => {
            vec![Step::Send(entry(id, &root(tree))), Step::Send(result(id, 0x65, 0, ""))]
        }
        Operation::Search(search) => found(tree, request, search),
        Operation::StartTls => vec![Step::Send(result(id, 0x78, 0, "")), Step::Protect],
        Operation::Other(_) => vec![Step::Send(result(id, 0x78, 2, "unknown"))],
    }
}

/// The entry without a name that every server has (RFC 4512, 5.1).
fn root(tree: &Tree) -> Entry {
    let mut root = Entry { dn: String::new(), attributes: Vec::new() };
    root.add("objectClass", b"top");
    root.add("supportedControl", PAGING.as_bytes());
    root.add("supportedLDAPVersion", b"3");
    let suffix = tree.entries.first().map(|first| first.dn.clone()).unwrap_or_default();
    root.add("namingContexts", suffix.as_bytes());
    if tree.flavour == Flavour::Provider {
        root.add("supportedControl", SYNC.as_bytes());
    }
    if tree.flavour == Flavour::Windows {
        root.add("supportedControl", DOMAIN_SCOPE.as_bytes());
        root.add("defaultNamingContext", suffix.as_bytes());
        let newest = tree.entries.iter().flat_map(|entry| entry.values("uSNChanged"));
        let newest = newest.filter_map(|value| std::str::from_utf8(value).ok()?.parse::<u64>().ok()).max();
        root.add("highestCommittedUSN", newest.unwrap_or_default().to_string().as_bytes());
        root.add("dsServiceName", format!("CN=NTDS Settings,CN=DC1,CN=Servers,{suffix}").as_bytes());
        root.add("dnsHostName", b"dc1.example.com");
    }
    root
}

fn found(tree: &Tree, request: &Request, search: &Search) -> Answer {
    let (tag, filter) = &search.filter;
    let Some(all) = tree.search(&search.base, search.scope, (*tag, filter)) else {
        return vec![Step::Send(result(request.id, 0x65, NO_SUCH_OBJECT, ""))];
    };
    if tree.flavour == Flavour::Provider {
        if let Some(steps) = content_sync::answer(tree, request, search, &all) {
            return steps;
        }
    }
    let windows = tree.flavour == Flavour::Windows;
    let (size, cookie) = search.page.clone().unwrap_or((u32::MAX, Vec::new()));
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(tree.most);
    let from = std::str::from_utf8(&cookie).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let page = all.iter().skip(from).take(size);
    let mut steps: Answer =
        page.map(|found| Step::Send(entry(request.id, &selected(found, search, windows)))).collect();
    let next = from.saturating_add(size);
    let more = next < all.len();
    if windows && from == 0 && refers(tree, request, search) {
        let uri = format!("ldaps://example.com/CN=Configuration,{}", search.base);
        steps.push(Step::Send(reference(request.id, &uri)));
    }
    steps.push(Step::Send(match (&search.page, more) {
        (None, true) => result(request.id, 0x65, SIZE_LIMIT, ""),
        (None, false) => result(request.id, 0x65, 0, ""),
        (Some(_), true) => page_end(request.id, 0, next.to_string().as_bytes()),
        (Some(_), false) => page_end(request.id, 0, b""),
    }));
    steps
}

/// A search at the domain's root meets the other naming contexts, which are below it and elsewhere.
fn refers(tree: &Tree, request: &Request, search: &Search) -> bool {
    let root = tree.entries.first().is_some_and(|first| first.dn.eq_ignore_ascii_case(&search.base));
    root && search.scope == 2 && !request.has_control(DOMAIN_SCOPE)
}

/// The attributes that were asked for.
pub(super) fn selected(found: &Entry, search: &Search, windows: bool) -> Entry {
    let all = search.attributes.is_empty() || search.attributes.iter().any(|name| name == "*");
    let mut attributes = Vec::new();
    for (name, values) in &found.attributes {
        let asked = search
            .attributes
            .iter()
            .find(|asked| asked.split(';').next().is_some_and(|base| base.eq_ignore_ascii_case(name)));
        if windows && (asked.is_some_and(|asked| asked.contains(";range=")) || values.len() > MAX_VALUES) {
            if let Some(asked) = asked.or(all.then_some(name)) {
                attributes.push((name.clone(), Vec::new()));
                attributes.push(range(asked, name, values));
            }
        } else if all || asked.is_some() {
            attributes.push((name.clone(), values.clone()));
        }
    }
    Entry { dn: found.dn.clone(), attributes }
}

/// As many values as Windows gives at once, from the first that was asked for.
fn range(asked: &str, name: &str, values: &[Vec<u8>]) -> (String, Vec<Vec<u8>>) {
    let from =
        asked.split_once("range=").and_then(|(_, range)| range.split('-').next()?.parse().ok()).unwrap_or(0);
    let some: Vec<Vec<u8>> = values.iter().skip(from).take(MAX_VALUES).cloned().collect();
    let next = from + some.len();
    let last = if next < values.len() { (next - 1).to_string() } else { "*".to_owned() };
    (format!("{name};range={from}-{last}"), some)
}

/// The value of a paging control, for scripts that write one of their own.
pub fn page_value(size: u32, cookie: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(0x02, &number(size)), tlv(0x04, cookie)].concat())
}

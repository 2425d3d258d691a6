//! Whose keys a keytab holds (the file format of MIT krb5, version 2), and which of them is the host's own.
//!
//! The keys themselves are not looked at; that is Kerberos' business.

/// Most names that an error lists.
const LISTED: usize = 8;
/// Longest name of a computer in Active Directory (NetBIOS).
const SHORT: usize = 15;

/// The principals of a keytab, each once, in the order of the file. Names with characters that need an escape are left
/// out: no host is called that.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn principals(keytab: &[u8]) -> Result<Vec<String>, String> {
    let damaged = || "it is damaged: an entry is longer than the file".to_owned();
    let mut rest = match keytab.split_first_chunk::<2>() {
        Some((b"\x05\x02", rest)) => rest,
        Some((b"\x05\x01", _)) => {
            return Err("it has the format of version 1, which nothing writes".to_owned());
        }
        _ => return Err("it is no keytab".to_owned()),
    };
    let mut found = Vec::new();
    while let Some((size, tail)) = rest.split_first_chunk::<4>() {
        let size = i32::from_be_bytes(*size);
        // A size below zero is a hole that a removed entry has left.
        let length = usize::try_from(size.unsigned_abs()).map_err(|_| damaged())?;
        let (entry, tail) = tail.split_at_checked(length).ok_or_else(damaged)?;
        rest = tail;
        if size > 0 {
            let name = principal(entry).ok_or_else(damaged)?;
            if !found.contains(&name) && is_plain(&name) {
                found.push(name);
            }
        }
    }
    Ok(found)
}

/// `NAME/HOST@REALM` of one entry.
fn principal(entry: &[u8]) -> Option<String> {
    let (count, mut rest) = entry.split_first_chunk::<2>()?;
    let realm = counted(&mut rest)?;
    let parts: Option<Vec<String>> = (0..u16::from_be_bytes(*count)).map(|_| counted(&mut rest)).collect();
    Some(format!("{}@{realm}", parts?.join("/")))
}

fn counted(rest: &mut &[u8]) -> Option<String> {
    let (length, tail) = rest.split_first_chunk::<2>()?;
    let (text, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = tail;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    name.bytes().all(plain) && name.matches('@').count() == 1
}

/// The principal to act as: the one that is asked for, or else the host's own. That is the account of the machine,
/// `HOST$@REALM`; any other `NAME$@REALM`; the service `host/HOST@REALM`; the first of the keytab. Active Directory gives
/// tickets to accounts alone, and tools that join a domain write the names of services first.
///
/// # Errors
/// Which names there are.
pub(super) fn choose<'k>(found: &'k [String], asked: Option<&str>, host: &str) -> Result<&'k str, String> {
    if let Some(asked) = asked {
        return found
            .iter()
            .map(String::as_str)
            .find(|name| *name == asked)
            .ok_or_else(|| format!("it has no key of {asked}; it has keys of {}", listed(found)));
    }
    let short = host.split('.').next().unwrap_or_default();
    let cut = short.get(..SHORT).unwrap_or(short);
    let same = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
    let account = |principal: &&String| name(principal).ends_with('$');
    let machine = |principal: &&String| {
        name(principal).strip_suffix('$').is_some_and(|name| same(name, short) || same(name, cut))
    };
    let service = |principal: &&String| {
        let of = name(principal).strip_prefix("host/");
        of.is_some_and(|of| same(of, host) || same(of.split('.').next().unwrap_or_default(), short))
    };
    let mut all = found.iter();
    let first = found.first();
    let chosen =
        all.clone().find(machine).or_else(|| all.clone().find(account)).or_else(|| all.find(service));
    chosen.or(first).map(String::as_str).ok_or_else(|| "it holds no key".to_owned())
}

fn name(principal: &str) -> &str {
    principal.split('@').next().unwrap_or_default()
}

fn listed(found: &[String]) -> String {
    let names: Vec<&str> = found.iter().take(LISTED).map(String::as_str).collect();
    match (names.len(), found.len()) {
        (0, _) => "nobody".to_owned(),
        (shown, all) if shown < all => format!("{} and others", names.join(", ")),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::{choose, principals};

    fn entry(parts: &[&str], realm: &str) -> Vec<u8> {
        let mut body = u16::try_from(parts.len()).unwrap().to_be_bytes().to_vec();
        for text in std::iter::once(&realm).chain(parts) {
            body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            body.extend(text.as_bytes());
        }
        // Name type, time, version, type and length of the key, key.
        body.extend([0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 18, 0, 2, 7, 7]);
        let mut whole = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        whole.extend(body);
        whole
    }

    fn keytab(entries: &[Vec<u8>]) -> Vec<u8> {
        [b"\x05\x02".to_vec(), entries.concat()].concat()
    }

    #[test]
    fn a_keytab_names_whom_it_has_keys_of_each_once() {
        let hole = [&(-6_i32).to_be_bytes()[..], &[9; 6]].concat();
        let bytes = keytab(&[
            entry(&["host", "web1.example.com"], "EXAMPLE.COM"),
            hole,
            entry(&["WEB1$"], "EXAMPLE.COM"),
            entry(&["WEB1$"], "EXAMPLE.COM"),
            entry(&["odd@name"], "EXAMPLE.COM"),
        ]);
        assert_eq!(principals(&bytes).unwrap(), ["host/web1.example.com@EXAMPLE.COM", "WEB1$@EXAMPLE.COM"]);
        assert_eq!(principals(b"\x05\x02").unwrap(), [] as [&str; 0]);
    }

    #[test]
    fn what_is_no_keytab_or_cut_off_is_refused() {
        let whole = keytab(&[entry(&["WEB1$"], "EXAMPLE.COM")]);
        assert!(principals(&whole).is_ok());
        // A cut in the name or in the entry; behind it there is nothing that this reader looks at.
        for end in 6..whole.len() {
            assert!(principals(&whole[..end]).is_err(), "{end}");
        }
        let long_name = [b"\x05\x02\0\0\0\x06\0\x01\xff\xff\0\0".as_slice(), &[0; 9]].concat();
        assert!(principals(&long_name).is_err());
        for bytes in [
            &b""[..],
            b"\x05",
            b"\x05\x01",
            b"PK\x03\x04",
            b"\x05\x02\x80\0\0\0",
            b"\x05\x02\x7f\xff\xff\xff",
        ] {
            assert!(principals(bytes).is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn the_account_of_the_machine_comes_before_services_and_other_names() {
        let chosen = |names: &[&str], host: &str| {
            let names: Vec<String> = names.iter().map(|name| format!("{name}@R")).collect();
            choose(&names, None, host).map(str::to_owned)
        };
        let all = ["other", "host/web2", "svc$", "host/web1.example.com", "WEB1$"];
        assert_eq!(chosen(&all, "web1.example.com").unwrap(), "WEB1$@R");
        assert_eq!(chosen(&all, "web1").unwrap(), "WEB1$@R");
        assert_eq!(chosen(&all[..4], "web1.example.com").unwrap(), "svc$@R");
        assert_eq!(chosen(&["other", "host/web2", "host/web1"], "web1.example.com").unwrap(), "host/web1@R");
        assert_eq!(chosen(&all[..2], "web1.example.com").unwrap(), "other@R");
        let long = "a-very-long-host-name";
        assert_eq!(chosen(&["x$", "A-VERY-LONG-HOS$"], long).unwrap(), "A-VERY-LONG-HOS$@R");
        assert_eq!(chosen(&["other", "svc$"], "").unwrap(), "svc$@R");
        assert_eq!(chosen(&[], "web1").unwrap_err(), "it holds no key");
    }

    #[test]
    fn a_principal_that_is_asked_for_is_taken_or_the_others_are_named() {
        let names = ["A$@R".to_owned(), "b@R".to_owned()];
        assert_eq!(choose(&names, Some("b@R"), "a").unwrap(), "b@R");
        let error = choose(&names, Some("B@R"), "a").unwrap_err();
        assert_eq!(error, "it has no key of B@R; it has keys of A$@R, b@R");
        assert_eq!(choose(&[], Some("b@R"), "a").unwrap_err(), "it has no key of b@R; it has keys of nobody");
    }
}

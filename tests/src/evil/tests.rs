use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::ber::{Reader, message, nested, number, tlv};
use super::{DOMAIN_SCOPE, Evil, Fault, Flavour, Greeting, PAGING, Proxy, Step, Tree, ber, page_value};

const PEOPLE: &str = "dn: dc=x\nobjectClass: domain\n\ndn: uid=a,dc=x\nobjectClass: user\nuid: a\n\n\
                      dn: uid=b,dc=x\nobjectClass: user\nuid: bob\n\n";

fn evil(ldif: &str, flavour: Flavour) -> Evil {
    Evil::start("127.0.0.1:0", Tree::parse(ldif, flavour), Greeting::Plain(None)).unwrap()
}

/// A search of everything below dc=x.
fn search(attribute: &str, controls: &[Vec<u8>]) -> Vec<u8> {
    let fixed = [tlv(0x0a, &[0]), tlv(2, &[0]), tlv(2, &[0]), tlv(1, &[0])].concat();
    let parts = [
        tlv(4, b"dc=x"),
        tlv(0x0a, &[2]),
        fixed,
        tlv(0x87, b"uid"),
        tlv(0x30, &tlv(4, attribute.as_bytes())),
    ];
    message(7, 0x63, &parts.concat(), controls)
}

/// Tags and contents of what comes back until the end of the search.
fn asked(stream: &mut TcpStream, request: &[u8]) -> Vec<(u8, Vec<u8>)> {
    stream.write_all(request).unwrap();
    let (mut bytes, mut found) = (Vec::new(), Vec::new());
    while found.last().is_none_or(|(tag, _)| *tag != 0x65) {
        while Reader(&bytes).next().is_none() {
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).unwrap();
            assert!(read > 0, "closed after {found:?}");
            bytes.extend_from_slice(&chunk[..read]);
        }
        let mut rest = Reader(&bytes);
        let (_, content) = rest.next().unwrap();
        let mut parts = Reader(content);
        assert_eq!(parts.next(), Some((2, &[7][..])));
        let (tag, operation) = parts.next().unwrap();
        let controls = parts.next().map(|(_, list)| list.to_vec()).unwrap_or_default();
        found.push((tag, [operation, &controls].concat()));
        bytes = rest.0.to_vec();
    }
    found
}

fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn pages_are_as_small_as_asked_and_end_without_a_cookie() {
    let evil = evil(PEOPLE, Flavour::Posix);
    let mut stream = TcpStream::connect(evil.address()).unwrap();
    let page = |cookie: &[u8]| [ber::control(PAGING, Some(&page_value(1, cookie)))];
    let first = asked(&mut stream, &search("uid", &page(b"")));
    assert!(first.len() == 2 && holds(&first[0].1, "uid=a") && first[1].1.ends_with(&tlv(4, b"1")));
    let last = asked(&mut stream, &search("uid", &page(b"1")));
    assert!(last.len() == 2 && holds(&last[0].1, "uid=b") && last[1].1.ends_with(&tlv(4, b"")));
    assert_eq!(asked(&mut stream, &search("uid", &[])).len(), 3);
    assert_eq!((evil.requests().len(), evil.connections()), (3, 1));
}

#[test]
fn windows_cuts_lists_and_pages_and_refers_at_the_root() {
    let members: String = (0..1600).map(|n| format!("member: cn={n},dc=x\n")).collect();
    let many: String =
        (0..1100).map(|n| format!("dn: cn={n},dc=x\nobjectClass: user\nuid: {n}\n\n")).collect();
    let evil = evil(&format!("dn: dc=x\nobjectClass: group\nuid: g\n{members}\n{many}"), Flavour::Windows);
    let mut stream = TcpStream::connect(evil.address()).unwrap();
    let all = asked(&mut stream, &search("member", &[]));
    assert_eq!(all.len(), 1000 + 2);
    assert!(holds(&all[0].1, "member;range=0-1499"));
    assert_eq!(all[1000].0, 0x73);
    assert!(all[1001].1.starts_with(&tlv(0x0a, &[4])));
    let rest = asked(&mut stream, &search("member;range=1500-2999", &[ber::control(DOMAIN_SCOPE, None)]));
    assert!(holds(&rest[0].1, "member;range=1500-*") && rest.iter().all(|(tag, _)| *tag != 0x73));
}

#[test]
fn a_script_departs_from_the_right_answer_until_it_is_told_otherwise() {
    let evil = evil(PEOPLE, Flavour::Posix);
    evil.script(|_, _| vec![Step::Send(b"lie".to_vec()), Step::Close]);
    let mut stream = TcpStream::connect(evil.address()).unwrap();
    stream.write_all(&search("uid", &[])).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"lie");
    evil.honest();
    let mut stream = TcpStream::connect(evil.address()).unwrap();
    assert_eq!(asked(&mut stream, &search("uid", &[])).len(), 3);
}

#[test]
fn a_proxy_passes_exactly_what_it_was_told() {
    let evil = evil(PEOPLE, Flavour::Posix);
    let proxy = Proxy::start("127.0.0.1:0", &evil.address().to_string()).unwrap();
    let whole = |fault| {
        proxy.set(fault);
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(&[search("uid", &[]), message(8, 0x42, b"", &[])].concat()).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        said
    };
    let good = whole(Fault::None);
    assert_eq!(proxy.passed(), good.len() as u64);
    assert_eq!(whole(Fault::Cut(100)), good[..100]);
    let flipped = whole(Fault::Flip(50));
    let differing: Vec<usize> = (0..good.len()).filter(|at| good[*at] != flipped[*at]).collect();
    assert_eq!((flipped.len(), differing), (good.len(), vec![50]));
    assert_eq!(whole(Fault::Erase(60))[60..68], [0; 8]);
}

#[test]
fn the_writer_of_elements_writes_what_the_reader_reads() {
    assert_eq!(
        [number(0), number(127), number(128), number(70_000)],
        [vec![0], vec![127], vec![0, 128], vec![1, 17, 112]]
    );
    assert_eq!(Reader(&tlv(4, b"x")).next(), Some((4, &b"x"[..])));
    let deep = nested(100);
    let mut inside = deep.as_slice();
    for _ in 0..100 {
        inside = Reader(inside).next().unwrap().1;
    }
    assert!(inside.is_empty());
}

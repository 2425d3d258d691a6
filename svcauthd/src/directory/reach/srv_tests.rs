//! Hostile answers of DNS, and the fairness of the order.

use super::{Answer, NoAnswer, Record, order, parse};
use std::collections::BTreeMap;
use std::time::Duration;

const DOMAIN: &str = "example.com";

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> =
        labels.flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

/// One record of the answer section; its owner is a pointer to the question.
fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let head = [&kind.to_be_bytes()[..], &1u16.to_be_bytes(), &ttl.to_be_bytes(), &length.to_be_bytes()];
    [&b"\xc0\x0c"[..], &head.concat(), data].concat()
}

fn srv(ttl: u32, numbers: [u16; 3], target: &[u8]) -> Vec<u8> {
    record(33, ttl, &[&numbers.map(u16::to_be_bytes).concat(), target].concat())
}

fn message(records: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(records.len()).unwrap().to_be_bytes();
    let head = [&b"\x12\x34\x81\x80\0\x01"[..], &count, b"\0\0\0\0"].concat();
    let question = [&name("_ldap._tcp.dc._msdcs.example.com")[..], b"\0\x21\0\x01"].concat();
    [head, question, records.concat()].concat()
}

fn hosts(answer: &Answer) -> Vec<&str> {
    answer.records.iter().map(|record| record.host.as_str()).collect()
}

#[test]
fn the_records_of_an_answer_are_read_and_the_shortest_ttl_counts() {
    let answer = parse(
        &message(&[
            srv(900, [0, 100, 389], &name("DC1.Example.com")),
            record(1, 5, &[10, 0, 0, 1]),
            // Its target ends in a pointer to the domain in the question.
            srv(600, [1, 0, 1389], b"\x03dc2\xc0\x21"),
        ]),
        DOMAIN,
    )
    .unwrap();
    let dc = |priority, weight, port, host: &str| Record { priority, weight, port, host: host.to_owned() };
    assert_eq!(answer.records, [dc(0, 100, 389, "dc1.example.com"), dc(1, 0, 1389, "dc2.example.com")]);
    assert_eq!((answer.ttl, answer.refused), (Duration::from_secs(600), None));
    assert_eq!(parse(&message(&[]), DOMAIN), Ok(Answer::default()));
}

#[test]
fn a_host_outside_the_domain_is_not_asked_whatever_its_certificate() {
    for foreign in
        ["dc1.example.net", "example.com", "evilexample.com", "dc1.example.com.evil.net", "10.0.0.1"]
    {
        let good = srv(1, [0, 0, 389], &name("dc1.example.com"));
        let answer = parse(&message(&[srv(1, [0, 0, 389], &name(foreign)), good]), DOMAIN).unwrap();
        assert_eq!(hosts(&answer), ["dc1.example.com"]);
        assert_eq!(answer.refused.as_deref(), Some(foreign));
    }
    let odd = parse(&message(&[srv(1, [0, 0, 389], b"\x03a\x1bb\x07example\x03com\0")]), DOMAIN).unwrap();
    assert_eq!((odd.records.len(), odd.refused.as_deref()), (0, Some("a\u{1b}b.example.com")));
}

#[test]
fn the_root_port_0_and_a_second_record_of_a_host_are_left_out() {
    let dc = name("dc1.example.com");
    let answer = message(&[
        srv(1, [0, 0, 389], b"\0"),
        srv(1, [0, 0, 0], &name("dc0.example.com")),
        srv(1, [0, 7, 389], &dc),
        srv(1, [9, 9, 3268], &dc),
    ]);
    let answer = parse(&answer, DOMAIN).unwrap();
    assert_eq!((hosts(&answer), answer.records[0].weight), (vec!["dc1.example.com"], 7));
}

#[test]
fn a_malformed_answer_counts_for_nothing() {
    let whole = message(&[srv(1, [0, 0, 389], &name("dc1.example.com"))]);
    assert_eq!(parse(&whole, DOMAIN).unwrap().records.len(), 1);
    for cut in 0..whole.len() {
        assert_eq!(parse(&whole[..cut], DOMAIN), Err(NoAnswer), "{cut}");
    }
    let change = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        parse(&bytes, DOMAIN)
    };
    // No response; two questions; 65,281 answers; two answers, and one is there; the target ends before its data do.
    for (at, byte) in [(2, 0x01), (5, 2), (6, 0xff), (7, 2), (whole.len() - 5, 0)] {
        assert_eq!(change(at, byte), Err(NoAnswer), "{at}");
    }
    let looping = srv(1, [0, 0, 389], &[0xc0, u8::try_from(message(&[]).len() + 18).unwrap()]);
    assert_eq!(parse(&message(&[looping]), DOMAIN), Err(NoAnswer));
}

fn ranked(weights: &[(u16, u16)], seed: u64) -> Vec<String> {
    let named = weights.iter().enumerate();
    let mut records: Vec<Record> = named
        .map(|(number, (priority, weight))| {
            let host = format!("dc{number}.example.com");
            Record { priority: *priority, weight: *weight, port: 389, host }
        })
        .collect();
    order(&mut records, seed);
    records.into_iter().map(|record| record.host.split('.').next().unwrap().to_owned()).collect()
}

#[test]
fn a_lower_priority_number_comes_first_and_weights_share_the_hosts_of_a_fleet() {
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..10_000 {
        let order = ranked(&[(1, 65535), (0, 100), (0, 300), (0, 0)], seed);
        assert_eq!(order[3], "dc0");
        *first.entry(order[0].clone()).or_default() += 1;
    }
    let share = |name: &str| first.get(name).copied().unwrap_or_default();
    assert!((2_300..2_700).contains(&share("dc1")), "{first:?}");
    assert!((7_300..7_700).contains(&share("dc2")), "{first:?}");
    assert!(share("dc3") < 20, "{first:?}");
}

#[test]
fn controllers_without_weights_share_the_hosts_equally() {
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..4_000 {
        *first.entry(ranked(&[(0, 0); 4], seed)[0].clone()).or_default() += 1;
    }
    assert!(first.len() == 4 && first.values().all(|count| (850..1_150).contains(count)), "{first:?}");
}

#[test]
fn a_host_keeps_its_order_when_another_controller_comes_or_goes() {
    for seed in 0..100 {
        let all = ranked(&[(0, 100); 5], seed);
        assert_eq!(ranked(&[(0, 100); 5], seed), all);
        let without: Vec<String> = all.iter().filter(|host| *host != "dc4").cloned().collect();
        assert_eq!(ranked(&[(0, 100); 4], seed), without);
    }
}

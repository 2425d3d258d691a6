//! What strangers say about where the servers are: DNS, and the answer to the ping that comes before the bind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svcauthd::directory::reach::{netlogon, srv};

fuzz_target!(|data: &[u8]| {
    if let Ok(mut answer) = srv::parse(data, "example.com") {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        for record in &answer.records {
            assert!(record.host.ends_with(".example.com") && record.host.len() <= 253 && record.port != 0);
            assert!(record.host.bytes().all(plain), "{:?}", record.host);
        }
        assert!(answer.refused.iter().all(|name| !name.chars().any(char::is_control)));
        let count = answer.records.len();
        srv::order(&mut answer.records, data.len() as u64);
        assert_eq!(answer.records.len(), count);
        assert!(answer.records.is_sorted_by_key(|record| record.priority));
    }
    if let Some(pong) = netlogon::parse(data) {
        for site in [pong.site, pong.client_site].into_iter().flatten() {
            assert!((1..=63).contains(&site.len()) && !site.contains('.'));
        }
        assert!(pong.domain.contains('.'));
    }
});

//! Any text as `SSH_AUTH_INFO_0`: what is read is what stands there, line for line, and no line changes another.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use svcauth_core::origin::{AUTH_INFO_MAX, Certificate, METHODS_MAX, Method, PublicKey, parse_auth_info};

fuzz_target!(|text: &str| {
    let parsed = parse_auth_info(text);
    if let Err(error) = &parsed {
        assert!(!error.to_string().chars().any(char::is_control));
    }
    let Ok(methods) = parsed else { return };
    if text.is_empty() {
        assert!(methods.is_empty());
        return;
    }
    assert!(text.len() <= AUTH_INFO_MAX && methods.len() <= METHODS_MAX && text.ends_with('\n'));
    assert_eq!(text.lines().count(), methods.len());
    for (line, method) in text.lines().zip(&methods) {
        assert_eq!(parse_auth_info(&format!("{line}\n")), Ok(vec![method.clone()]));
        assert!(parse_auth_info(line).is_err());
        says(line, method);
    }
});

fn says(line: &str, method: &Method) {
    match method {
        Method::PublicKey(key) => {
            let written = format!("publickey {} {}", key.algorithm, STANDARD.encode(&key.blob));
            assert!(line == written || line.starts_with(&(written + " signature count = ")));
            assert_eq!(PublicKey::from_blob(key.blob.clone()).as_ref(), Ok(key));
        }
        Method::Certificate(certificate) => {
            let blob = STANDARD.decode(line.split(' ').nth(2).unwrap()).unwrap();
            assert_eq!(Certificate::from_blob(&blob).as_ref(), Ok(certificate.as_ref()));
            assert_eq!(line.split(' ').nth(1), Some(certificate.algorithm.as_str()));
        }
        Method::Gssapi { principal } => {
            let (method, rest) = line.split_once(' ').unwrap();
            assert!(matches!(method, "gssapi-with-mic" | "gssapi-keyex") && rest == principal);
            assert_eq!(principal.matches('@').count(), 1);
        }
        Method::Other { name } => {
            assert!(line == name || line.starts_with(&format!("{name} ")));
            let method = name.split('/').next().unwrap();
            assert!(!matches!(method, "publickey" | "gssapi-with-mic" | "gssapi-keyex"));
        }
    }
}

//! The SFTP server: sshd's subsystem, and so scp(1) of OpenSSH 9.

use std::format;
use std::string::{String, ToString as _};

use super::SFTP_SERVERS;
use super::transfer::{Need, Transfer, is_program};
use super::words::{Word, shown};

/// Names that stand for any of them: sshd hands its own subsystem to a forced command by that name (sshd_config(5)).
const NAMES: [&str; 2] = ["internal-sftp", "sftp-server"];

pub(super) fn read(words: &[Word]) -> Option<Result<Transfer, String>> {
    let asked = is_program(words, &SFTP_SERVERS) || is_program(words, &NAMES);
    asked.then(|| transfer(words.get(1..).unwrap_or_default()))
}

fn transfer(words: &[Word]) -> Result<Transfer, String> {
    let [program, ..] = SFTP_SERVERS;
    let mut transfer = Transfer::new(program, Need::Open { read_only: b"-R" });
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let fits: fn(&[u8]) -> bool = match word.bytes.as_slice() {
            b"-R" | b"-e" => {
                transfer.arguments.push(word.bytes.clone());
                continue;
            }
            b"-l" | b"-f" => |value| value.iter().all(u8::is_ascii_alphanumeric),
            b"-u" => |value| value.iter().all(u8::is_ascii_digit),
            // Lists of requests to allow or to forbid: they only take away.
            b"-p" | b"-P" => |value| {
                let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"@.,-".contains(byte);
                !value.starts_with(b"-") && value.iter().all(is_plain)
            },
            // Where it starts. It is a folder of the account, or it fails.
            b"-d" => |value| !value.starts_with(b"-"),
            other => return Err(format!("the option {} is not known", shown(other))),
        };
        let Some(value) = rest.next().filter(|value| !value.bytes.is_empty() && fits(&value.bytes)) else {
            return Err(format!("the option {} has no fitting value", word.shown()));
        };
        transfer.arguments.push(word.bytes.clone());
        if word.bytes == b"-d" {
            transfer.path(value)
        } else {
            transfer.arguments.push(value.bytes.clone())
        }
        if value.home && word.bytes != b"-d" {
            return Err("~ is for a shell".to_string());
        }
    }
    Ok(transfer)
}

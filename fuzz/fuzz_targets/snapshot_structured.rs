//! A right file, changed in places: with the checksums left wrong nothing but the right answer is given, with the
//! checksums made right again every parser behind them is met.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use svcauth_core::snapshot::access::AccessFile;
use svcauth_core::snapshot::{AccountsFile, Builder, FileKind, RecordKind, Table};
use svcauth_fuzz::pieces::Pieces;
use svcauth_fuzz::{sample, seal, walk};

static ACCOUNTS: LazyLock<Vec<u8>> = LazyLock::new(|| right(sample::accounts(), walk::accounts));
static ACCESS: LazyLock<Vec<u8>> = LazyLock::new(|| right(sample::access(), walk::access));

/// What cannot be read as it is would make every test below an empty one.
fn right(file: Vec<u8>, walk: fn(&[u8]) -> Result<(), svcauth_core::snapshot::Invalid>) -> Vec<u8> {
    walk(&file).expect("the sample is a right file");
    let mut sealed = file.clone();
    seal::seal(&mut sealed);
    assert!(sealed == file, "seal() does not write the checksums that the format has now");
    file
}

fuzz_target!(|bytes: &[u8]| {
    let mut pieces = Pieces(bytes);
    match pieces.byte() % 5 {
        0 => damaged(&mut pieces),
        1 => {
            let _ = walk::accounts(&edited(&ACCOUNTS, &mut pieces));
        }
        2 => {
            let _ = walk::access(&edited(&ACCESS, &mut pieces));
        }
        3 => records(&mut pieces),
        _ => walk::payload(pieces.0),
    }
});

/// One to four bytes changed, no checksum repaired: too few to forge one.
fn damaged(pieces: &mut Pieces<'_>) {
    let mut file = ACCOUNTS.clone();
    for _ in 0..4 {
        let at = usize::from(pieces.u16()) % file.len();
        file[at] = pieces.byte();
    }
    let right = walk::passwd_line(&ACCOUNTS, "deployer");
    assert!(matches!(right, Ok(Some(_))));
    if let Ok(answer) = walk::passwd_line(&file, "deployer") {
        assert_eq!(Ok(answer), right);
    }
    let _ = walk::accounts(&file);
}

fn edited(file: &[u8], pieces: &mut Pieces<'_>) -> Vec<u8> {
    let mut file = file.to_vec();
    while !pieces.is_empty() {
        let at = usize::from(pieces.u16()) % file.len();
        file[at] = pieces.byte();
    }
    seal::seal(&mut file);
    file
}

/// Records with the fuzzer's own payload under keys that are asked for.
fn records(pieces: &mut Pieces<'_>) {
    let (kind, tables) = match pieces.byte() % 3 {
        0 => (RecordKind::Policy, &[Table::Policy][..]),
        1 => (RecordKind::Account, &[Table::Account][..]),
        _ => (RecordKind::Person, &[Table::Person, Table::PersonByKey, Table::PersonByPrincipal][..]),
    };
    let all = [Table::Policy, Table::Account, Table::Person, Table::PersonByKey, Table::PersonByPrincipal];
    let mut file = Builder::new(FileKind::Access, sample::stamp(), &all).unwrap();
    let place = file.record(kind, pieces.0).unwrap();
    for table in tables {
        let key = sample::key();
        let key: &[u8] = match table {
            Table::Account => b"deployer",
            Table::Person => b"bob",
            Table::PersonByKey => key.as_bytes(),
            Table::PersonByPrincipal => b"bob@EXAMPLE.COM",
            _ => b"",
        };
        file.key(*table, key, place).unwrap();
    }
    if kind != RecordKind::Policy {
        // Decisions need a policy; the builder gives one that can be read.
        let whole = AccessFile::new(sample::stamp(), &sample::policy());
        assert!(whole.and_then(AccessFile::finish).is_ok());
    }
    let _ = walk::access(&file.finish().unwrap());
    assert!(AccountsFile::new(sample::stamp()).is_ok());
}

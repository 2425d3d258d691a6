//! What it costs to decide about one command line, against cutting the same line at its blanks.
//!
//! The first bench is the baseline of the run. No system call is in these numbers.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench that cannot set itself up must stop")]

use divan::{Bencher, black_box};
use svcauth_core::command::{Access, CommandRule, Files, Limits, Ruling, Wish, admit, split};

fn main() {
    divan::main();
}

const DEPLOY: &[u8] = b"/usr/local/bin/deploy web-1 'release 42' --force";
const RSYNC: &[u8] =
    b"rsync --server -vlHogDtpAXrze.iLsfxCIvu --delete --partial-dir .part --numeric-ids . /srv/app/releases/42/";

fn words(patterns: &[&str]) -> CommandRule {
    CommandRule::Words(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
}

/// So many rules that do not fit, and one that does.
fn rules(others: usize, last: CommandRule) -> Limits {
    let other = |index| words(&[&format!("/usr/local/bin/other{index}"), "<re:[a-z]+>", "<rest>"]);
    let commands = (0..others).map(other).chain([last]).collect();
    Limits { commands, ..Limits::default() }
}

fn run(bencher: Bencher<'_, '_>, limits: &Limits, line: &[u8]) {
    bencher.bench(|| {
        let ruling = admit(&[black_box(limits)], Wish::Line(black_box(line)));
        assert!(matches!(ruling, Ruling::Run(_)));
        ruling
    });
}

#[divan::bench]
fn cut_at_blanks(bencher: Bencher<'_, '_>) {
    bencher.bench(|| black_box(DEPLOY).split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect::<Vec<_>>());
}

#[divan::bench]
fn split_alone(bencher: Bencher<'_, '_>) {
    bencher.bench(|| split(black_box(DEPLOY)).unwrap());
}

#[divan::bench(args = [0, 10, 100])]
fn admit_words(bencher: Bencher<'_, '_>, others: usize) {
    run(bencher, &rules(others, words(&["/usr/local/bin/deploy", "<any>", "<rest>"])), DEPLOY);
}

#[divan::bench(args = [0, 10, 100])]
fn admit_expression(bencher: Bencher<'_, '_>, others: usize) {
    run(bencher, &rules(others, words(&["/usr/local/bin/deploy", "<re:[a-z0-9-]+>", "<rest>"])), DEPLOY);
}

#[divan::bench(args = [0, 10, 100])]
fn admit_rsync(bencher: Bencher<'_, '_>, others: usize) {
    let files = Files { access: Access::Write, paths: vec!["/srv/app".to_owned()] };
    run(bencher, &rules(others, CommandRule::Rsync(files)), RSYNC);
}

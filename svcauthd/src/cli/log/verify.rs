//! `svcauth log verify`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use nix::unistd::geteuid;
use svcauth_core::audit::chain::{Anchor, Head};
use svcauth_host::paths;
use svcauth_host::snapshot_file::{SnapshotError, read_trusted};

use crate::cli::Done;
use crate::cli::output::{Failure, json, line};
use crate::proof::{Against, Report, prove};
use crate::trail::Trail;

/// More than a head ever takes, in bytes.
const HEAD_MAX: u64 = 4096;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A record as svcauthd wrote it to the host's log, or as an earlier `log verify` printed it: it must be in the files, and
    /// be that very one. May be given several times
    #[arg(long, value_name = "SEQ:HASH")]
    head: Vec<Anchor>,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
    /// Check these files, in this order, in place of the trail of this host
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &VerifyArgs) -> Done {
    if args.files.is_empty() && !geteuid().is_root() {
        return Err(Failure::new("only root may read the audit trail; run: sudo svcauth log verify"));
    }
    let unread = |error: std::io::Error| Failure::new(error);
    let (head, trail) = if args.files.is_empty() {
        // The head first: what is written meanwhile comes behind it.
        let head = read_head()?;
        (head, Trail::open().map_err(unread)?)
    } else {
        (None, Trail::of_files(&args.files).map_err(unread)?)
    };
    let against = Against { head, anchors: args.head.clone(), is_live: args.files.is_empty() };
    let report = prove(trail.files(), &against).map_err(unread)?;
    let headless = args.files.is_empty() && head.is_none() && report.files > 0;
    let lost = trail.files().is_empty().then(|| against.head.map(|head| head.last)).flatten();
    let verdict = Verdict { report: &report, headless, lost };
    if args.json {
        json(&verdict.to_json())?;
    } else {
        verdict.show()?;
    }
    Ok(if verdict.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_head() -> Result<Option<Head>, Failure> {
    let path = Path::new(paths::AUDIT_HEAD);
    match read_trusted(path, HEAD_MAX) {
        // One that cannot be understood says nothing.
        Ok(text) => Ok(text.parse().ok()),
        Err(SnapshotError::Missing | SnapshotError::Untrusted(_)) => Ok(None),
        Err(error) => Err(Failure::new(format!("{}: {error}", path.display()))),
    }
}

struct Verdict<'a> {
    report: &'a Report,
    /// There are files, and nothing says where they end.
    headless: bool,
    /// There was a trail up to this line, and there is no file at all.
    lost: Option<Anchor>,
}

impl Verdict<'_> {
    fn is_whole(&self) -> bool {
        self.report.fault.is_none() && !self.headless && self.lost.is_none()
    }

    /// The fault as file, line, code and sentence.
    fn fault(&self) -> Option<(String, Option<u64>, &'static str, String)> {
        if let Some(place) = &self.report.fault {
            let path = place.path.display().to_string();
            return Some((path, Some(place.line), place.fault.code(), place.fault.to_string()));
        }
        if let Some(last) = self.lost {
            let sentence = format!("the audit file is missing; its last record was {}", last.seq);
            return Some((paths::AUDIT_FILE.to_owned(), None, "files_missing", sentence));
        }
        self.headless.then(|| {
            let sentence = "it is missing or damaged, so nobody knows whether the end of the trail was cut; \
                            svcauthd writes it anew with the next record";
            (paths::AUDIT_HEAD.to_owned(), None, "no_head", sentence.to_owned())
        })
    }

    fn show(&self) -> std::io::Result<()> {
        let Report { files, lines, first, last, notes, .. } = self.report;
        for note in notes {
            line(&format!("note   {note}"))?;
        }
        if let Some((path, number, _, sentence)) = self.fault() {
            let number = number.map_or_else(String::new, |number| format!("{number}:"));
            return line(&format!("fault  {path}:{number} {sentence}"));
        }
        match (first, last) {
            (Some(first), Some(last)) => {
                let word = if *files == 1 { "file" } else { "files" };
                line(&format!("whole  {lines} records in {files} {word}, {first} to {}", last.seq))?;
                line(&format!("head   {last}"))
            }
            _ => line("whole  nothing is recorded yet"),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let Report { files, lines, bytes, first, last, notes, .. } = self.report;
        let fault = self.fault().map(|(file, line, code, sentence)| {
            serde_json::json!({ "file": file, "line": line, "code": code, "sentence": sentence })
        });
        serde_json::json!({
            "whole": self.is_whole(),
            "files": files,
            "records": lines,
            "bytes": bytes,
            "first": first,
            "last": last.map(|last| last.seq),
            "head": last.map(|last| last.to_string()),
            "notes": notes,
            "fault": fault,
        })
    }
}

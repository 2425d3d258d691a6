//! Which recordings there are.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use svcauth_core::audit::rfc3339;

use super::cast::Cast;
use crate::cli::Done;
use crate::cli::output::{Failure, duration, json, note, table};

/// How much of the end of a file is read for its last line.
const TAIL: u64 = 1 << 16;
/// What recordings end with.
const SUFFIX: &str = ".cast";

#[derive(Serialize)]
struct Recording {
    recording: String,
    session: Option<String>,
    account: Option<String>,
    origin: Option<String>,
    started: Option<String>,
    seconds: Option<u64>,
    bytes: u64,
    file: String,
    fault: Option<String>,
}

/// The list.
pub(super) fn run(folder: &Path, is_json: bool) -> Done {
    let mut found: Vec<Recording> = names(folder)?.iter().map(|name| recording(folder, name)).collect();
    found.sort_by(|a, b| (&a.started, &a.recording).cmp(&(&b.started, &b.recording)));
    if is_json {
        json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        note("nothing is recorded; a rule with shell = \"allow\" and record = true records shells");
    }
    let cell = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |one: &Recording| {
        let length = one.seconds.map_or_else(|| "-".to_owned(), duration);
        let started = one.started.as_deref().and_then(|time| time.split('.').next()).unwrap_or("-");
        let bytes = one.bytes.to_string();
        let (account, origin) = (cell(&one.account), cell(&one.origin));
        vec![one.recording.clone(), started.to_owned(), length, account, origin, bytes, cell(&one.fault)]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    if !rows.is_empty() {
        let head = ["RECORDING", "STARTED (UTC)", "LENGTH", "ACCOUNT", "ORIGIN", "BYTES", "FAULT"];
        table(&head, &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the recordings in the folder, without their ends.
fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::usage(format!(
            "{}: only root may read recordings; run: sudo svcauth replay",
            folder.display()
        )),
        _ => Failure::new(format!("{}: {error}", folder.display())),
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fault)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(fault)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(SUFFIX)).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

fn recording(folder: &Path, name: &str) -> Recording {
    let path = folder.join(format!("{name}{SUFFIX}"));
    let mut one = Recording {
        recording: name.to_owned(),
        session: None,
        account: None,
        origin: None,
        started: None,
        seconds: None,
        bytes: 0,
        file: path.display().to_string(),
        fault: None,
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) => return Recording { fault: Some(error.to_string()), ..one },
    };
    one.bytes = file.metadata().map_or(0, |meta| meta.len());
    one.seconds = last_time(&file, one.bytes);
    match Cast::open(BufReader::new(file)) {
        Ok(cast) => {
            let source = cast.header.svcauth;
            one.started = cast.header.timestamp.map(|seconds| rfc3339(seconds.saturating_mul(1_000_000)));
            one.session = source.as_ref().and_then(|source| source.session.clone());
            one.account = source.as_ref().and_then(|source| source.account.clone());
            one.origin = source.and_then(|source| source.origin);
        }
        Err(why) => one.fault = Some(why.to_string()),
    }
    one
}

/// The time of the last whole line, in whole seconds since the beginning.
fn last_time(file: &File, length: u64) -> Option<u64> {
    let start = length.saturating_sub(TAIL);
    let mut tail = vec![0; usize::try_from(length - start).ok()?];
    file.read_exact_at(&mut tail, start).ok()?;
    let text = String::from_utf8_lossy(&tail);
    let whole = text.rsplit_once('\n')?.0;
    let time =
        whole.lines().rev().find_map(|line| line.strip_prefix('[')?.split(',').next()?.parse::<f64>().ok());
    let spent = std::time::Duration::try_from_secs_f64(time?).ok()?;
    Some(spent.as_secs())
}

/// The files that are meant: a file by its path, one recording by its name, or all of a session in their order.
pub(super) fn find(folder: &Path, wanted: &str) -> Result<Vec<PathBuf>, Failure> {
    if wanted.contains('/') || (wanted.ends_with(SUFFIX) && Path::new(wanted).exists()) {
        return Ok(vec![PathBuf::from(wanted)]);
    }
    let wanted = wanted.strip_suffix(SUFFIX).unwrap_or(wanted);
    let names = names(folder)?;
    let number = |name: &String| name.strip_prefix(wanted)?.strip_prefix('-')?.parse::<u32>().ok();
    let mut of_session: Vec<(u32, &String)> =
        names.iter().filter_map(|name| Some((number(name)?, name))).collect();
    of_session.sort_unstable();
    let one = names.iter().find(|name| *name == wanted);
    let found: Vec<PathBuf> = one
        .into_iter()
        .chain(of_session.into_iter().map(|(_, name)| name).filter(|_| one.is_none()))
        .map(|name| folder.join(format!("{name}{SUFFIX}")))
        .collect();
    if found.is_empty() {
        return Err(Failure::usage(format!("nothing is recorded of {wanted} (see: svcauth replay)")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Path, find, recording};
    use std::fs;

    const FIRST: &str = "{\"version\":2,\"width\":80,\"height\":24,\"timestamp\":1769847300,\
        \"svcauth\":{\"session\":\"4d8f-1\",\"account\":\"deployer\",\"origin\":\"bob\"}}\n";

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("svcauth-replay-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn found(folder: &Path, wanted: &str) -> Vec<String> {
        let found = find(folder, wanted).unwrap_or_default();
        found.iter().map(|path| path.strip_prefix(folder).unwrap_or(path).display().to_string()).collect()
    }

    #[test]
    fn a_session_is_all_its_recordings_in_their_order_and_each_can_be_had_alone() {
        let folder = folder("find");
        for name in ["4d8f-1-1.cast", "4d8f-1-2.cast", "4d8f-1-10.cast", "4d8f-12-1.cast", "other"] {
            fs::write(folder.join(name), FIRST).unwrap();
        }
        assert_eq!(found(&folder, "4d8f-1"), ["4d8f-1-1.cast", "4d8f-1-2.cast", "4d8f-1-10.cast"]);
        for one in ["4d8f-1-2", "4d8f-1-2.cast"] {
            assert_eq!(found(&folder, one), ["4d8f-1-2.cast"]);
        }
        for nothing in ["4d8f", "4d8f-2", "..", "", "other", "4d8f-1-x"] {
            assert!(find(&folder, nothing).is_err(), "{nothing:?}");
        }
        assert_eq!(found(&folder, "/x/../y.cast"), ["/x/../y.cast"]);
        assert!(super::names(Path::new("/nowhere")).is_ok_and(|names| names.is_empty()));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_list_says_whose_when_and_how_long_and_what_is_wrong_with_a_file() {
        let folder = folder("list");
        let text = format!("{FIRST}[1.5,\"o\",\"a\\n\"]\n[75.25,\"o\",\"b\"]\n[99,\"o\",\"c");
        fs::write(folder.join("a.cast"), &text).unwrap();
        fs::write(folder.join("b.cast"), "x\n").unwrap();
        let one = recording(&folder, "a");
        assert_eq!((one.account.as_deref(), one.origin.as_deref()), (Some("deployer"), Some("bob")));
        assert_eq!((one.seconds, one.bytes, one.fault), (Some(75), text.len() as u64, None));
        assert_eq!(one.started.as_deref(), Some("2026-01-31T08:15:00.000000Z"));
        assert!(recording(&folder, "b").fault.unwrap().starts_with("line 1: it is no asciicast"));
        assert!(recording(&folder, "c").fault.is_some());
        fs::remove_dir_all(&folder).unwrap();
    }
}

//! sshd's drop-in: what it says, whether sshd obeys it, and telling the running one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::stage::with_run_folder;
use super::{SYSTEMCTL, Trouble};
use crate::limits;

/// The drop-in. sshd takes the first value of an option, so the name comes before those of others, as in `50-cloud-init.conf`.
pub const DROP_IN: &str = "/etc/ssh/sshd_config.d/10-svcauth.conf";
/// The folder of drop-ins.
pub const FOLDER: &str = "/etc/ssh/sshd_config.d";
/// What is in it.
pub const TEXT: &str = include_str!("../../../conf/sshd/svcauth.conf");
/// sshd.
pub const PROGRAM: &str = "/usr/sbin/sshd";
const CONFIG: &str = "/etc/ssh/sshd_config";
const PID_FILE: &str = "/run/sshd.pid";
/// What sshd must say about itself.
const COMMAND: &str = "authorizedkeyscommand /usr/bin/svcauth ssh-keys";
/// Debian's name first.
const UNITS: &[&str] = &["ssh.service", "sshd.service"];
/// How long a running sshd may take to begin anew.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one that has begun may take to listen, on a host that is busy.
const PATIENCE_AWAY: Duration = Duration::from_secs(15);

/// Whether there is an sshd on this host.
#[must_use]
pub fn is_there() -> bool {
    Path::new(PROGRAM).exists()
}

/// The drop-in without our lines; `None` when nothing is left but comments.
#[must_use]
pub fn without_svcauth(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = limits::without(bytes);
    let ours: Vec<&[u8]> = TEXT.as_bytes().split_inclusive(|byte| *byte == b'\n').collect();
    let rest: Vec<&[u8]> =
        bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !ours.contains(line)).collect();
    let says_something =
        |line: &&[u8]| !line.trim_ascii().is_empty() && !line.trim_ascii_start().starts_with(b"#");
    rest.iter().any(says_something).then(|| rest.concat())
}

/// Whether a file has the command of svcauth in it, as the drop-in has.
#[must_use]
pub fn is_ours(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).lines().any(|line| line.to_ascii_lowercase().starts_with(COMMAND))
}

/// What sshd reads for itself now (`sshd -T`, in lower case).
///
/// # Errors
/// It refuses its configuration, with its words.
pub fn settings() -> Result<String, Trouble> {
    let ended = Command::new(PROGRAM)
        .env_clear()
        .arg("-T")
        .output()
        .map_err(|error| Trouble::new(format!("{PROGRAM}: {error}")))?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let said = said.trim().lines().collect::<Vec<_>>().join("; ");
    Err(Trouble::new(format!(
        "{PROGRAM} refuses its configuration: {said}; repair it (sshd -t shows it) and run the command again"
    )))
}

/// What stands in the way before the drop-in is there: somebody else's command for keys, which it would replace.
///
/// # Errors
/// With the place of the other command.
pub fn no_other_command(settings: &str) -> Result<(), Trouble> {
    let others = settings.lines().find(|line| {
        let is_set = line.starts_with("authorizedkeyscommand ") && *line != "authorizedkeyscommand none";
        is_set && !line.starts_with(COMMAND)
    });
    match others {
        None => Ok(()),
        Some(line) => Err(Trouble::new(format!(
            "{}: AuthorizedKeysCommand is in use ({}), and sshd takes one only; take it out, or let that program call \
             `svcauth ssh-keys` for managed accounts and leave svcauth's line of {DROP_IN} to it by hand",
            place_of("authorizedkeyscommand"),
            line.trim_start_matches("authorizedkeyscommand ")
        ))),
    }
}

/// Whether sshd obeys the drop-in, once it is there.
///
/// # Errors
/// It does not, with the place that wins and what to do.
pub fn obeys(settings: &str) -> Result<(), Trouble> {
    let says = |wanted: &str| settings.lines().any(|line| line.starts_with(wanted));
    if says("usepam yes") && says(COMMAND) {
        return Ok(());
    }
    if !fs::read_to_string(CONFIG).unwrap_or_default().lines().any(includes_folder) {
        return Err(Trouble::new(format!(
            "{CONFIG}: sshd does not read the files of {FOLDER}; add this as its first line and run the command again: \
             Include {FOLDER}/*.conf"
        )));
    }
    let option = if says("usepam yes") { "authorizedkeyscommand" } else { "usepam" };
    Err(Trouble::new(format!(
        "{}: this line wins against {DROP_IN} (sshd takes the first value of an option); take it out, or move the Include \
         of {FOLDER} above it, and run the command again",
        place_of(option)
    )))
}

fn includes_folder(line: &str) -> bool {
    let mut words =
        line.split(|c: char| c.is_whitespace() || c == '=' || c == '"').filter(|word| !word.is_empty());
    let is_include = words.next().is_some_and(|word| word.eq_ignore_ascii_case("include"));
    is_include && words.any(|word| word.contains("sshd_config.d/"))
}

/// The file and the line that set an option first, ours apart.
fn place_of(option: &str) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(FOLDER)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.retain(|path| path.extension().is_some_and(|it| it == "conf") && path != Path::new(DROP_IN));
    files.sort();
    files.push(CONFIG.into());
    let sets = |line: &str| {
        let word =
            line.trim_start().split(|c: char| c.is_whitespace() || c == '=').next().unwrap_or_default();
        word.eq_ignore_ascii_case(option)
    };
    for file in files {
        let text = fs::read(&file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if let Some(at) = text.lines().position(sets) {
            return format!("{}:{}", file.display(), at + 1);
        }
    }
    CONFIG.to_owned()
}

/// Lets the running sshd read its configuration again and waits until it listens again; sessions go on. Without a running one
/// there is nothing to do.
///
/// # Errors
/// It does not take the configuration, or did not come back.
pub fn reload() -> Result<(), Trouble> {
    if !is_there() {
        return Ok(());
    }
    let before = running().map(|pid| (pid, listening(pid)));
    if Path::new("/run/systemd/system").exists() {
        UNITS.iter().filter(|unit| is_active(unit)).try_for_each(|unit| systemctl_reload(unit))?;
    } else if let Some((pid, _)) = &before {
        with_run_folder(settings)?;
        kill(Pid::from_raw(*pid), Signal::SIGHUP).map_err(|error| {
            Trouble::new(format!("sshd (process {pid}) cannot be told to reload: {error}"))
        })?;
    }
    before.map_or(Ok(()), |(pid, sockets)| wait_for_return(pid, &sockets))
}

fn is_active(unit: &str) -> bool {
    let asked = Command::new(SYSTEMCTL).args(["is-active", "--quiet", unit]).status();
    asked.is_ok_and(|status| status.success())
}

fn systemctl_reload(unit: &str) -> Result<(), Trouble> {
    let ended = Command::new(SYSTEMCTL).args(["reload", unit]).output();
    match ended {
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) => Err(Trouble::new(format!(
            "systemctl reload {unit}: {}",
            String::from_utf8_lossy(&ended.stderr).trim().replace('\n', "; ")
        ))),
        Err(error) => Err(Trouble::new(format!("systemctl reload {unit}: {error}"))),
    }
}

/// The sshd of the pid file, if that is what the file names.
fn running() -> Option<i32> {
    let pid: i32 = fs::read_to_string(PID_FILE).ok()?.trim().parse().ok()?;
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    // A program that was replaced by an upgrade has " (deleted)" behind its name.
    program.file_name()?.to_string_lossy().starts_with("sshd").then_some(pid)
}

/// sshd begins anew under the same pid, with new sockets; one that systemd hands its sockets keeps them.
fn wait_for_return(pid: i32, before: &BTreeSet<String>) -> Result<(), Trouble> {
    let begun = Instant::now();
    let mut now = listening(pid);
    loop {
        // It listens first, and writes its pid file then.
        let is_away = now.is_empty() || running() != Some(pid);
        let patience = if is_away { PATIENCE_AWAY } else { PATIENCE };
        if begun.elapsed() >= patience || !(is_away || now == *before) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        now = listening(pid);
    }
    if running() == Some(pid) && (before.is_empty() || !now.is_empty()) {
        return Ok(());
    }
    Err(Trouble::new(format!("sshd (process {pid}) did not come back after a reload; see its log")))
}

/// The TCP sockets on which a process listens, as the kernel numbers them (proc(5)).
fn listening(pid: i32) -> BTreeSet<String> {
    let tables = ["tcp", "tcp6"]
        .map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let rows =
        tables.iter().flat_map(|table| table.lines()).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // st is the fourth column, 0A is LISTEN, and inode is the tenth.
    let inode =
        |row: Vec<&str>| (row.get(3) == Some(&"0A")).then(|| row.get(9).map(ToString::to_string)).flatten();
    let all: BTreeSet<String> = rows.filter_map(inode).collect();
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let socket = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        let number = target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned();
        all.contains(&number).then_some(number)
    };
    files.filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::{COMMAND, TEXT, includes_folder, listening, no_other_command, obeys, without_svcauth};

    #[test]
    fn the_drop_in_says_what_is_asked_of_sshd() {
        let said: String = TEXT.lines().map(|line| line.to_ascii_lowercase() + "\n").collect();
        assert!(said.contains(COMMAND) && obeys(&said) == Ok(()), "{said}");
        assert_eq!(no_other_command(&said), Ok(()));
        assert_eq!(no_other_command("authorizedkeyscommand none\n"), Ok(()));
        let other = no_other_command("authorizedkeyscommand /usr/bin/sss_ssh_authorizedkeys\n").unwrap_err();
        assert!(other.to_string().contains("sss_ssh_authorizedkeys"));
    }

    #[test]
    fn of_an_edited_drop_in_only_our_lines_go() {
        assert_eq!(without_svcauth(TEXT.as_bytes()), None);
        let edited = format!("{TEXT}# mine\nMaxAuthTries 3\n");
        assert_eq!(without_svcauth(edited.as_bytes()).unwrap(), b"# mine\nMaxAuthTries 3\n");
        assert_eq!(without_svcauth(format!("{TEXT}# mine\n").as_bytes()), None);
    }

    #[test]
    fn the_sockets_of_a_process_are_those_that_it_listens_on() {
        use std::os::fd::{AsRawFd as _, RawFd};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let inode = |fd: RawFd| {
            let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
            link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).to_owned()
        };
        let found = listening(i32::try_from(std::process::id()).unwrap());
        assert!(found.contains(&inode(listener.as_raw_fd())), "{found:?}");
        assert!(!found.contains(&inode(client.as_raw_fd())), "{found:?}");
    }

    #[test]
    fn an_include_is_known_in_every_spelling() {
        for line in [
            "Include /etc/ssh/sshd_config.d/*.conf",
            "include=\"sshd_config.d/*\"",
            "  INCLUDE a sshd_config.d/x",
        ] {
            assert!(includes_folder(line), "{line}");
        }
        assert!(!includes_folder("#Include /etc/ssh/sshd_config.d/*.conf") && !includes_folder("Include /x"));
    }
}

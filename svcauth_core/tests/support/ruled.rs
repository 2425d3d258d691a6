//! What has to hold for every command line, whatever it is: asserted by the property tests and by the fuzz target, and
//! written without the code that it is held against.

use svcauth_core::command::{Access, CommandRule, Files, Limits, Plan, Program, Ruling, Wish, admit, split};

/// The only folder that transfers may touch here.
pub(crate) const FOLDER: &str = "/srv/a";

/// Every kind of transfer below [`FOLDER`], and a program with any words.
pub(crate) fn limits(access: Access) -> Limits {
    let files = || Files { access, paths: vec![FOLDER.to_owned()] };
    let echo = ["/bin/echo", "<rest>"].map(|pattern| pattern.parse().unwrap()).to_vec();
    let commands = vec![
        CommandRule::Words(echo),
        CommandRule::Rsync(files()),
        CommandRule::Scp(files()),
        CommandRule::Sftp(files()),
        CommandRule::Git(files()),
    ];
    Limits { commands, ..Limits::default() }
}

/// Holds one line against all of it. Gives whether it may run where everything may be written.
pub(crate) fn check(line: &[u8]) -> bool {
    words(line);
    let [reads, writes] = [Access::Read, Access::Write].map(|access| {
        let limits = limits(access);
        let ruling = admit(&[&limits], Wish::Line(line));
        assert_eq!(ruling, admit(&[&limits, &limits], Wish::Line(line)), "the same rule twice says more");
        match ruling {
            Ruling::Run(Plan::Program(program)) => {
                admitted(&program, line, access);
                true
            }
            Ruling::Refuse(refusal) => {
                assert!(!refusal.detail.is_empty() && refusal.detail.len() < 600, "{}", refusal.detail);
                assert!(!refusal.detail.contains(|c: char| c.is_control()), "{:?}", refusal.detail);
                false
            }
            other => panic!("{other:?}"),
        }
    });
    assert!(writes || !reads, "who may write may read");
    writes
}

fn words(line: &[u8]) {
    let Ok(words) = split(line) else { return };
    for byte in bare(line) {
        assert!(!b"\n;&|<>()$`*?[]{}'\"\\\0".contains(&byte), "{} is bare", byte.escape_ascii());
    }
    // Whatever a word is, it is the same word in quotes.
    let quoted: Vec<Vec<u8>> = words.iter().map(|word| in_quotes(&word.bytes)).collect();
    let again = split(&quoted.join(&b' ')).unwrap();
    assert!(again.iter().all(|word| !word.home && !word.bytes.contains(&0)));
    assert!(again.iter().map(|word| &word.bytes).eq(words.iter().map(|word| &word.bytes)));
}

pub(crate) fn in_quotes(word: &[u8]) -> Vec<u8> {
    let inner = word.split(|byte| *byte == b'\'').collect::<Vec<_>>().join(&b"'\\''"[..]);
    [b"'", inner.as_slice(), b"'"].concat()
}

/// What stands outside of quotes and behind no backslash.
fn bare(line: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), line);
    while let Some((first, after)) = rest.split_first() {
        let skip = match first {
            b'\'' => after.iter().position(|byte| *byte == b'\'').unwrap() + 1,
            b'"' => {
                let mut at = 0;
                while after[at] != b'"' {
                    at += 1 + usize::from(after[at] == b'\\');
                }
                at + 1
            }
            b'\\' => 1,
            byte => {
                out.push(*byte);
                0
            }
        };
        rest = &after[skip..];
    }
    out
}

fn admitted(program: &Program, line: &[u8], access: Access) {
    assert!(program.arguments.iter().all(|word| !word.contains(&0)));
    if program.path == "/bin/echo" {
        let asked: Vec<Vec<u8>> = split(line).unwrap().into_iter().map(|word| word.bytes).collect();
        assert_eq!(program.arguments, asked[1..], "not the words of the line");
        assert_eq!(program.files, None);
        return;
    }
    let files = program.files.as_ref().unwrap();
    assert_eq!(files.paths, [FOLDER]);
    assert!(access == Access::Write || files.access == Access::Read, "who may read writes");
    let arguments: Vec<&[u8]> = program.arguments.iter().map(Vec::as_slice).collect();
    match program.path.as_str() {
        "/usr/bin/rsync" => rsync(&arguments, files.access),
        "/usr/bin/scp" => scp(&arguments, files.access),
        "/usr/bin/git" => git(&arguments, files.access),
        "/usr/lib/openssh/sftp-server" => sftp(&arguments, files.access),
        other => panic!("{other}"),
    }
}

/// How no option begins that may run, but for those of [`HARMLESS`].
const FORBIDDEN: [&str; 30] = [
    "--server",
    "--daemon",
    "--config",
    "--dparam",
    "--rsh",
    "--rsync-path",
    "--log-file",
    "--exclude",
    "--include",
    "--filter",
    "--password",
    "--read-batch",
    "--write-",
    "--copy-devices",
    "--secluded",
    "--protect",
    "-s",
    "-M",
    "-f",
    "-T",
    "-h",
    "-V",
    "-F",
    "-P",
    "-a",
    "-i",
    "--help",
    "--version",
    "--sockopts",
    "--insecure",
];
const HARMLESS: [&str; 7] =
    ["--files-from=-", "--files-from", "--suffix", "--stats", "--safe-links", "--super", "--size-only"];

fn rsync(arguments: &[&[u8]], access: Access) {
    assert_eq!(arguments[0], b"--server");
    let removes = arguments.iter().any(|word| word.starts_with(b"--remove-"));
    assert_eq!(access == Access::Read, arguments[1] == b"--sender" && !removes);
    let dot = arguments.iter().position(|word| *word == b".").unwrap();
    assert!(dot + 1 < arguments.len());
    for path in &arguments[dot + 1..] {
        assert!(!path.starts_with(b"-"), "an option behind the paths");
        inside(path);
    }
    arguments[1..dot].iter().for_each(|word| rsync_option(word));
}

fn rsync_option(word: &[u8]) {
    let text = String::from_utf8_lossy(word);
    assert!(HARMLESS.contains(&&*text) || !FORBIDDEN.iter().any(|bad| text.starts_with(bad)), "{text}");
    if !text.starts_with("--") && text.starts_with('-') {
        let (letters, shell) = text.split_once('e').unwrap_or((&text, ""));
        assert!(shell.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'), "{text} names a program");
        assert!(!letters.contains('s'), "{text} hides options");
    }
    if text.starts_with('/') {
        inside(word);
    }
}

fn scp(arguments: &[&[u8]], access: Access) {
    let end = arguments.iter().position(|word| *word == b"--").unwrap();
    let letters = arguments[..end].concat();
    assert!(letters.iter().all(|letter| b"-rpdvqtf".contains(letter)));
    assert_eq!(access == Access::Read, letters.contains(&b'f'));
    assert_eq!(letters.iter().filter(|letter| b"tf".contains(letter)).count(), 1);
    assert!(end + 1 < arguments.len());
    arguments[end + 1..].iter().for_each(|path| inside(path));
}

fn sftp(arguments: &[&[u8]], access: Access) {
    assert!(access == Access::Write || arguments.contains(&&b"-R"[..]), "nothing keeps it from writing");
    for pair in arguments.windows(2).filter(|pair| pair[0] == b"-d") {
        inside(pair[1]);
    }
}

fn git(arguments: &[&[u8]], access: Access) {
    let [service, path] = arguments else { panic!("{arguments:?}") };
    let services: &[&[u8]] =
        if access == Access::Read { &[b"upload-pack", b"upload-archive"] } else { &[b"receive-pack"] };
    assert!(services.contains(service));
    assert!(!path.starts_with(b"-") && !path.is_empty());
    inside(path);
}

/// An absolute path leads into the folder, and a relative one does not lead out of where it begins.
fn inside(path: &[u8]) {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    assert!(!parts.contains(&&b".."[..]) || path.starts_with(b".."), "{}", path.escape_ascii());
    if path.starts_with(b"/") {
        let plain: Vec<&[u8]> = parts.into_iter().filter(|part| !part.is_empty() && *part != b".").collect();
        assert!(plain.starts_with(&[b"srv", b"a"]), "{}", path.escape_ascii());
    }
}

//! Real rsync, scp and git: what they ask for is admitted, and what is admitted does their work. `cargo verify` runs it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: a failure is a panic"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use svcauth_core::command::{Access, CommandRule, Files, Limits, Plan, Program, Ruling, Wish, admit};

/// Stands in for ssh: forgets its options up to the host, and hands the command line to `then`.
const STAND_IN: &str = "#!/bin/sh\nwhile [ \"$1\" != peer ]; do shift; done\nshift\n";

/// What people give to rsync; _ stands for a blank inside of a word.
const OPTIONS: [&str; 24] = [
    "-a",
    "-avz",
    "-aH",
    "-aHS",
    "-a --delete",
    "-a --delete-after --partial",
    "-a --exclude=x --filter=-_y",
    "-a --info=progress2",
    "-aP --stats",
    "-a --numeric-ids --itemize-changes",
    "-rlt --inplace",
    "-a --checksum --compress-choice=zlib",
    "-aR",
    "-a --link-dest=../tree",
    "-a --partial-dir=.part --delay-updates",
    "-a --backup --backup-dir=old",
    "-a -M--fake-super",
    "-a --bwlimit=10000 --timeout=30",
    "-a --max-size=1g --ignore-existing",
    "-a --no-inc-recursive",
    "-a --old-args",
    "-a --copy-unsafe-links",
    "-a --chmod=u+w",
    "-n -a",
];

/// A client's folder, a server's home, and the stand-in between them.
struct Bench {
    room: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let room = std::env::temp_dir().join(format!("svcauth-{name}-{}", std::process::id()));
        for folder in ["client/tree/below", "server/data/tree"] {
            fs::create_dir_all(room.join(folder)).unwrap();
        }
        fs::write(room.join("client/tree/a file"), "one").unwrap();
        fs::write(room.join("client/tree/below/b"), [0, 10, 255]).unwrap();
        fs::write(room.join("server/data/tree/c"), "three").unwrap();
        fs::write(room.join("server/data/tree/d e"), "four").unwrap();
        Self { room }
    }

    fn path(&self, path: &str) -> String {
        self.room.join(path).to_str().unwrap().to_owned()
    }

    fn stand_in(&self, then: &str) -> String {
        let path = self.room.join("ssh");
        fs::write(&path, format!("{STAND_IN}{then}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What a client asks for.
    fn asked(&self, client: &[&str]) -> String {
        let line = self.path("line");
        let _ = fs::remove_file(&line);
        let stand_in = self.stand_in(&format!("printf %s \"$*\" >'{line}'\nexit 1"));
        let output = self.client(client, &stand_in);
        fs::read_to_string(&line).unwrap_or_else(|_| panic!("{client:?} has asked for nothing: {output:?}"))
    }

    fn client(&self, words: &[&str], stand_in: &str) -> Output {
        let mut words = words.iter().map(|word| if *word == "SSH" { stand_in } else { *word });
        Command::new(words.next().unwrap())
            .args(words)
            .env("GIT_SSH", stand_in)
            .env("GIT_SSH_VARIANT", "ssh")
            .env("HOME", self.path("client"))
            .current_dir(self.room.join("client"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a client against the program that its line is admitted as.
    fn works(&self, client: &[&str], access: Access) {
        let line = self.asked(client);
        let files = Files { access, paths: vec![self.path("server")] };
        let program = admitted(&line, files.clone()).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(program.files, Some(files), "{line}");
        let stand_in =
            self.stand_in(&format!("cd '{}' && exec {}", self.path("server"), self.started(&program)));
        let output = self.client(client, &stand_in);
        assert!(
            output.status.success(),
            "{client:?} as {program:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// A command of sh(1) that starts a program as it is to be started.
    fn started(&self, program: &Program) -> String {
        let fixed = [("PATH", "/usr/bin:/bin"), ("HOME", &self.path("server"))]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        let environment =
            fixed.iter().chain(&program.environment).map(|(name, value)| format!("{name}={value}"));
        let words = program.arguments.iter().map(|word| String::from_utf8(word.clone()).unwrap());
        let all = environment.chain([program.path.clone()]).chain(words);
        let quoted = all.map(|word| format!("'{}'", word.replace('\'', "'\\''")));
        format!("env -i {}", quoted.collect::<Vec<_>>().join(" "))
    }

    fn same(&self, one: &str, other: &str) {
        let output = Command::new("diff").args(["-r", &self.path(one), &self.path(other)]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.room);
    }
}

fn admitted(line: &str, files: Files) -> Result<Program, String> {
    let commands =
        vec![CommandRule::Rsync(files.clone()), CommandRule::Scp(files.clone()), CommandRule::Git(files)];
    match admit(&[&Limits { commands, ..Limits::default() }], Wish::Line(line.as_bytes())) {
        Ruling::Run(Plan::Program(program)) => Ok(program),
        Ruling::Refuse(refusal) => Err(refusal.detail),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
#[ignore = "needs rsync"]
fn rsync_works_both_ways_with_the_options_that_people_use() {
    let bench = Bench::new("rsync");
    let data = bench.path("server/data");
    for options in OPTIONS {
        let options: Vec<String> = options.split(' ').map(|option| option.replace('_', " ")).collect();
        let words = |from: &str, to: &str| -> Vec<String> {
            let head = ["rsync", "-e", "SSH"].map(str::to_owned).into_iter().chain(options.iter().cloned());
            head.chain([from.to_owned(), to.to_owned()]).collect()
        };
        let push = words("tree/", &format!("peer:{data}/pushed/"));
        let pull = words(&format!("peer:{data}/tree/"), "pulled/");
        bench.works(&push.iter().map(String::as_str).collect::<Vec<_>>(), Access::Write);
        bench.works(&pull.iter().map(String::as_str).collect::<Vec<_>>(), Access::Read);
    }
    let odd = format!("{data}/new/it's $(id);x");
    bench.works(&["rsync", "-e", "SSH", "-a", "--mkpath", "tree/", &format!("peer:{odd}/")], Access::Write);
    bench.same("client/tree", "server/data/new/it's $(id);x");
    bench.works(&["rsync", "-e", "SSH", "-a", "tree/", "peer:data/relative"], Access::Write);
    bench.same("client/tree", "server/data/relative");
    bench.works(&["rsync", "-e", "SSH", "-a", "peer:~/data/tree/", "home"], Access::Read);
    bench.same("server/data/tree", "client/home");
}

#[test]
#[ignore = "needs scp and git"]
fn scp_and_git_work_both_ways() {
    let bench = Bench::new("scp-git");
    let data = bench.path("server/data");
    bench.works(&["scp", "-O", "-S", "SSH", "-rp", "tree", &format!("peer:{data}/copied")], Access::Write);
    bench.same("client/tree", "server/data/copied");
    bench.works(&["scp", "-O", "-S", "SSH", "-r", &format!("peer:{data}/tree"), "fetched"], Access::Read);
    bench.same("server/data/tree", "client/fetched");
    bench.works(&["scp", "-O", "-S", "SSH", "tree/a file", "tree/below/b", "peer:data"], Access::Write);
    bench.same("client/tree/a file", "server/data/a file");

    let git = |words: &[&str]| {
        let all = [
            &["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"],
            words,
        ]
        .concat();
        let output = bench.client(&all, "/nowhere");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let repository = format!("{data}/it's.git");
    git(&["init", "-q", "--bare", &repository]);
    git(&["init", "-q", "work"]);
    git(&["-C", "work", "commit", "-q", "--allow-empty", "-m", "first"]);
    bench.works(&["git", "-C", "work", "push", "-q", &format!("peer:{repository}"), "main"], Access::Write);
    bench.works(&["git", "clone", "-q", "peer:data/it's.git", "cloned"], Access::Read);
    bench.works(&["git", "clone", "-q", "ssh://peer/~/data/it's.git", "again"], Access::Read);
    git(&["-C", "again", "rev-parse", "--verify", "-q", "origin/main"]);
    let url = format!("--remote=peer:{repository}");
    bench.works(&["git", "archive", &url, "-o", "x.tar", "main"], Access::Read);
}

#[test]
#[ignore = "needs rsync"]
fn rsync_runs_what_a_file_in_the_home_directory_says_and_never_sees_that_file_here() {
    let bench = Bench::new("popt");
    let (home, marker) = (bench.path("server"), bench.room.join("marker"));
    fs::write(bench.room.join("server/evil"), format!("touch '{}'\n", marker.display())).unwrap();
    fs::write(bench.room.join("server/.popt"), format!("rsync exec --server sh {home}/evil\n")).unwrap();
    let line = format!("rsync --server -logDtpre.iLsfxCIvu . {home}/data/x");
    let mut program = admitted(&line, Files { access: Access::Write, paths: vec![home.clone()] }).unwrap();
    let run = |program: &Program| {
        let ended =
            Command::new("sh").args(["-c", &bench.started(program)]).stdin(Stdio::null()).output().unwrap();
        (fs::remove_file(&marker).is_ok(), ended)
    };
    let (ran, ended) = run(&program);
    assert!(!ran && String::from_utf8_lossy(&ended.stderr).contains("rsync error"), "{ended:?}");
    program.environment.clear();
    assert!(run(&program).0, "rsync does not read ~/.popt any more: HOME may be given back to it");
}

#[test]
#[ignore = "needs rsync"]
fn what_rsync_hides_behind_secluded_arguments_can_run_programs_so_it_is_refused() {
    let bench = Bench::new("secluded");
    let line = bench.asked(&["rsync", "-e", "SSH", "-as", "tree", "peer:data"]);
    let why = admitted(&line, Files { access: Access::Write, paths: vec!["/".to_owned()] }).unwrap_err();
    assert!(why.contains("-s hides the other options"), "{line}: {why}");

    let (config, marker) = (bench.path("server/daemon.conf"), bench.path("marker"));
    fs::write(&config, format!("use chroot = no\n[x]\npath = /\npre-xfer exec = touch '{marker}'\n"))
        .unwrap();
    let mut server = Command::new("/usr/bin/rsync")
        .args(["--server", "--sender", "-se.iLsfxCIvu"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = server.stdin.take().unwrap();
    // Each is read by itself: a line of the daemon's greeting, the module, and then what is wanted from it.
    for part in [
        format!("--server\0--daemon\0--config={config}\0.\0\0"),
        "@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\n".to_owned(),
        "x\n".to_owned(),
        "--server\0--sender\0-r\0.\0x/\0\0".to_owned(),
    ] {
        let _ = input.write_all(part.as_bytes());
    }
    drop(input);
    server.wait().unwrap();
    assert!(
        fs::exists(&marker).unwrap(),
        "options over the connection start no daemon any more: -s may be looked at again"
    );
}

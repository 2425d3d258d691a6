use std::path::{Path, PathBuf};

use super::{DEPTH, Reader, logical_lines};
use crate::pam_stack::{Kind, Phase};

struct Host(PathBuf);

impl Host {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("svcauth-pam-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join("etc/pam.d")).unwrap();
        for (name, text) in files {
            std::fs::write(root.join("etc/pam.d").join(name), text).unwrap();
        }
        Self(root)
    }

    fn reader(&self) -> Reader {
        Reader::new(&self.0)
    }

    /// `phase module file:line level` of each line of a service.
    fn shown(&self, service: &str) -> Vec<String> {
        let stack = self.reader().stack(service);
        let shown = stack.lines.iter().map(|line| {
            let name = match &line.kind {
                Kind::Module(name, _) => name.clone(),
                Kind::Substack(name) => format!("[{name}]"),
                Kind::Broken(_) => "broken".to_owned(),
            };
            let file = line.file.file_name().unwrap().to_string_lossy();
            format!("{} {name} {file}:{} {}", line.phase.word(), line.number, line.level)
        });
        shown.collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn lines_of_included_files_stand_where_they_are_included() {
    let host = Host::new(
        "include",
        &[
            ("common", "account required a.so\nsession required s.so\n"),
            ("sub", "session requisite t.so\nauth required x.so\n"),
            (
                "sshd",
                "# c\n@include common\nsession substack sub\nSESSION \\\n include common # why\n-session optional z.so q=1\n",
            ),
        ],
    );
    assert_eq!(
        host.shown("sshd"),
        [
            "account a.so common:1 0",
            "session s.so common:2 0",
            "session [sub] sshd:3 0",
            "session t.so sub:1 1",
            "session s.so common:2 0",
            "session z.so sshd:6 0"
        ]
    );
    let stack = host.reader().stack("sshd");
    assert!(stack.troubles.is_empty(), "{:?}", stack.troubles);
    assert_eq!(stack.lines[0].place(), (Path::new("/etc/pam.d/common"), 1));
    assert_eq!(stack.lines[5].arguments(), ["q=1"]);
    assert_eq!(stack.phase(Phase::Account).len(), 1);
    assert_eq!(host.reader().services(), ["common", "sshd", "sub"]);
    assert!(host.reader().stack("nothing").file.is_none());
}

#[test]
fn what_cannot_be_understood_fails_as_it_does_for_libpam_and_is_named() {
    let host = Host::new(
        "broken",
        &[("x", "account include none\nsesion required a.so\nsession requird a.so\nsession required\n")],
    );
    let stack = host.reader().stack("x");
    let troubles: Vec<_> = stack.troubles.iter().map(|it| (it.number, it.what.as_str())).collect();
    assert_eq!(
        troubles,
        [
            (1, "cannot include none: there is no such file"),
            (2, "no kind of line: sesion"),
            (3, "no control: requird"),
            (4, "the line has no module")
        ]
    );
    assert_eq!(
        host.shown("x"),
        ["account broken x:1 0", "auth broken x:2 0", "session a.so x:3 0", "session broken x:4 0"]
    );
}

#[test]
fn files_that_include_each_other_end() {
    let loops = "session include a\nsession include a\n";
    let host = Host::new("loop", &[("a", loops)]);
    let stack = host.reader().stack("a");
    assert!(!stack.troubles.is_empty());
    let one = Host::new("deep", &[("a", "session include a\n")]);
    assert_eq!(one.reader().stack("a").lines.len(), 1);
    assert!(one.reader().stack("a").troubles[0].what.contains(&DEPTH.to_string()));
}

#[test]
fn brackets_keep_words_together_and_a_comment_ends_a_line() {
    let read = logical_lines(
        "account [success=1 default=ignore] m.so [a b] c#d\n\n  # x\nauth \\\nrequired\\\n m.so\n",
    );
    let words: Vec<Vec<&str>> =
        read.iter().map(|(_, words)| words.iter().map(String::as_str).collect()).collect();
    assert_eq!(
        words,
        [
            vec!["account", "[success=1 default=ignore]", "m.so", "[a b]", "c"],
            vec!["auth", "required", "m.so"]
        ]
    );
    assert_eq!(read[1].0, 4);
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_named_and_nobody_waits() {
    let host = Host::new("pipe", &[("x", "session include p\n")]);
    nix::unistd::mkfifo(&host.0.join("etc/pam.d/p"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let stack = host.reader().stack("x");
    assert!(stack.troubles[0].what.contains("no regular file"), "{:?}", stack.troubles);
}

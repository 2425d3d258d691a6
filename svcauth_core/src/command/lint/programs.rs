//! What is known of programs that run other programs (see also <https://gtfobins.github.io>).

/// How a program comes to run another.
#[derive(Clone, Copy)]
pub(super) enum Danger {
    /// Whatever its arguments are.
    Always(&'static str),
    /// Unless this very word is among them.
    Unless(&'static str, &'static str),
    /// When one of these fits an open place.
    Words(&'static [&'static str], &'static str),
    /// When anything is open behind one of these.
    Behind(&'static [&'static str], &'static str),
    /// When its first argument that is no option is open, or missing.
    Argument(&'static str),
}
use Danger::{Always, Argument, Behind, Unless, Words};

impl Danger {
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Always(why) | Unless(_, why) | Words(_, why) | Behind(_, why) | Argument(why) => why,
        }
    }
}

const TYPED: Danger = Always("runs any program that is typed into it");
const INTERPRETER: Danger =
    Argument("is an interpreter, and the rule lets the client say what it runs; fix the script");
const WRAPPER: Danger =
    Argument("runs the program that its arguments name, and the rule lets the client name it; fix it");
const PAGER: Danger = Unless(
    "--no-pager",
    "starts a pager on a terminal, which runs any program; add \"--no-pager\" to the rule",
);
const CONTAINER: Danger = Behind(
    &[
        "exec", "run", "create", "start", "cp", "compose", "build", "debug", "attach", "apply", "edit",
        "plugin",
    ],
    "runs programs in containers or mounts the host into them, and the rule leaves open which",
);
const PACKAGES: Danger =
    Argument("runs scripts of the folder or package that it is used on, and the rule leaves it open");

const NEEDS: &str = "has options that run other programs, and an open place of the rule takes them; use <re:[^-].*> or narrower";
const WRITES: &str =
    "has options that write any file, and an open place of the rule takes them; use <re:[^-].*> or narrower";

const PROGRAMS: [(&[&str], Danger); 36] = [
    (
        &[
            "vi", "vim", "view", "vimdiff", "rvim", "nvim", "nano", "pico", "emacs", "ed", "ex", "joe",
            "mcedit", "mc",
        ],
        TYPED,
    ),
    (&["less", "more", "most", "pg", "man", "info", "pinfo"], TYPED),
    (
        &[
            "gdb",
            "lldb",
            "strace",
            "ltrace",
            "mysql",
            "mariadb",
            "psql",
            "sqlite",
            "redis-cli",
            "mongo",
            "mongosh",
        ],
        TYPED,
    ),
    (
        &[
            "ftp", "lftp", "sftp", "telnet", "screen", "tmux", "script", "expect", "irb", "byebug", "pry",
            "bc",
        ],
        TYPED,
    ),
    (&["at", "batch"], Always("runs later what it reads")),
    (&["crontab"], Unless("-l", "starts an editor or installs jobs; only \"-l\" shows them")),
    (&["sh", "bash", "rbash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh"], INTERPRETER),
    (
        &[
            "python", "pypy", "perl", "ruby", "node", "nodejs", "php", "lua", "tclsh", "wish", "java",
            "jshell", "R", "Rscript",
        ],
        INTERPRETER,
    ),
    (&["awk", "gawk", "mawk", "nawk", "sed", "gsed", "osascript", "m4"], INTERPRETER),
    (&["sed", "gsed"], Words(&["-e1e id", "-f", "--expression=1e id", "-i", "-n1e id"], NEEDS)),
    (&["awk", "gawk", "mawk", "nawk"], Words(&["-f", "-e", "--source=x", "-i"], NEEDS)),
    (
        &[
            "env", "xargs", "nice", "nohup", "timeout", "time", "setsid", "stdbuf", "ionice", "chrt",
            "taskset", "flock", "busybox", "toybox",
        ],
        WRAPPER,
    ),
    (
        &[
            "unshare",
            "nsenter",
            "chroot",
            "parallel",
            "sudo",
            "doas",
            "su",
            "runuser",
            "pkexec",
            "systemd-run",
            "entr",
            "watch",
            "logsave",
            "ld.so",
        ],
        WRAPPER,
    ),
    (&["xargs"], Always("runs a program on whatever it reads")),
    (&["find"], Words(&["-exec", "-execdir", "-ok", "-okdir"], NEEDS)),
    (&["find"], Words(&["-fprintf", "-fprint", "-fls", "-delete"], WRITES)),
    (
        &["tar", "bsdtar", "gtar"],
        Words(
            &[
                "--checkpoint-action=exec=id",
                "--to-command=id",
                "-I",
                "-Iid",
                "--use-compress-program=id",
                "-F",
                "--info-script=id",
                "--rsh-command=id",
            ],
            NEEDS,
        ),
    ),
    (&["zip"], Words(&["-T", "-TT", "--unzip-command=id", "-TTid"], NEEDS)),
    (&["tcpdump"], Words(&["-z", "-zid"], NEEDS)),
    (&["tcpdump", "dumpcap", "tshark"], Words(&["-w", "-w/x"], WRITES)),
    (
        &["ssh", "scp", "sftp", "slogin"],
        Words(&["-oProxyCommand=id", "-o", "-F", "-F/x", "-S", "-Sid", "-E"], NEEDS),
    ),
    (&["ssh"], Words(&["id"], "runs on another host, and the rule leaves open which and what")),
    (&["rsync"], Words(&["-e", "-eid", "--rsh=id", "--rsync-path=id", "-M--rsync-path=id"], NEEDS)),
    (
        &["git"],
        Words(
            &[
                "-c",
                "-ccore.pager=id",
                "--upload-pack=id",
                "-u",
                "--receive-pack=id",
                "--exec=id",
                "--exec-path=/x",
                "--config-env=a=b",
                "ext::sh -c id",
                "-O",
                "--open-files-in-pager=id",
                "--extcmd=id",
                "-x",
            ],
            NEEDS,
        ),
    ),
    (
        &["git"],
        Behind(
            &[
                "-c",
                "bisect",
                "difftool",
                "mergetool",
                "filter-branch",
                "submodule",
                "rebase",
                "config",
                "help",
            ],
            "has commands that run other programs, and the rule leaves open which",
        ),
    ),
    (&["docker", "podman", "nerdctl", "kubectl", "oc", "crictl", "lxc", "ctr", "helm"], CONTAINER),
    (
        &[
            "systemctl",
            "journalctl",
            "loginctl",
            "machinectl",
            "timedatectl",
            "coredumpctl",
            "systemd-analyze",
        ],
        PAGER,
    ),
    (&["systemctl"], Words(&["edit", "-H", "-Hx", "--host=x"], NEEDS)),
    (&["sort"], Words(&["--compress-program=id"], NEEDS)),
    (
        &["sort", "curl", "wget", "tee", "dd", "cp", "mv", "install", "ln"],
        Words(
            &["-o", "-O", "-o/x", "-O/x", "of=/x", "/etc/x"],
            "writes files that the client names, and the rule leaves open which",
        ),
    ),
    (&["curl", "wget"], Words(&["-K", "--config=/x", "--use-askpass=id"], NEEDS)),
    (&["make", "gmake", "ninja", "rake", "ant"], Words(&["-f", "-C", "--eval=x", "SHELL=/x", "X=y"], NEEDS)),
    (
        &["npm", "npx", "yarn", "pnpm", "pip", "gem", "bundle", "composer", "cargo", "mvn", "gradle", "go"],
        PACKAGES,
    ),
    (
        &["pm2"],
        Words(
            &["x.config.js", "./x.js", "/x.json"],
            "runs what a file says, and the rule lets the client name one; use <re:[a-z0-9_-]+>",
        ),
    ),
    (
        &["apt", "apt-get", "dpkg", "yum", "dnf", "rpm", "snap"],
        Words(&["-o", "-oDpkg::Pre-Invoke::=id", "--pipe=id", "--eval=x", "--pre-invoke=id"], NEEDS),
    ),
    (&["openssl"], Words(&["-engine", "-provider-path", "req"], NEEDS)),
];

/// What is known of a program by its name; a version behind it does not matter (`python3.11`).
pub(super) fn dangers(name: &str) -> impl Iterator<Item = Danger> {
    let plain = match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-') {
        // pm2 is its name.
        "pm" | "" => name,
        plain => plain,
    };
    let known = move |names: &[&str]| names.iter().any(|one| *one == name || *one == plain);
    PROGRAMS.iter().filter(move |(names, _)| known(names)).map(|(_, danger)| *danger)
}

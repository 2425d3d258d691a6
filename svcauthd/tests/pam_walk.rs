//! The walk through a PAM stack against libpam itself: thousands of stacks that a generator makes, with every word, bracket, jump
//! and substack, and pam_debug in the place of real modules. `cargo test -p svcauthd --features e2e --test pam_walk`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_eq};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;
use svcauthd::pam_stack::{Code, Line, Phase, Reader, walk};

// Cases of this theme need no build of svcauth.
cases!("plain":
    libpam_ends_every_generated_stack_as_the_walk_does,
);

fn main() -> ExitCode {
    svcauth_tests::runner::main(&[CASES])
}

/// Stacks that are compared, each in two phases.
const STACKS: usize = 2000;

/// Asks libpam for each service: the account phase, and opening a session.
const ASK: &str = r#"
import ctypes, sys
pam, libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL("libc.so.6")
libc.calloc.restype = ctypes.c_void_p
CALL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)
class Conversation(ctypes.Structure):
    _fields_ = [("call", CALL), ("data", ctypes.c_void_p)]
def answer(count, messages, responses, data):
    responses[0] = libc.calloc(count, 2 * ctypes.sizeof(ctypes.c_void_p))
    return 0
conversation = Conversation(CALL(answer), None)
for number in range(int(sys.argv[1])):
    heard = []
    for phase in (pam.pam_acct_mgmt, pam.pam_open_session):
        handle = ctypes.c_void_p()
        assert pam.pam_start(b"gen-%d" % number, b"root", ctypes.byref(conversation), ctypes.byref(handle)) == 0
        heard.append(phase(handle, 0))
        pam.pam_end(handle, 0)
    print(*heard)
"#;

/// A generator of numbers that is the same on every machine (Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words.get(self.below(words.len())).copied().unwrap_or_default()
    }
}

/// Most modules succeed, or most stacks would end at once.
const CODES: &[&str] = &[
    "success",
    "success",
    "success",
    "success",
    "success",
    "success",
    "perm_denied",
    "ignore",
    "session_err",
    "new_authtok_reqd",
    "auth_err",
    "user_unknown",
];
const ACTIONS: &[&str] = &["ok", "ignore", "bad", "die", "done", "reset", "1", "2", "3", "7"];

fn control(dice: &mut Dice) -> String {
    match dice.below(24) {
        0..=13 => dice.one_of(&["required", "requisite", "optional", "sufficient", "Required"]).to_owned(),
        14 => "requird".to_owned(),
        _ => {
            let mut pairs = String::new();
            for _ in 0..=dice.below(4) {
                let _ = write!(pairs, "{}={} ", dice.one_of(CODES), dice.one_of(ACTIONS));
            }
            if dice.below(3) > 0 {
                let _ = write!(pairs, "default={}", dice.one_of(ACTIONS));
            }
            format!("[{}]", pairs.trim())
        }
    }
}

fn lines(dice: &mut Dice, most: usize, parts: &[String]) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(most) {
        let phase = dice.one_of(&["account", "session", "-session", "account", "sesion"]);
        let phase = if phase == "sesion" && dice.below(20) > 0 { "session" } else { phase };
        let part = parts.get(dice.below(parts.len() + 1)).map_or("gen-none", String::as_str);
        let _ = match dice.below(30) {
            0..=2 if !parts.is_empty() => writeln!(text, "{phase} include {part}"),
            3..=6 if !parts.is_empty() => writeln!(text, "{phase} substack {part}"),
            // libpam gives a whole service up if such a file is not there; doctor names the line, and walks no further.
            7..=9 if part != "gen-none" => writeln!(text, "@include {part}"),
            10 => writeln!(text, "{phase} {} pam_not_there.so", control(dice)),
            _ => {
                let (control, code) = (control(dice), dice.one_of(CODES));
                writeln!(text, "{phase} {control} pam_debug.so acct={code} open_session={code}")
            }
        };
    }
    text
}

/// What the module of a line answers.
fn answer(line: &Line) -> Vec<Code> {
    let key = if line.phase == Phase::Account { "acct=" } else { "open_session=" };
    let word = line.arguments().iter().find_map(|argument| argument.strip_prefix(key));
    vec![word.and_then(Code::of_word).unwrap_or(Code::MODULE_UNKNOWN)]
}

fn libpam_ends_every_generated_stack_as_the_walk_does(world: &mut World) -> Outcome {
    let mut dice = Dice(20_261_122);
    // A phase without a line is that of `other`.
    world.write("/etc/pam.d/other", 0o644, "account required pam_deny.so\nsession required pam_deny.so\n")?;
    for number in 0..STACKS {
        let inner = format!("gen-{number}-inner");
        let outer = format!("gen-{number}-outer");
        world.write(format!("/etc/pam.d/{inner}"), 0o644, lines(&mut dice, 4, &[]))?;
        world.write(
            format!("/etc/pam.d/{outer}"),
            0o644,
            lines(&mut dice, 4, std::slice::from_ref(&inner)),
        )?;
        world.write(format!("/etc/pam.d/gen-{number}"), 0o644, lines(&mut dice, 9, &[inner, outer]))?;
    }
    let said = Program::new("python3").args(&["-c", ASK, &STACKS.to_string()]).run()?.expect_ok()?;
    let heard: Vec<&str> = said.stdout.lines().collect();
    require_eq("the answers of libpam", &heard.len(), &STACKS)?;
    let reader = Reader::new(Path::new("/"));
    let mut good = 0;
    for (number, heard) in heard.iter().enumerate() {
        let mine = [Phase::Account, Phase::Session].map(|phase| walked(&reader, number, phase));
        let mine: Vec<String> = mine.into_iter().collect::<Outcome<_>>()?;
        good += mine.iter().filter(|status| *status == "0").count();
        let stack = || {
            ["", "-inner", "-outer"]
                .map(|part| {
                    std::fs::read_to_string(format!("/etc/pam.d/gen-{number}{part}")).unwrap_or_default()
                })
                .join("---\n")
        };
        require(mine.join(" ") == *heard, || {
            format!("libpam: {heard}; walk: {mine:?}; gen-{number}:\n{}", stack())
        })?;
    }
    // Stacks that all fail would prove nothing.
    require(good > STACKS / 5, || format!("only {good} of {} ended well", 2 * STACKS))
}

fn walked(reader: &Reader, number: usize, phase: Phase) -> Outcome<String> {
    let own = reader.stack(&format!("gen-{number}")).phase(phase);
    let lines = if own.is_empty() { reader.stack("other").phase(phase) } else { own };
    // pam_deny answers so in these phases.
    let answers = |line: &Line| match (line.module(), line.phase) {
        ("pam_deny.so", Phase::Account) => vec![Code::AUTH_ERR],
        ("pam_deny.so", _) => vec![Code::SESSION_ERR],
        _ => answer(line),
    };
    let endings = walk(&lines, answers, |_| false).ok_or_else(|| Failure::new("too many ways"))?;
    let [ending] = endings.as_slice() else {
        return Err(Failure::new(format!("{endings:?}"))).doing(format!("gen-{number}"));
    };
    Ok(ending.status.number().to_string())
}

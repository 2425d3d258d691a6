//! Whatever words are asked for, the program gets exactly the words that the rule admitted: hundreds of them in one run, on
//! the whole way from the command line to the program, held against what sh makes of the same line.

use std::fmt::Write as _;
use std::fs;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use super::{asked, limited, own_folder, program};

cases!("commands_argv":
    a_program_gets_the_words_that_the_rule_admitted,
    a_line_is_read_as_sh_reads_it_or_not_at_all,
);

const RULE: &str = r#"commands = [["/usr/local/bin/show", "<rest>"], ["/usr/local/bin/drive"]]"#;

/// Writes its words down, each ended by a zero byte. In C: it is started hundreds of times.
const SHOW: &str = "#include <stdio.h>\n#include <string.h>\n\
    int main(int count, char **words) {\n\
      FILE *out = fopen(\"/srv/argv/shown\", \"w\");\n\
      for (int at = 1; at < count; at++) fwrite(words[at], 1, strlen(words[at]) + 1, out);\n\
      return fclose(out);\n}\n";

/// Runs every line of the file through the login shell, inside the session of who has asked for this, and through sh; writes
/// down how each ended and what was shown, as hexadecimal digits.
const DRIVE: &str = r#"#!/usr/bin/python3
import os, subprocess
def shown(words, line):
    try:
        os.unlink('/srv/argv/shown')
    except FileNotFoundError:
        pass
    ended = subprocess.run(words + ['-c', line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        got = open('/srv/argv/shown', 'rb').read().hex()
    except FileNotFoundError:
        got = '-'
    return '%d:%d:%s' % (ended.returncode, len(ended.stdout), got)
with open('/srv/argv/out', 'w') as out:
    for line in open('/srv/argv/lines'):
        line = bytes.fromhex(line.strip())
        print(shown(['/usr/bin/svcauth-shell'], line), shown(['/bin/sh'], line), file=out)
"#;

/// How often.
const COUNT: usize = 300;

/// Numbers that are the same in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap_or(1)).unwrap_or(0)
    }
}

/// What stands in words: what shells act upon, and a little that they do not.
const BYTES: &[u8] = b"ab -'\"\\$`;&|<>(){}[]*?!#~=:%^,./\n\t\r\x01\x1b\x7f\xff\xc3\xa9\xe2\x80\xae";

fn word(numbers: &mut Numbers) -> Vec<u8> {
    let length = match numbers.below(40) {
        0 => 0,
        1 => 5000,
        _ => numbers.below(12),
    };
    (0..length).filter_map(|_| BYTES.get(numbers.below(BYTES.len())).copied()).collect()
}

/// A word as a line holds it, quoted in one of three ways.
fn quoted(word: &[u8], way: usize) -> Vec<u8> {
    let mut out = Vec::new();
    // A newline cannot be quoted by a backslash.
    match if word.is_empty() || word.contains(&b'\n') { way % 2 } else { way } {
        0 => {
            out.push(b'\'');
            word.iter().for_each(|byte| if *byte == b'\'' { out.extend(b"'\\''") } else { out.push(*byte) });
            out.push(b'\'');
        }
        1 => {
            out.push(b'"');
            for byte in word {
                if b"\"\\$`".contains(byte) {
                    out.push(b'\\');
                }
                out.push(*byte);
            }
            out.push(b'"');
        }
        _ => word.iter().for_each(|byte| out.extend([b'\\', *byte])),
    }
    out
}

/// Feeds the lines through the shell as bob; for each what it came to, and what sh makes of it.
fn drive(world: &World, lines: &[Vec<u8>]) -> Outcome<Vec<(String, String)>> {
    let host = limited(world, RULE)?.start(world)?;
    own_folder("/srv/argv")?;
    world.write("/srv/show.c", 0o644, SHOW)?;
    Program::new("cc").args(&["-o", "/usr/local/bin/show", "/srv/show.c"]).run()?.expect_ok()?;
    program(world, "/usr/local/bin/drive", DRIVE)?;
    let text = lines.iter().fold(String::new(), |text, line| text + &hex(line) + "\n");
    world.write("/srv/argv/lines", 0o644, text)?;
    let mark = world.log().mark();
    let key = host.key("bob")?;
    svcauth_tests::sshd::client(&[], "deployer", key, &["drive"])
        .patience(std::time::Duration::from_secs(120))
        .run()?
        .expect_ok()?;
    let out = fs::read_to_string("/srv/argv/out")?;
    let pairs: Vec<(String, String)> = out
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(ours, sh)| (ours.to_owned(), sh.to_owned()))
        .collect();
    require_eq("answers", &pairs.len(), &lines.len())?;
    let records =
        svcauth_tests::program::wait_until("a record of each", std::time::Duration::from_secs(60), || {
            let records = asked(world, mark);
            (records.len() > lines.len()).then_some(records)
        })?;
    require_eq("records", &records.len(), &(lines.len() + 1))?;
    require(records.iter().all(|record| record.get("origin") == "bob"), || format!("{records:#?}"))?;
    Ok(pairs)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn a_program_gets_the_words_that_the_rule_admitted(world: &mut World) -> Outcome {
    let mut numbers = Numbers(0x5eed_0001);
    let vectors: Vec<Vec<Vec<u8>>> =
        (0..COUNT).map(|_| (0..numbers.below(6)).map(|_| word(&mut numbers)).collect()).collect();
    let line = |words: &Vec<Vec<u8>>, numbers: &mut Numbers| {
        let name: &[u8] = if numbers.below(2) == 0 { b"show" } else { b"/usr/local/bin/show" };
        words.iter().fold(name.to_vec(), |mut line, word| {
            line.push(b' ');
            line.extend(quoted(word, numbers.below(3)));
            line
        })
    };
    let lines: Vec<Vec<u8>> = vectors.iter().map(|words| line(words, &mut numbers)).collect();
    let answers = drive(world, &lines)?;
    for ((words, line), (ours, sh)) in vectors.iter().zip(&lines).zip(&answers) {
        let expected: Vec<u8> = words.iter().flat_map(|word| [word.as_slice(), b"\0"].concat()).collect();
        let about = || format!("{} became {ours}; sh: {sh}", String::from_utf8_lossy(line));
        require(*ours == format!("0:0:{}", hex(&expected)), about)?;
        require(sh == ours, about)?;
    }
    Ok(())
}

/// Bytes in any order: whatever is not refused came out as sh has it.
fn a_line_is_read_as_sh_reads_it_or_not_at_all(world: &mut World) -> Outcome {
    let mut numbers = Numbers(0x5eed_0002);
    // What would wait for input or write files has no place in a line that sh really runs.
    let usable = |line: &Vec<u8>| !line.iter().any(|byte| b"<>&|;`(".contains(byte));
    let lines: Vec<Vec<u8>> = std::iter::repeat_with(|| {
        let count = numbers.below(4);
        (0..count).fold(b"show".to_vec(), |mut line, _| {
            line.push(b' ');
            line.extend(word(&mut numbers));
            line
        })
    })
    .filter(usable)
    .take(COUNT)
    .collect();
    let answers = drive(world, &lines)?;
    let mut ran = 0;
    for (line, (ours, sh)) in lines.iter().zip(&answers) {
        if ours == "126:0:-" {
            continue;
        }
        ran += 1;
        require(ours == sh, || format!("{} became {ours}; sh: {sh}", String::from_utf8_lossy(line)))?;
    }
    require(ran > COUNT / 20, || format!("only {ran} of {COUNT} lines ran"))
}

//! A follower against a file that is written, rotated, cut, removed and made anew.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use super::tests::{Folder, of};
use super::{Follower, News, Trail};

impl Folder {
    fn append(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.current()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// As the daemon does it: every file one number further, and the last one gone.
    fn rotate(&self, keep: u32) {
        let name = |number| self.0.join(format!("audit.jsonl.{number}"));
        let _ = fs::remove_file(name(keep));
        for number in (1..keep).rev() {
            let _ = fs::rename(name(number), name(number + 1));
        }
        fs::rename(self.current(), name(1)).unwrap();
    }

    fn follow(&self) -> Follower {
        Follower::after(Trail::of(&self.current()).unwrap(), &self.current()).unwrap()
    }
}

/// The accounts of the records, and the other news as they are.
fn news(follower: &mut Follower) -> Vec<String> {
    let mut heard = Vec::new();
    let mut tell = |news: News| {
        heard.push(match news {
            News::Line(line) => line
                .entry()
                .map_or_else(|why| format!("{}: {why}", line.number.unwrap()), |it| it.account.unwrap()),
            News::Note(note) => note.split(": ").next().unwrap().rsplit(' ').next().unwrap().to_owned(),
        });
        Ok(())
    };
    follower.read(&mut tell).unwrap();
    heard
}

#[test]
fn only_what_is_new_is_told_and_every_line_once() {
    let folder = Folder::new();
    folder.append(&of("old"));
    let mut follower = folder.follow();
    assert!(news(&mut follower).is_empty());
    folder.append(&of("one"));
    folder.append(&of("two"));
    assert_eq!(news(&mut follower), ["one", "two"]);
    assert!(news(&mut follower).is_empty());
    let line = of("halves");
    folder.append(&line[..20]);
    assert!(news(&mut follower).is_empty());
    folder.append(&line[20..]);
    assert_eq!(news(&mut follower), ["halves"]);
}

#[test]
fn a_line_that_was_half_written_when_it_began_is_told_whole() {
    let folder = Folder::new();
    let line = of("halves");
    folder.append(&format!("{}{}", of("old"), &line[..20]));
    let mut follower = folder.follow();
    folder.append(&line[20..]);
    assert_eq!(news(&mut follower), ["halves"]);
}

#[test]
fn rotations_lose_nothing_however_many_there_were() {
    let folder = Folder::new();
    folder.append(&of("old"));
    let mut follower = folder.follow();
    for round in 0..4 {
        let account = |name: &str| format!("{name}{round}");
        folder.append(&of(&account("before")));
        // As often as `round` says, between two looks.
        for number in 0..round {
            folder.rotate(9);
            folder.append(&of(&account(&format!("in{number}-"))));
        }
        let between = (0..round).map(|number| account(&format!("in{number}-")));
        let expected: Vec<String> = [account("before")].into_iter().chain(between).collect();
        assert_eq!(news(&mut follower), expected);
    }
    // In the middle of a rotation there is no file of that name.
    folder.rotate(9);
    assert!(news(&mut follower).is_empty());
    folder.append(&of("after"));
    assert_eq!(news(&mut follower), ["after"]);
}

#[test]
fn a_line_that_a_dead_writer_left_incomplete_is_told_when_the_file_is_left() {
    let folder = Folder::new();
    folder.append(&of("old"));
    let mut follower = folder.follow();
    folder.append("half a li");
    assert!(news(&mut follower).is_empty());
    folder.rotate(9);
    folder.append(&of("after"));
    assert_eq!(news(&mut follower), ["2: the line is not complete", "after"]);
}

#[test]
fn a_file_that_is_cut_or_replaced_is_read_from_its_beginning_and_that_is_said() {
    let folder = Folder::new();
    folder.append(&of("a-long-line-so-that-it-is-shorter-afterwards"));
    let mut follower = folder.follow();
    fs::write(folder.current(), of("cut")).unwrap();
    assert_eq!(news(&mut follower), ["cut", "cut"]);
    fs::remove_file(folder.current()).unwrap();
    assert!(news(&mut follower).is_empty());
    folder.append(&of("new"));
    assert_eq!(news(&mut follower), ["replaced", "new"]);
    // Rotated away beyond what is kept.
    folder.rotate(1);
    folder.append(&of("lost"));
    folder.rotate(1);
    folder.append(&of("kept"));
    assert_eq!(news(&mut follower), ["replaced", "kept"]);
}

#[test]
fn a_trail_that_has_not_begun_is_followed_from_its_first_line() {
    let folder = Folder::new();
    fs::remove_dir(&folder.0).unwrap();
    let mut follower = folder.follow();
    assert!(news(&mut follower).is_empty());
    fs::create_dir(&folder.0).unwrap();
    folder.append(&of("first"));
    assert_eq!(news(&mut follower), ["first"]);
}

#[test]
fn a_change_ends_the_wait_at_once_and_nothing_else_before_a_second() {
    let folder = Folder::new();
    folder.append(&of("old"));
    let mut follower = folder.follow();
    let (_reader, writer) = io::pipe().unwrap();
    let start = Instant::now();
    assert!(follower.wait(writer.as_fd()).unwrap());
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    // A busy machine delays some; what is not told of a change is late each time.
    let is_at_once = |_| {
        folder.append(&of("new"));
        let start = Instant::now();
        assert!(follower.wait(writer.as_fd()).unwrap());
        start.elapsed() < Duration::from_millis(900)
    };
    assert!((0..60).any(is_at_once));
}

#[test]
fn a_reader_that_goes_away_ends_the_wait_at_once() {
    let folder = Folder::new();
    folder.append(&of("old"));
    let mut follower = folder.follow();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let is_at_once = |_| {
        let start = Instant::now();
        assert!(!follower.wait(writer.as_fd()).unwrap());
        start.elapsed() < Duration::from_millis(900)
    };
    assert!((0..60).any(is_at_once));
}

use std::cell::RefCell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use svcauth_host::sessions::Process;

use super::{Host, PutBack, apply, undo};
use crate::activation::Trouble;
use crate::activation::change::{Change, Content, Part};
use crate::activation::journal::{Journal, Pending};

/// Writes down what it is told, and what sshd would read at that moment.
#[derive(Default)]
struct Told(RefCell<Vec<&'static str>>);

impl Host for Told {
    fn begun(&self) -> Result<(), Trouble> {
        self.0.borrow_mut().push("begun");
        Ok(())
    }
    fn reload_sshd(&self) -> Result<(), Trouble> {
        self.0.borrow_mut().push("sshd");
        Ok(())
    }
    fn forget_names(&self) {
        self.0.borrow_mut().push("names");
    }
}

struct Site {
    folder: PathBuf,
    changes: Vec<Change>,
}

impl Site {
    /// Two stacks that change, a drop-in that comes and a switch that changes.
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("svcauth-apply-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let own = |text: &str| Content {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            ..Content::fresh(text.as_bytes().to_vec())
        };
        let change = |(name, part, old): (&str, Part, Option<&str>)| {
            let path = folder.join(name);
            if let Some(old) = old {
                fs::write(&path, old).unwrap();
            }
            let old = Content::read(&path).unwrap();
            Change { path, part, old, new: Some(own(&format!("new {name}"))) }
        };
        let changes = [
            ("common-account", Part::Pam, Some("old account")),
            ("common-session", Part::Pam, Some("old session")),
            ("10-svcauth.conf", Part::Sshd, None),
            ("nsswitch.conf", Part::Nsswitch, Some("old switch")),
        ]
        .map(change)
        .to_vec();
        Self { folder, changes }
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.folder.join("journal")).unwrap()
    }

    fn is(&self, which: fn(&Change) -> &Option<Content>) -> Vec<bool> {
        self.changes.iter().map(|change| Content::read(&change.path).unwrap() == *which(change)).collect()
    }

    fn is_old(&self) -> bool {
        let stray = fs::read_dir(&self.folder)
            .unwrap()
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().ends_with(".svcauth-new"));
        self.is(|change| &change.old).iter().all(|same| *same) && !stray
    }

    fn is_new(&self) -> bool {
        self.is(|change| &change.new).iter().all(|same| *same)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn pending() -> Pending {
    let own = Process::current().unwrap();
    let (pid, started) = (own.pid, own.start);
    Pending { boot_id: "b".to_owned(), pid, started, activated: None, deadline: None, last_session: None }
}

/// Calls `end` at the step with this number, from 0.
fn at_step(
    number: usize,
    mut end: impl FnMut() -> Result<(), Trouble>,
) -> impl FnMut() -> Result<(), Trouble> {
    let mut passed = 0;
    move || {
        passed += 1;
        if passed == number + 1 { end() } else { Ok(()) }
    }
}

#[test]
fn whenever_it_is_killed_the_switch_is_last_and_the_next_run_undoes_it() {
    let mut kills = 0;
    loop {
        let site = Site::new("kill");
        let host = Told::default();
        // No step of it runs after a panic that would not run after a kill, but that the lock is given back, as by the kernel.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let mut kill = at_step(kills, || std::panic::resume_unwind(Box::new("killed")));
            apply(&site.journal(), &site.changes, &pending(), &host, &mut kill)
        }));
        let new = site.is(|change| &change.new);
        assert!(!new[3] || new.iter().all(|same| *same), "visible before it is guarded: {new:?}");
        let journal = site.journal();
        if ended.is_ok() {
            assert!(site.is_new() && kills == 2 * site.changes.len() + 1, "{kills}");
            assert_eq!(*host.0.borrow(), ["begun", "sshd"]);
            return;
        }
        if kills > 0 {
            assert!(journal.pending().unwrap().is_some());
            undo(&journal, &host).unwrap();
        }
        assert!(site.is_old(), "killed at step {kills}");
        assert_eq!(journal.pending(), Ok(None));
        kills += 1;
    }
}

#[test]
fn an_error_at_any_step_leaves_everything_as_it_was() {
    for step in 1..9 {
        let site = Site::new("error");
        let mut fail = at_step(step, || Err(Trouble::new("the disk is full")));
        let told =
            apply(&site.journal(), &site.changes, &pending(), &Told::default(), &mut fail).unwrap_err();
        assert_eq!(told.to_string(), "the disk is full. Everything is as it was before");
        assert!(site.is_old(), "step {step}");
        assert_eq!(site.journal().pending(), Ok(None));
    }
}

#[test]
fn a_file_that_changed_since_the_plan_is_left_alone_and_so_are_the_others() {
    let site = Site::new("changed");
    let path = site.folder.join("nsswitch.conf");
    // The last step: everything else is in place by then.
    let edit = || {
        fs::write(&path, "edited").unwrap();
        Ok(())
    };
    let told = apply(&site.journal(), &site.changes, &pending(), &Told::default(), &mut at_step(8, edit))
        .unwrap_err();
    assert!(told.to_string().contains("somebody else has changed it"), "{told}");
    assert_eq!(site.is(|change| &change.old), [true, true, true, false]);
    assert_eq!(fs::read(&path).unwrap(), b"edited");
}

#[test]
fn what_was_changed_during_a_trial_is_put_back_and_kept_aside() {
    let site = Site::new("trial");
    let journal = site.journal();
    let host = Told::default();
    apply(&journal, &site.changes, &pending(), &host, &mut || Ok(())).unwrap();
    let edited = site.folder.join("common-account");
    fs::write(&edited, "account required pam_deny.so\n").unwrap();
    fs::remove_file(site.folder.join("common-session")).unwrap();
    host.0.borrow_mut().clear();
    let done = undo(&journal, &host).unwrap();
    assert!(site.is_old());
    let aside = done.iter().find_map(|file| match file {
        PutBack::SetAside(path, copy) if *path == edited => Some(copy.clone()),
        _ => None,
    });
    assert_eq!(fs::read(aside.unwrap()).unwrap(), b"account required pam_deny.so\n");
    // Names are forgotten before PAM lets go, and sshd is told in between.
    assert_eq!(*host.0.borrow(), ["names", "sshd"]);
    assert_eq!(undo(&journal, &host), Ok(Vec::new()), "once more changes nothing");
}

/// A stack in the place of the only change of a run: what it was, what the run made of it, and what somebody has made of that.
fn undone(name: &str, [old, new, now]: [&str; 3]) -> String {
    let site = Site::new(name);
    let path = site.folder.join("common-session");
    fs::write(&path, old).unwrap();
    let old = Content::read(&path).unwrap().unwrap();
    let new = Some(old.with(new.as_bytes().to_vec()));
    let journal = site.journal();
    journal
        .begin(&[Change { path: path.clone(), part: Part::Pam, old: Some(old), new }], &pending())
        .unwrap();
    fs::write(&path, now).unwrap();
    undo(&journal, &Told::default()).unwrap();
    assert_eq!(journal.pending(), Ok(None));
    let after = fs::read_to_string(&path).unwrap();
    fs::remove_dir_all(&site.folder).unwrap();
    after
}

#[test]
fn a_stack_that_calls_a_module_which_is_gone_is_not_put_back() {
    let ours = "session\t[success=2 ignore=2 module_unknown=ignore default=die]\tpam_svcauth.so \n";
    let unix = "session required pam_unix.so\n";
    let module = std::env::temp_dir().join(format!("svcauth-apply-{}-pam_foo.so", std::process::id()));
    let foo = format!("session required {}\n", module.display());
    let [off, on] = [format!("{foo}{unix}"), format!("{foo}{ours}{unix}")];
    let without_foo = format!("{ours}{unix}");
    assert_eq!(undone("gone", [&off, &on, &without_foo]), unix);
    // Its line is still there: nobody has removed it.
    assert_eq!(undone("named", [&off, &on, &format!("{foo}{ours}")]), off);
    // A way out that was ended: the stacks must guard again.
    assert_eq!(undone("out", [&on, &off, unix]), on);
    fs::write(&module, "").unwrap();
    assert_eq!(undone("there", [&off, &on, &without_foo]), off);
    fs::remove_file(&module).unwrap();
}

use super::{Attribution, Behind, Process, Processes, Seen, Session, SessionOrigin};
use crate::sessions::entry::tests::example;

const DEPLOYER: u32 = 7001;
const POSTGRES: u32 = 7002;
const ALICE: u32 = 1001;

fn session(id: &str, opener: u32, audit_session: Option<u32>, person: &str) -> Session {
    Session {
        id: id.to_owned(),
        audit_session,
        process: Process { pid: opener, start: u64::from(opener) },
        uid: Some(DEPLOYER),
        origin: SessionOrigin::Person(person.to_owned()),
        ..example()
    }
}

fn process(pid: u32, parent: u32, uid: u32, audit_session: Option<u32>) -> Seen {
    Seen {
        process: Process { pid, start: u64::from(pid) },
        parent,
        uids: [uid; 4],
        audit_session,
        terminal: None,
    }
}

/// Who is behind each process, by id of the session; `?` where nobody can tell, `-` for nobody.
fn behind(sessions: &[Session], processes: &[Seen]) -> Vec<String> {
    let attribution = Attribution::new(sessions, |_| None);
    let all: Processes = processes.iter().cloned().collect();
    let word = |seen| match attribution.behind(seen, &all) {
        Behind::Session(session) => session.id.clone(),
        Behind::Ambiguous(_) => "?".to_owned(),
        Behind::Nobody => "-".to_owned(),
    };
    processes.iter().map(word).collect()
}

#[test]
fn two_people_in_one_account_are_told_apart_also_when_their_processes_have_left_the_tree() {
    let sessions = [session("a", 10, Some(106), "alice"), session("b", 20, Some(107), "bob")];
    let processes = [
        process(11, 10, DEPLOYER, Some(106)),
        process(21, 20, DEPLOYER, Some(107)),
        process(12, 1, DEPLOYER, Some(106)),
        process(22, 1, DEPLOYER, Some(107)),
        process(33, 1, DEPLOYER, Some(108)),
    ];
    assert_eq!(behind(&sessions, &processes), ["a", "b", "a", "b", "-"]);
}

#[test]
fn a_person_who_logged_in_as_themselves_keeps_their_own_processes() {
    // ssh as alice (no account of ours), then sudo -u deployer (12), all in one audit session.
    let sessions = [session("s", 12, Some(181), "alice")];
    let processes = [
        process(11, 10, ALICE, Some(181)),
        process(12, 11, 0, Some(181)),
        process(13, 12, DEPLOYER, Some(181)),
        process(14, 1, DEPLOYER, Some(181)),
        process(15, 1, ALICE, Some(181)),
        process(16, 12, ALICE, Some(181)),
    ];
    assert_eq!(behind(&sessions, &processes), ["-", "s", "s", "s", "-", "-"]);
}

#[test]
fn each_step_of_a_chain_has_the_processes_of_its_own_account() {
    let mut postgres = session("p", 12, Some(168), "alice");
    (postgres.account, postgres.uid) = ("postgres".to_owned(), Some(POSTGRES));
    let back = session("d2", 14, Some(168), "alice");
    let sessions = [session("d", 10, Some(168), "alice"), postgres, back];
    let processes = [
        process(10, 1, 0, Some(168)),
        process(11, 10, DEPLOYER, Some(168)),
        process(12, 11, 0, Some(168)),
        process(13, 12, POSTGRES, Some(168)),
        process(14, 13, 0, Some(168)),
        process(15, 14, DEPLOYER, Some(168)),
        process(16, 1, POSTGRES, Some(168)),
    ];
    assert_eq!(behind(&sessions, &processes), ["d", "d", "p", "p", "d2", "d2", "p"]);
}

#[test]
fn without_audit_sessions_the_process_tree_tells_and_what_has_left_it_is_nobodys() {
    let sessions = [session("a", 10, None, "alice"), session("b", 20, None, "bob")];
    let processes = [
        process(10, 1, 0, None),
        process(11, 10, DEPLOYER, None),
        process(20, 1, 0, None),
        process(21, 20, DEPLOYER, None),
        process(22, 21, DEPLOYER, None),
        process(23, 1, DEPLOYER, None),
    ];
    assert_eq!(behind(&sessions, &processes), ["a", "a", "b", "b", "b", "-"]);
}

#[test]
fn people_who_share_an_audit_session_are_told_apart_by_their_openers_or_not_at_all() {
    let sessions = [session("a", 10, Some(7), "alice"), session("b", 20, Some(7), "bob")];
    let processes = [
        process(10, 1, 0, Some(7)),
        process(20, 1, 0, Some(7)),
        process(21, 20, DEPLOYER, Some(7)),
        process(22, 10, DEPLOYER, Some(7)),
        process(23, 1, DEPLOYER, Some(7)),
        // Began before bob came: it can only be alice's.
        process(15, 1, DEPLOYER, Some(7)),
    ];
    assert_eq!(behind(&sessions, &processes), ["a", "b", "b", "a", "?", "a"]);
}

#[test]
fn sessions_of_one_person_are_one_to_who_asks_for_the_person_and_several_to_who_ends_one() {
    let sessions = [session("ssh", 10, Some(7), "bob"), session("sudo", 20, Some(7), "bob")];
    let processes = [
        process(10, 1, 0, Some(7)),
        process(20, 1, 0, Some(7)),
        process(21, 20, DEPLOYER, Some(7)),
        process(23, 1, DEPLOYER, Some(7)),
        process(15, 1, DEPLOYER, Some(7)),
    ];
    assert_eq!(behind(&sessions, &processes), ["ssh", "sudo", "sudo", "sudo", "ssh"]);
    let (attribution, all) = (Attribution::new(&sessions, |_| None), processes.iter().cloned().collect());
    let candidates = |seen| attribution.candidates(seen, &all).iter().map(|it| it.id.as_str()).collect();
    let candidates: Vec<Vec<&str>> = processes.iter().map(candidates).collect();
    assert_eq!(candidates, [vec!["ssh"], vec!["sudo"], vec!["sudo"], vec!["ssh", "sudo"], vec!["ssh"]]);
}

#[test]
fn what_one_program_opened_one_after_the_other_may_belong_to_either() {
    let sessions = [session("first", 10, Some(7), "alice"), session("second", 10, Some(7), "bob")];
    let processes = [process(10, 1, 0, Some(7)), process(11, 10, DEPLOYER, Some(7))];
    let (attribution, all) = (Attribution::new(&sessions, |_| None), processes.iter().cloned().collect());
    let ids: Vec<&str> =
        attribution.candidates(&processes[1], &all).iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["first", "second"]);
    assert_eq!(behind(&sessions, &processes), ["second", "second"]);
}

#[test]
fn an_opener_whose_pid_was_used_again_opens_nothing() {
    let mut sessions = [session("a", 10, None, "alice")];
    let processes = [process(10, 1, 0, None), process(11, 10, DEPLOYER, None)];
    assert_eq!(behind(&sessions, &processes), ["a", "a"]);
    sessions[0].process.start = 9;
    assert_eq!(behind(&sessions, &processes), ["-", "-"]);
}

#[test]
fn an_account_whose_uid_nobody_knows_has_what_descends_from_its_opener() {
    let mut sessions = [session("a", 12, Some(5), "alice")];
    sessions[0].uid = None;
    let processes = [
        process(11, 1, ALICE, Some(5)),
        process(12, 11, 0, Some(5)),
        process(13, 12, DEPLOYER, Some(5)),
        process(14, 1, DEPLOYER, Some(5)),
    ];
    assert_eq!(behind(&sessions, &processes), ["-", "a", "a", "-"]);
    let all: Processes = processes.iter().cloned().collect();
    let known = Attribution::new(&sessions, |account| (account == "deployer").then_some(DEPLOYER));
    assert_eq!(known.behind(&processes[3], &all).session().map(|it| it.id.as_str()), Some("a"));
    assert_eq!(known.behind(&processes[0], &all), Behind::Nobody);
    assert!(known.has(Some(5)) && !known.has(None) && !known.has(Some(6)));
}

#[test]
fn two_calls_of_root_are_two_people_unless_one_chain_led_to_both() {
    let root = |id, opener, chain: Option<&str>| Session {
        origin: SessionOrigin::Root,
        chain: chain.map(str::to_owned),
        ..session(id, opener, Some(3), "")
    };
    let daemonised = [process(30, 1, DEPLOYER, Some(3))];
    assert_eq!(behind(&[root("x", 10, None), root("y", 20, Some("a"))], &daemonised), ["?"]);
    assert_eq!(behind(&[root("x", 10, Some("a")), root("y", 20, Some("a"))], &daemonised), ["y"]);
}

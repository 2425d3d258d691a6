//! One question from its arrival to its answer: identify, decide, record, and only then answer.

use std::path::Path;

use svcauth_core::audit::{Event, Record};
use svcauth_core::command::Plan;
use svcauth_core::command::protocol::{Answer, Ask};
use svcauth_core::policy::{AuditMode, Reason};
use svcauth_host::audit::{self, NotTaken};
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;
use svcauth_host::paths;
use svcauth_host::sessions::{Registry, Session, SessionOrigin};

use super::cast::{Header, Origin};
use super::judge::{Bench, Judged, Ruled, unlimited};
use super::peer::{Peer, Unknown};
use super::record;
use super::recording::{ASSUMED, Folder, since_boot};
use super::running::Running;
use super::tape::Tape;
use super::target::{self, Managed, Target, Unusable};
use super::{Commands, now_micros};

/// What a question came to.
pub(super) enum Opened {
    /// Something may run, and will be watched.
    Running(Answer, Box<Running>),
    /// There is nothing to watch.
    Over(Answer),
}

/// One question.
pub(super) struct Case<'a> {
    pub(super) room: &'a Commands,
    pub(super) peer: &'a Peer,
    pub(super) ask: Ask,
    pub(super) clock: Clock,
    hosts: Vec<String>,
}

/// What is known when it is decided.
struct Known {
    account: String,
    session: Option<Session>,
    judged: Judged,
    /// The own shell and home of the account.
    shell: String,
    home: String,
    needs_audit: bool,
    record: Record,
}

impl<'a> Case<'a> {
    pub(super) fn of(room: &'a Commands, peer: &'a Peer, ask: Ask) -> Self {
        Self { room, peer, ask, clock: Clock::now(), hosts: host_names() }
    }

    /// Decides, records and answers, in this order: nothing runs without a trace.
    pub(super) fn open(self) -> Opened {
        if let Some(id) = self.ask.resume.clone() {
            return self.resume(&id);
        }
        let known = match target::of(self.peer.uid, &self.clock) {
            Target::NotManaged => return Opened::Over(Answer::NotManaged),
            Target::Managed(managed) => self.by_policy(&managed),
            Target::Unusable(unusable) => self.without_snapshot(unusable),
        };
        self.answer(known)
    }

    pub(super) fn session(&self, account: Option<&str>) -> Result<Session, Unknown> {
        let broken = |what: String| (Reason::InternalError, what);
        let boot_id =
            self.clock.boot_id.as_deref().ok_or_else(|| broken("/proc is not mounted".to_owned()))?;
        let registry = Registry::open().map_err(|error| broken(error.to_string()))?;
        self.peer.session(account, &registry, boot_id)
    }

    fn by_policy(&self, managed: &Managed) -> Known {
        let Managed { snapshot, policy, account, age, own } = managed;
        let session = self.session(Some(&account.name));
        let now = snapshot.header().not_before(self.clock.wall);
        let bench = Bench { snapshot, policy, account, age: *age, hosts: &self.hosts, now };
        let judged = match &session {
            Ok(session) => bench
                .judge(session, &self.ask)
                .unwrap_or_else(|why| refused(Reason::SnapshotInvalid, why.to_string())),
            Err((reason, detail)) => refused(*reason, detail.clone()),
        };
        let mut record = self.record(&account.name, session.as_ref().ok());
        record.generation = Some(snapshot.header().generation);
        record.age_seconds = age.0;
        let is_root = session.as_ref().is_ok_and(|session| session.origin == SessionOrigin::Root);
        Known {
            account: account.name.clone(),
            session: session.ok(),
            judged,
            shell: own.shell.clone(),
            home: own.home.clone(),
            // Nothing keeps root out, so no full log does either.
            needs_audit: policy.audit == AuditMode::Required && !is_root,
            record,
        }
    }

    fn without_snapshot(&self, unusable: Unusable) -> Known {
        let session = self.session(unusable.account.as_deref()).ok();
        let is_root = session.as_ref().is_some_and(|session| session.origin == SessionOrigin::Root);
        let account = unusable.account.or_else(|| session.as_ref().map(|session| session.account.clone()));
        let account = account.unwrap_or_else(|| format!("uid {}", self.peer.uid));
        let judged = if is_root {
            Judged { roles: Vec::new(), ruled: Ruled::Run(unlimited(&self.ask)), is_taped: false }
        } else {
            refused(unusable.reason, unusable.detail)
        };
        Known {
            record: Record { generation: None, ..self.record(&account, session.as_ref()) },
            account,
            session,
            judged,
            shell: unusable.shell,
            home: "/".to_owned(),
            needs_audit: !is_root,
        }
    }

    /// What is known of the request whatever comes of it.
    pub(super) fn record(&self, account: &str, session: Option<&Session>) -> Record {
        let about = session.map_or_else(Record::default, |session| session.record(Event::Command));
        Record {
            event: Event::Command,
            time: now_micros(),
            account: Some(account.to_owned()),
            uid: Some(self.peer.uid),
            host: self.hosts.first().cloned(),
            pid: Some(self.peer.process.pid),
            ..about
        }
    }

    fn answer(self, mut known: Known) -> Opened {
        let begun = self.begin(&mut known);
        record::add(&mut known.record, &self.ask, known.session.as_ref(), &known.judged);
        let (plan, learned) = match &known.judged.ruled {
            Ruled::Refuse(reason, detail) => {
                let (reason, detail) = (*reason, detail.clone());
                return self.refuse(&known, reason, detail.as_deref());
            }
            Ruled::Run(plan) => (plan.clone(), None),
            Ruled::Learn(plan, refusal) => (plan.clone(), Some(refusal.reason)),
        };
        let (id, tape) = begun.map_or_else(|| (self.unrecorded(&known), None), |(id, tape)| (id, Some(tape)));
        if tape.is_some() {
            record::add_recording(&mut known.record, &id);
        }
        if let Err(why) = deliver(&known.record, known.needs_audit) {
            if let Some(tape) = tape {
                tape.discard(&id);
            }
            known.judged.ruled = Ruled::Refuse(Reason::AuditUnavailable, Some(why.to_string()));
            record::add(&mut known.record, &self.ask, known.session.as_ref(), &known.judged);
            return self.refuse(&known, Reason::AuditUnavailable, None);
        }
        self.room.metrics.command(true, learned);
        let record = tape.is_some();
        let running = Running::new(known.record, self.clock.boottime, tape);
        let (account, home) = (known.account, known.home);
        let answer = match plan {
            Plan::Program(program) => Answer::Program { program, account, home, id },
            Plan::Line | Plan::Shell { .. } => Answer::Shell { shell: known.shell, id, record },
        };
        Opened::Running(answer, Box::new(running))
    }

    /// Begins the recording, if there is to be one: its name and what writes it. When that fails, the shell is refused, or goes
    /// on without.
    fn begin(&self, known: &mut Known) -> Option<(String, Tape)> {
        let session = known.session.as_ref()?;
        let (Ruled::Run(plan) | Ruled::Learn(plan, _)) = &known.judged.ruled else { return None };
        let is_taped = known.judged.is_taped && matches!(plan, Plan::Shell { .. } | Plan::Line);
        if !is_taped {
            return None;
        }
        let header = Header {
            size: ASSUMED,
            timestamp: self.clock.wall,
            title: format!("{} as {}", session.origin.name(), known.account),
            shell: known.shell.clone(),
            origin: Origin {
                session: session.id.clone(),
                account: known.account.clone(),
                origin: session.origin.name().to_owned(),
                pid: self.peer.process.pid,
                process_start: self.peer.process.start,
                began: since_boot(),
            },
        };
        match Folder::open(Path::new(paths::RECORDINGS_DIR)).and_then(|folder| folder.create(header)) {
            Ok((recording, number)) => {
                let tape = Tape::new(recording, known.needs_audit, self.room.trouble.clone());
                Some((format!("{}-{number}", session.id), tape))
            }
            Err(error) => {
                self.room.trouble.raise(&error);
                if known.needs_audit {
                    let why = format!("what the shell shows cannot be recorded: {error}");
                    known.judged.ruled = Ruled::Refuse(Reason::AuditUnavailable, Some(why));
                }
                None
            }
        }
    }

    /// What the shell resumes with where nothing is recorded: the session and the process, which both must fit.
    fn unrecorded(&self, known: &Known) -> String {
        let session = known.session.as_ref().map_or("-", |session| session.id.as_str());
        format!("{session}-p{}", self.peer.process.pid)
    }

    fn refuse(&self, known: &Known, reason: Reason, detail: Option<&str>) -> Opened {
        // It stays refused when nobody takes the record.
        let _ = audit::write(&known.record);
        self.room.metrics.command(false, Some(reason));
        Opened::Over(Answer::Refused {
            reason: reason.code().to_owned(),
            message: record::message(&self.ask, &known.account, reason, detail),
        })
    }
}

fn refused(reason: Reason, detail: String) -> Judged {
    Judged { roles: Vec::new(), ruled: Ruled::Refuse(reason, Some(detail)), is_taped: false }
}

/// Hands over the record of what is about to run.
fn deliver(record: &Record, needs_audit: bool) -> Result<(), NotTaken> {
    if needs_audit {
        return audit::write_or_leave(record).map(drop);
    }
    // Whatever it is about happens, whoever takes the record.
    let _ = audit::write(record);
    Ok(())
}

//! Publishing what the directory says: checked by root, joined, numbered, written; or refused, and the old generation
//! stays.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::{fmt, io};

use nix::unistd::Gid;
use svcauth_core::policy::{Account, Role};
use svcauth_core::snapshot::{BuildError, Stamp};
use svcauth_host::clock::Clock;
use svcauth_host::confirmed::Confirmation;
use svcauth_host::snapshot_file::{SnapshotError, open_access, open_accounts, read_trusted};
use svcauth_host::{managed, paths};

use super::mirror::Mirror;
use crate::candidate::Refusal;
use crate::config_file::Loaded;
use crate::control::Counts;
use crate::failure::{Failure, FailureKind};
use crate::local_names::LocalNames;
use crate::state::{
    MEMBERSHIPS_MAX, RoleMemory, State, is_too_large, join, namesakes, recheck, to_files, with_tombstones,
};
use crate::state_dir::{Mark, Readers, StateDir};

/// From this many entries on a sudden loss of more than half is taken for a fault of the directory.
const SHRINK_FROM: u32 = 10;

/// What a refresh came to.
pub(super) struct Published {
    pub(super) generation: u64,
    /// Whether it is a new generation, or the last one confirmed.
    pub(super) is_new: bool,
    pub(super) counts: Counts,
    /// Entries that were refused; `None`: the same as before.
    pub(super) refused: Option<Vec<Refusal>>,
}

/// Why a candidate is not published.
#[derive(Debug)]
pub(super) enum PublishError {
    /// It is suspiciously small.
    Shrunk { what: &'static str, before: u32, after: u32 },
    /// More memberships than may be joined.
    TooLarge,
    /// Nobody knows any more which groups the access rules mean.
    Roles(String),
    /// It does not fit the snapshot format.
    Build(BuildError),
    /// The operating system refused.
    Write(io::Error),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shrunk { what, before, after } => write!(
                f,
                "the directory has {after} {what}, the last generation had {before}: more than half are gone; \
                 if that is right, run: svcauth sync --accept-shrink"
            ),
            Self::TooLarge => write!(
                f,
                "people and accounts are in groups more than {MEMBERSHIPS_MAX} times, nesting counted; \
                 narrow [groups] base or filter to the groups that hosts and access rules need"
            ),
            Self::Roles(why) => write!(
                f,
                "{}: {why}; put it right, or remove it to take every role for the group that has its name now",
                paths::ROLES
            ),
            Self::Build(error) => write!(f, "the snapshot cannot be built: {error}"),
            Self::Write(error) => {
                write!(f, "the snapshot cannot be written to {}: {error}", paths::STATE_DIR)
            }
        }
    }
}

impl PublishError {
    /// What kind of failure it is.
    pub(super) const fn kind(&self) -> FailureKind {
        match self {
            Self::Shrunk { .. } => FailureKind::Shrink,
            Self::TooLarge => FailureKind::TooLarge,
            Self::Roles(_) | Self::Build(_) | Self::Write(_) => FailureKind::Publish,
        }
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Self::new(error.kind(), error)
    }
}

impl From<BuildError> for PublishError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<io::Error> for PublishError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Numbers and writes generations.
pub(super) struct Publisher {
    dir: StateDir,
    /// The group that may read what decisions need.
    group: Gid,
    /// The last generation; `None` after a start.
    last: Option<Last>,
    /// Tells states apart, with a key that nobody else knows.
    digest: RandomState,
}

/// What the last generation was made of, and what its files looked like.
struct Last {
    generation: u64,
    /// What its state was made from, if nothing else has changed since.
    basis: Option<Basis>,
    state: u64,
    counts: Counts,
    /// Its accounts, with those that are only remembered.
    accounts: Vec<Account>,
    marks: [Option<Mark>; 2],
}

/// What a state is made from, apart from the configuration.
#[derive(PartialEq, Eq)]
struct Basis {
    edition: u64,
    local: LocalNames,
    roles: Option<Mark>,
}

/// The file that says which group each role is.
const ROLES: &str = "roles";
/// Far more than the words of any configuration: 4 MiB.
const ROLES_MAX: u64 = 4 << 20;

const FILES: [&str; 2] = ["access.snap", "accounts.snap"];

impl Publisher {
    pub(super) fn new(dir: StateDir, group: Gid) -> Self {
        Self { dir, group, last: None, digest: RandomState::new() }
    }

    /// Keeps what is managed for the day on which the configuration cannot be read; and what was made with another
    /// configuration has to be made again.
    pub(super) fn configured(&mut self, loaded: &Loaded) {
        self.keep_managed(loaded);
        if let Some(last) = &mut self.last {
            last.basis = None;
        }
    }

    fn keep_managed(&self, loaded: &Loaded) {
        let managed = loaded.config.managed();
        let names: String = managed.local_accounts.iter().map(|name| format!("{name}\n")).collect();
        // The same disk takes the snapshots: a full one is reported there.
        let _ = self.dir.publish("managed", managed::to_text(&managed).as_bytes(), Readers::Everybody);
        let _ = self.dir.publish("local_accounts", names.as_bytes(), Readers::Everybody);
    }

    /// Publishes what the mirror holds as a new generation, or confirms the last one when nothing has changed.
    pub(super) fn publish(
        &mut self,
        mirror: &Mirror,
        loaded: &Loaded,
        local: LocalNames,
        accept_shrink: bool,
    ) -> Result<Published, PublishError> {
        let mut basis = Basis { edition: mirror.edition(), local, roles: self.dir.mark(ROLES) };
        if let Some((generation, counts)) = self.unchanged(&basis) {
            self.confirm(generation, Clock::now())?;
            return Ok(Published { generation, is_new: false, counts, refused: None });
        }
        let mut candidate = mirror.table().candidate();
        recheck(&mut candidate, &loaded.config, &basis.local);
        if is_too_large(&candidate) {
            return Err(PublishError::TooLarge);
        }
        let known = self.roles()?;
        let mut roles = known.clone();
        let state = join(&candidate, &loaded.config, loaded.trusted_ca.clone(), &mut roles);
        let mut refused = std::mem::take(&mut candidate.refused);
        refused.extend(namesakes(&candidate, &state));
        drop(candidate);
        let counts = counts(&state);
        if !accept_shrink {
            guard(counts)?;
        }
        // Before anybody can use a role, it is known which group it is.
        if roles != known {
            self.keep_roles(&roles)?;
            basis.roles = self.dir.mark(ROLES);
        }
        let now = Clock::now();
        let (generation, is_new) = self.update(state, counts, basis, loaded, &now)?;
        self.confirm(generation, now)?;
        Ok(Published { generation, is_new, counts, refused: Some(refused) })
    }

    /// Which groups the access rules have meant so far.
    fn roles(&self) -> Result<RoleMemory, PublishError> {
        let text = match read_trusted(Path::new(paths::ROLES), ROLES_MAX) {
            Ok(text) => text,
            Err(SnapshotError::Missing) => return Ok(RoleMemory::default()),
            Err(error) => return Err(PublishError::Roles(error.to_string())),
        };
        RoleMemory::parse(&text).map_err(|line| {
            PublishError::Roles(format!("line {line} cannot be read, expected the id of a group and a role"))
        })
    }

    fn keep_roles(&self, roles: &RoleMemory) -> io::Result<()> {
        self.dir.publish(ROLES, roles.to_text().as_bytes(), Readers::Group(self.group.as_raw()))
    }

    /// Takes the group that has the name of a role now for the role, as the last generation shows it.
    pub(super) fn approve(&self, word: &str) -> Result<String, String> {
        let policy = open_access()
            .map_err(|error| error.to_string())
            .and_then(|snapshot| snapshot.policy().map_err(|error| error.to_string()))
            .map_err(|error| format!("nobody knows what was published last: {error}"))?;
        let asked = word.trim().to_lowercase();
        let named = |role: &&Role| role.words.iter().any(|known| known.trim().to_lowercase() == asked);
        let Some(role) = policy.roles.iter().find(named) else {
            return Err(format!("no access rule has a role {word:?}; see: svcauth roles"));
        };
        let Some(id) = role.namesake.clone() else {
            return Err(role.id.as_ref().map_or_else(
                || format!("the directory has no group {word:?}; nothing to approve"),
                |id| format!("the role {word:?} is the group {id}; nothing to approve"),
            ));
        };
        let mut roles = self.roles().map_err(|error| error.to_string())?;
        roles.keep(word, &id);
        self.keep_roles(&roles).map_err(|error| PublishError::Write(error).to_string())?;
        Ok(id)
    }

    /// The last generation, if it was made from the same and is still there.
    fn unchanged(&self, basis: &Basis) -> Option<(u64, Counts)> {
        let last = self.last.as_ref()?;
        (last.basis.as_ref() == Some(basis) && last.marks == self.marks())
            .then_some((last.generation, last.counts))
    }

    /// Writes the state, unless it is the last one; its number, and whether it is new.
    fn update(
        &mut self,
        state: State,
        counts: Counts,
        basis: Basis,
        loaded: &Loaded,
        now: &Clock,
    ) -> Result<(u64, bool), PublishError> {
        let (digest, marks) = (self.digest.hash_one(&state), self.marks());
        if let Some(last) = self.last.as_mut().filter(|last| last.state == digest && last.marks == marks) {
            last.basis = Some(basis);
            return Ok((last.generation, false));
        }
        self.keep_managed(loaded);
        let (generation, accounts) = self.write(state, counts, &basis.local, now)?;
        let marks = self.marks();
        self.last = Some(Last { generation, basis: Some(basis), state: digest, counts, accounts, marks });
        Ok((generation, true))
    }

    /// The marks of both files: somebody may have removed or damaged one.
    fn marks(&self) -> [Option<Mark>; 2] {
        FILES.map(|name| self.dir.mark(name))
    }

    fn write(
        &mut self,
        mut state: State,
        counts: Counts,
        local: &LocalNames,
        now: &Clock,
    ) -> Result<(u64, Vec<Account>), PublishError> {
        let (remembered, last) = match self.last.take() {
            Some(last) => (last.generation, last.accounts),
            None => (0, open_access().ok().and_then(|snapshot| snapshot.accounts().ok()).unwrap_or_default()),
        };
        let own = std::mem::take(&mut state.accounts);
        state.accounts = with_tombstones(own, &last, now.wall, |name| local.has_user(name));
        drop(last);
        let stamp = Stamp {
            generation: remembered.max(last_generation()).saturating_add(1),
            created: now.wall,
            seed: seed()?,
            id_range: state.policy.id_range,
            counts: [counts.accounts, counts.groups, counts.people],
        };
        let (files, accounts) = to_files(state, stamp)?;
        let [access, shown] = FILES;
        // What decisions need comes first: an account must never be visible before it is known to be managed.
        self.dir.publish(access, &files.access, Readers::Group(self.group.as_raw()))?;
        self.dir.publish(shown, &files.accounts, Readers::Everybody)?;
        Ok((stamp.generation, accounts))
    }

    fn confirm(&self, generation: u64, at: Clock) -> io::Result<()> {
        let text = Confirmation { generation, at }.to_string();
        self.dir.publish("confirmed", text.as_bytes(), Readers::Group(self.group.as_raw()))
    }
}

fn counts(state: &State) -> Counts {
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    Counts {
        accounts: count(state.accounts.len()),
        groups: count(state.groups.len()),
        people: count(state.people.len()),
    }
}

/// The shrink guard: half of the accounts or people gone at once is a broken search more often than a wish.
fn guard(now: Counts) -> Result<(), PublishError> {
    let Ok(snapshot) = open_access() else {
        return Ok(());
    };
    let before = *snapshot.header();
    for (what, before, after) in [
        ("accounts", before.accounts, now.accounts),
        ("groups", before.groups, now.groups),
        ("people", before.people, now.people),
    ] {
        if before >= SHRINK_FROM && after < before / 2 {
            return Err(PublishError::Shrunk { what, before, after });
        }
    }
    Ok(())
}

/// The highest number that any published file names: a lost or restored file must not bring an old number back.
fn last_generation() -> u64 {
    let access = open_access().map_or(0, |snapshot| snapshot.header().generation);
    let accounts = open_accounts().map_or(0, |snapshot| snapshot.header().generation);
    let confirmed = read_trusted(Path::new(paths::CONFIRMED), 256)
        .ok()
        .and_then(|text| text.parse::<Confirmation>().ok());
    access.max(accounts).max(confirmed.map_or(0, |confirmed| confirmed.generation))
}

fn seed() -> io::Result<[u64; 2]> {
    let mut bytes = [[0; 8]; 2];
    for half in &mut bytes {
        getrandom::fill(half).map_err(|error| io::Error::other(error.to_string()))?;
    }
    Ok(bytes.map(u64::from_le_bytes))
}

//! A daemon that answers what it is told to, and remembers what it heard.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use svcauth_core::command::protocol::{Answer, Ask, Told};
use svcauth_core::command::{Access, Files, Program};
use svcauth_tests::failure::{Context as _, Outcome, require};
use svcauth_tests::program::{self, wait_until};
use svcauth_tests::world::World;

pub(crate) const SHELL: &str = "/usr/bin/svcauth-shell";
const BUILT: &str = "/run/world/artifacts/shell/svcauth-shell";
pub(crate) const SOCKET: &str = "/run/svcauth/command.sock";
/// The account of all cases: nobody knows its uid.
pub(crate) const UID: u32 = 7001;
pub(crate) const HOME: &str = "/home/deployer";

/// What one connection heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) asked: Vec<Ask>,
    pub(crate) told: Vec<Told>,
}

impl Heard {
    /// What the terminal has shown.
    pub(crate) fn output(&self) -> String {
        let shown = self
            .told
            .iter()
            .filter_map(|told| if let Told::Output(bytes) = told { Some(bytes.as_slice()) } else { None });
        String::from_utf8_lossy(&shown.collect::<Vec<_>>().concat()).replace('\r', "")
    }
}

/// Whether it hears what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ears {
    Open,
    Closed,
}

/// Listens as long as the process lives; another one in its place takes over.
#[derive(Debug)]
pub(crate) struct Peer {
    heard: Arc<Mutex<Heard>>,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Peer {
    /// Answers everybody by this function.
    pub(crate) fn start(answer: impl Fn(&Ask) -> Answer + Send + Sync + 'static) -> Outcome<Self> {
        Self::listen(answer, Ears::Open)
    }

    /// Hangs up on everybody.
    pub(crate) fn hanging_up() -> Outcome<Self> {
        Self::writing(Vec::new())
    }

    /// Writes these bytes to everybody, whatever they mean.
    pub(crate) fn writing(bytes: Vec<u8>) -> Outcome<Self> {
        let (listener, peer) = Self::bind()?;
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let _ = receive(&mut connection).map(|_| connection.write_all(&bytes));
            }
        });
        Ok(peer)
    }

    /// Answers everybody the same, and then reads nothing more.
    pub(crate) fn deaf(answer: Answer) -> Outcome<Self> {
        Self::listen(move |_| answer.clone(), Ears::Closed)
    }

    fn listen(answer: impl Fn(&Ask) -> Answer + Send + Sync + 'static, ears: Ears) -> Outcome<Self> {
        let (listener, peer) = Self::bind()?;
        let (into, kept, answer) = (peer.heard.clone(), peer.open.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (into, answer) = (into.clone(), answer.clone());
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(connection.try_clone());
                std::thread::spawn(move || serve(connection, &into, &*answer, ears));
            }
        });
        Ok(peer)
    }

    fn bind() -> Outcome<(UnixListener, Self)> {
        install()?;
        fs::create_dir_all("/run/svcauth")?;
        let _ = fs::remove_file(SOCKET);
        let listener = UnixListener::bind(SOCKET)?;
        fs::set_permissions(SOCKET, Permissions::from_mode(0o666))?;
        Ok((listener, Self { heard: Arc::default(), open: Arc::default() }))
    }

    /// Answers everybody the same.
    pub(crate) fn saying(answer: Answer) -> Outcome<Self> {
        Self::start(move |_| answer.clone())
    }

    /// What was heard so far.
    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes away as a daemon that ends: nobody listens, and all connections are cut.
    pub(crate) fn cut(&self) {
        let _ = fs::remove_file(SOCKET);
        for connection in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }

    /// The end of the one command that was asked for.
    pub(crate) fn end(&self) -> Outcome<Told> {
        let told = wait_until("the end to be told", Duration::from_secs(60), || {
            self.heard().told.into_iter().find(|told| !matches!(told, Told::Output(_) | Told::Size { .. }))
        })?;
        let heard = self.heard();
        require(heard.asked.len() == 1, || format!("not one question: {heard:?}"))?;
        Ok(told)
    }
}

/// Puts the shell where packages put it.
pub(crate) fn install() -> Outcome {
    if !fs::exists(SHELL)? {
        fs::copy(BUILT, SHELL).doing(format!("copy {BUILT}"))?;
        fs::set_permissions(SHELL, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn serve(
    mut connection: UnixStream,
    heard: &Mutex<Heard>,
    answer: &(impl Fn(&Ask) -> Answer + ?Sized),
    ears: Ears,
) {
    let heard = || heard.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(ask) = receive(&mut connection).and_then(|message| Ask::decode(&message).ok()) else { return };
    heard().asked.push(ask.clone());
    let message = answer(&ask).encode();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_le_bytes();
    if connection.write_all(&[&length, message.as_slice()].concat()).is_err() {
        return;
    }
    if ears == Ears::Closed {
        // Open as long as the process lives.
        std::mem::forget(connection);
        return;
    }
    while let Some(message) = receive(&mut connection) {
        if let Ok(told) = Told::decode(&message) {
            heard().told.push(told);
        }
    }
}

fn receive(connection: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    connection.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::try_from(u32::from_le_bytes(length)).ok()?];
    connection.read_exact(&mut message).ok()?;
    Some(message)
}

/// The account's own shell.
pub(crate) fn own_shell() -> Answer {
    Answer::Shell { shell: "/bin/bash".to_owned(), id: "one".to_owned(), record: false }
}

/// A program without a shell, as nobody confines it.
pub(crate) fn program(path: &str, arguments: &[&[u8]]) -> Answer {
    answer(path, arguments, None)
}

/// A program that may touch these files.
pub(crate) fn confined(path: &str, arguments: &[&str], access: Access, paths: &[&str]) -> Answer {
    let files = Files { access, paths: paths.iter().map(|path| (*path).to_owned()).collect() };
    let arguments: Vec<&[u8]> = arguments.iter().map(|word| word.as_bytes()).collect();
    answer(path, &arguments, Some(files))
}

fn answer(path: &str, arguments: &[&[u8]], files: Option<Files>) -> Answer {
    let arguments = arguments.iter().map(|word| word.to_vec()).collect();
    Answer::Program {
        program: Program { path: path.to_owned(), arguments, environment: Vec::new(), files },
        account: "deployer".to_owned(),
        home: HOME.to_owned(),
        id: "one".to_owned(),
    }
}

/// The shell, started by the account with these words.
pub(crate) fn shell(world: &World, words: &[&str]) -> program::Program {
    let _ = world.home("deployer", UID, UID);
    world.as_account("deployer", UID, UID, &[&[SHELL], words].concat())
}

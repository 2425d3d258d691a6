//! The daemon's socket: short requests, one a connection, from anybody; the kernel says who asks.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{UnixCredentials, getsockopt, sockopt::PeerCredentials};
use svcauth_host::spool;

use super::board::Board;
use super::deeds::Deed;
use super::intake::Intake;
use super::{Event, Heard, Order, refused_key};
use crate::control::{Counts, RefusedKey, Reply, Request};
use crate::directory::Depth;
use crate::frame;

/// How long a peer may take to send its request, and to take its reply.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections of one uid at a time.
const PER_UID: usize = 8;
/// Connections of the keys command at a time: sshd runs it for every key that somebody offers.
const FOR_KEYS: usize = 64;
/// Connections of all other users but root at a time.
const IN_ALL: usize = 64;

/// Serves the socket for ever.
pub(super) struct Server {
    pub(super) board: Board,
    pub(super) events: Sender<Event>,
    /// The user that the keys command runs as.
    pub(super) keys_uid: u32,
}

impl Server {
    /// Binds the socket with mode 0666: what is asked, not who can connect, is what is guarded.
    pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(listener)
    }

    /// Accepts and answers, each connection on a thread of its own, as many as one uid may have.
    pub(super) fn run(self, listener: &UnixListener) {
        let open: Arc<Mutex<HashMap<u32, usize>>> = Arc::default();
        let keys_uid = self.keys_uid;
        let server = Arc::new(self);
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of descriptors: give those that are open time to go.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let Ok(peer) = getsockopt(&stream, PeerCredentials) else {
                continue;
            };
            let Some(place) = Place::take(&open, peer.uid(), keys_uid) else {
                continue;
            };
            let server = Arc::clone(&server);
            let answer = move || {
                let _place = place;
                // A peer that goes away is its own loss.
                let _ = server.answer(stream, &peer);
            };
            let _ = std::thread::Builder::new().spawn(answer);
        }
    }

    fn answer(&self, mut stream: UnixStream, peer: &UnixCredentials) -> io::Result<()> {
        stream.set_write_timeout(Some(PATIENCE))?;
        let request = {
            let most = u64::from(frame::CONTROL_MAX) + 4;
            let mut intake = Intake::new(&stream, Instant::now() + PATIENCE, most);
            frame::read::<Request>(&mut intake, frame::CONTROL_MAX)
        };
        let reply = match request {
            Ok(Some(Request::KeyRefused(refused))) => self.note(&refused, peer.uid(), peer.pid()),
            Ok(Some(request)) => self.carry_out(&request, peer, &mut |counts| {
                // Whoever went away will not take the reply either.
                let _ = frame::write(&mut &stream, &Reply::Progress(counts), frame::CONTROL_MAX);
            }),
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Reply::Failed { reason: format!("the request cannot be read: {error}") }
            }
            Err(error) => return Err(error),
        };
        frame::write(&mut stream, &reply, frame::CONTROL_MAX)
    }

    /// Replies, and records what an administrator has changed by it.
    fn carry_out(
        &self,
        request: &Request,
        peer: &UnixCredentials,
        progress: &mut dyn FnMut(Counts),
    ) -> Reply {
        let deed = Deed::of(request, peer);
        let reply = self.reply(request, peer.uid(), progress);
        if let Some(deed) = deed {
            deed.record(&reply);
        }
        reply
    }

    /// The reply; what comes before it goes to `progress`.
    fn reply(&self, request: &Request, uid: u32, progress: &mut dyn FnMut(Counts)) -> Reply {
        match request {
            Request::Status {} => Reply::Status(self.board.status()),
            Request::Sync { .. } if uid != 0 => {
                Reply::Failed { reason: "only root may ask for a refresh; run: sudo svcauth sync".into() }
            }
            Request::Approve { .. } if uid != 0 => {
                Reply::Failed { reason: "only root may approve a group; run it with sudo".into() }
            }
            Request::Approve { role } => self.approve(role),
            Request::KeyRefused(refused) => self.note(refused, uid, 0),
            Request::Sync { accept_shrink, whole, progress: asked } => {
                let depth = if *whole { Depth::Whole } else { Depth::Exact };
                let order = Order { accept_shrink: *accept_shrink, depth };
                let mut nobody = |_| {};
                self.sync(order, if *asked { progress } else { &mut nobody })
            }
        }
    }

    /// A key that was refused. Its record went to the host's log from there already.
    fn note(&self, refused: &RefusedKey, uid: u32, pid: i32) -> Reply {
        if uid != 0 && uid != self.keys_uid {
            return Reply::Failed { reason: "only the keys command may tell of a refused key".into() };
        }
        let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0);
        let Some(record) = refused_key::record(refused, pid) else {
            return Reply::Failed { reason: "this is not what the keys command writes".into() };
        };
        match spool::append(&record) {
            Ok(()) => Reply::Noted {},
            Err(error) => Reply::Failed { reason: format!("the spool: {error}") },
        }
    }

    fn approve(&self, role: &str) -> Reply {
        let (reply, heard) = channel();
        let asked = self.events.send(Event::Approve { role: role.to_owned(), reply });
        match asked.ok().and_then(|()| heard.recv().ok()) {
            Some(Ok((id, generation))) => Reply::Approved { id, generation },
            Some(Err(reason)) => Reply::Failed { reason },
            None => Reply::Failed { reason: "the daemon is stopping".into() },
        }
    }

    fn sync(&self, order: Order, progress: &mut dyn FnMut(Counts)) -> Reply {
        let stopping = || Reply::Failed { reason: "the daemon is stopping".into() };
        let (reply, heard) = channel();
        if self.events.send(Event::Sync { order, reply }).is_err() {
            return stopping();
        }
        loop {
            match heard.recv() {
                Ok(Heard::Progress(counts)) => progress(counts),
                Ok(Heard::Done(Ok(generation))) => return Reply::Synced { generation },
                Ok(Heard::Done(Err(reason))) => return Reply::Failed { reason },
                Err(_) => return stopping(),
            }
        }
    }
}

/// One of the connections that a uid may have; given back when dropped.
struct Place {
    open: Arc<Mutex<HashMap<u32, usize>>>,
    uid: u32,
}

impl Place {
    fn take(open: &Arc<Mutex<HashMap<u32, usize>>>, uid: u32, keys_uid: u32) -> Option<Self> {
        let mut counts = open.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = counts.get(&uid).copied().unwrap_or(0);
        // Root's places are its own, and so are those of the keys command: a few users together must not keep `svcauth sync`
        // out, nor a flood of offered keys them.
        let is_own = |uid: u32| uid == 0 || uid == keys_uid;
        let others: usize = counts.iter().filter(|(uid, _)| !is_own(**uid)).map(|(_, count)| count).sum();
        let most = if uid == keys_uid { FOR_KEYS } else { PER_UID };
        if mine >= most || (!is_own(uid) && others >= IN_ALL) {
            return None;
        }
        counts.insert(uid, mine + 1);
        Some(Self { open: Arc::clone(open), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let left = counts.get(&self.uid).map_or(0, |mine| mine.saturating_sub(1));
        if left == 0 {
            counts.remove(&self.uid);
        } else {
            counts.insert(self.uid, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, FOR_KEYS, HashMap, IN_ALL, Mutex, PER_UID, Place};
    use super::{Board, Counts, Depth, Event, Heard, Order, RefusedKey, Reply, Request, Server, channel};

    #[test]
    fn only_root_may_ask_for_a_refresh_whatever_a_request_says() {
        let (events, received) = channel();
        let server = Server { board: Board::default(), events, keys_uid: 991 };
        let sync = Request::Sync { accept_shrink: true, whole: false, progress: true };
        let order = Order { accept_shrink: true, depth: Depth::Exact };
        let monitor = std::thread::spawn(move || {
            let Ok(Event::Sync { order: asked, reply }) = received.recv() else {
                panic!("nothing was asked");
            };
            assert_eq!(asked, order);
            reply.send(Heard::Progress(Counts { accounts: 7, ..Counts::default() })).unwrap();
            reply.send(Heard::Done(Ok(42))).unwrap();
            received
        });
        let mut progress = Vec::new();
        let reply = server.reply(&sync, 0, &mut |counts| progress.push(counts.accounts));
        assert_eq!((reply, progress), (Reply::Synced { generation: 42 }, vec![7]));
        let received = monitor.join().unwrap();
        let approve = Request::Approve { role: "application".into() };
        for uid in [1, 1000, 7001, u32::MAX] {
            assert!(matches!(server.reply(&approve, uid, &mut |_| {}), Reply::Failed { .. }), "{uid}");
            assert!(matches!(server.reply(&sync, uid, &mut |_| {}), Reply::Failed { .. }), "{uid}");
        }
        assert!(received.try_recv().is_err(), "the monitor heard of a refused request");
        for forged in [
            r#"{"verb":"key_refused","account":"a","uid":0}"#,
            r#"{"verb":"sync","accept_shrink":true,"uid":0}"#,
            r#"{"verb":"status","uid":0}"#,
        ] {
            assert!(serde_json::from_str::<Request>(forged).is_err(), "{forged}");
        }
    }

    #[test]
    fn only_the_keys_command_may_tell_of_a_refused_key_and_only_what_it_writes() {
        let server = Server { board: Board::default(), events: channel().0, keys_uid: 991 };
        let key = RefusedKey {
            account: "deployer".into(),
            reason: "not_in_role".into(),
            owner: None,
            fingerprint: format!("SHA256:{}", "A".repeat(43)),
            generation: 1,
            age_seconds: None,
        };
        for uid in [1, 1000, 990, u32::MAX] {
            assert!(matches!(server.note(&key, uid, 7), Reply::Failed { reason } if reason.contains("only")));
        }
        let odd = RefusedKey { reason: "because".into(), ..key };
        assert!(matches!(server.note(&odd, 991, 7), Reply::Failed { reason } if reason.contains("not what")));
    }

    #[test]
    fn users_together_can_keep_each_other_out_but_not_root() {
        let open: Arc<Mutex<HashMap<u32, usize>>> = Arc::default();
        let one = Place::take(&open, 1000, 991);
        assert!(one.is_some());
        let uids = (1000..1100).flat_map(|uid| [uid; PER_UID]);
        let all: Vec<_> = uids.map(|uid| Place::take(&open, uid, 991)).collect();
        assert_eq!(all.iter().flatten().count(), IN_ALL - 1);
        let root: Vec<_> = (0..=PER_UID).map(|_| Place::take(&open, 0, 991)).collect();
        assert_eq!(root.iter().flatten().count(), PER_UID);
        let keys: Vec<_> = (0..=FOR_KEYS).map(|_| Place::take(&open, 991, 991)).collect();
        assert_eq!(keys.iter().flatten().count(), FOR_KEYS);
        drop((one, all, root, keys));
        assert!(open.lock().unwrap().is_empty());
    }
}

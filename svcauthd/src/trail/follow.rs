//! Reading on as the trail grows, over rotations and whatever else happens to the file.

use std::io::{self, BufReader};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::Trail;
use super::files::{TrailFile, row};
use super::lines::{At, Line, next_line};

/// How long nothing is looked at when the kernel tells of no change: it can fail to (a folder made anew, another file system).
const LOOK: Duration = Duration::from_secs(1);

/// What a follower has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A line.
    Line(Line),
    /// Something that a reader of the list has to know: records may be missing or come twice.
    Note(String),
}

/// Follows a file by its name.
#[derive(Debug)]
pub struct Follower {
    current: PathBuf,
    now: Option<TrailFile>,
    /// What was given of it so far: bytes, and lines.
    offset: u64,
    number: u64,
    watch: Option<Inotify>,
}

impl Follower {
    /// Goes on where the trail of `current` ends, after the last complete line.
    ///
    /// # Errors
    /// The newest file cannot be read; the text names it.
    pub fn after(trail: Trail, current: &Path) -> io::Result<Self> {
        let now = trail.files.into_iter().next_back();
        let offset = now.as_ref().map_or(Ok(0), TrailFile::complete)?;
        let number = now.as_ref().map_or(Ok(0), |file| file.lines_before(offset))?;
        Ok(Self { current: current.to_owned(), now, offset, number, watch: watch(current) })
    }

    /// Everything that has come since the last call.
    ///
    /// # Errors
    /// What `tell` answers, or a file cannot be read; the text names it.
    pub fn read(&mut self, tell: &mut dyn FnMut(News) -> io::Result<()>) -> io::Result<()> {
        loop {
            self.read_file(tell)?;
            let named = match std::fs::metadata(&self.current) {
                Ok(meta) => meta,
                // In the middle of a rotation, or removed: what comes next has a name again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(about(&self.current, &error)),
            };
            let Some(now) = &self.now else {
                match TrailFile::open(&self.current) {
                    Ok(file) => self.now = Some(file),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    Err(error) => return Err(error),
                }
                continue;
            };
            if now.id != (named.dev(), named.ino()) {
                self.leave(tell)?;
            } else if named.len() < self.offset {
                (self.offset, self.number) = (0, 0);
                tell(News::Note(format!(
                    "{} was cut: it is read from its beginning, and what was cut off is missing",
                    self.current.display()
                )))?;
            } else {
                return Ok(());
            }
        }
    }

    /// Waits until there may be something new, a second at most. `false`: nobody reads `output` any more.
    ///
    /// # Errors
    /// The kernel does not let this process wait.
    pub fn wait(&mut self, output: BorrowedFd<'_>) -> io::Result<bool> {
        if self.watch.is_none() {
            self.watch = watch(&self.current);
        }
        let mut fds = vec![PollFd::new(output, PollFlags::empty())];
        fds.extend(self.watch.as_ref().map(|watch| PollFd::new(watch.as_fd(), PollFlags::POLLIN)));
        let patience = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, patience) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let said = fds.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        // What has changed is looked at anyway; this empties the queue, and finds out that the folder is gone.
        let events = self.watch.as_ref().and_then(|watch| watch.read_events().ok()).unwrap_or_default();
        if events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_IGNORED)) {
            self.watch = None;
        }
        Ok(!said.intersects(PollFlags::POLLERR | PollFlags::POLLHUP))
    }

    /// The complete lines between `offset` and the end of the file that is open.
    fn read_file(&mut self, tell: &mut dyn FnMut(News) -> io::Result<()>) -> io::Result<()> {
        let Some(now) = &self.now else { return Ok(()) };
        let mut reader = BufReader::with_capacity(1 << 16, At::new(&now.file, self.offset));
        while let Some(line) = next_line(&mut reader, &self.current, self.offset)? {
            if !line.is_complete {
                break;
            }
            self.offset += line.length;
            self.number += 1;
            tell(News::Line(Line { number: Some(self.number), ..line }))?;
        }
        Ok(())
    }

    /// Goes from a file that has lost its name to the one after it.
    fn leave(&mut self, tell: &mut dyn FnMut(News) -> io::Result<()>) -> io::Result<()> {
        // What was written between the last look and the loss of the name.
        self.read_file(tell)?;
        let Some(left) = self.now.take() else { return Ok(()) };
        let mut reader = BufReader::new(At::new(&left.file, self.offset));
        if let Some(rest) = next_line(&mut reader, &self.current, self.offset)? {
            tell(News::Line(Line { number: Some(self.number + 1), ..rest }))?;
        }
        (self.offset, self.number) = (0, 0);
        let mut files = row(&self.current)?;
        let next = match files.iter().position(|file| file.id == left.id) {
            Some(at) if at + 1 < files.len() => Some(files.swap_remove(at + 1)),
            // The new one has vanished again meanwhile.
            Some(_) => None,
            None => {
                tell(News::Note(format!(
                    "{} was replaced: it is read from its beginning, and what was written to the old file since may be \
                     missing",
                    self.current.display()
                )))?;
                files.pop().filter(|file| file.path == self.current)
            }
        };
        self.now = next;
        Ok(())
    }
}

/// Tells of changes in the file's folder; `None`: it is looked at every second.
fn watch(current: &Path) -> Option<Inotify> {
    let folder = current.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
    let what = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_DELETE;
    watch.add_watch(folder, what).ok()?;
    Some(watch)
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

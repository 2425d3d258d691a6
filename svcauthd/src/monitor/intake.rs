//! Reading from a peer that is not trusted: until one moment and no longer, so many bytes and no more.
//!
//! A timeout of the socket alone starts anew with every byte, and a limit on a frame with every frame.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// A stream with a deadline and a limit for all that is read from it.
pub(super) struct Intake<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
    left: u64,
}

impl<'a> Intake<'a> {
    /// At most `max` bytes until `deadline`.
    pub(super) const fn new(stream: &'a UnixStream, deadline: Instant, max: u64) -> Self {
        Self { stream, deadline, left: max }
    }
}

impl Read for Intake<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::new(ErrorKind::InvalidData, "more than a peer may send"));
        }
        let time = self.deadline.saturating_duration_since(Instant::now());
        if time.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, "not complete in time"));
        }
        self.stream.set_read_timeout(Some(time))?;
        let fits = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let count = self.stream.read(into.get_mut(..fits).unwrap_or_default())?;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use super::Intake;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn what_is_sent_in_time_and_within_the_limit_is_read() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"12345").unwrap();
        let mut read = [0; 5];
        Intake::new(&ours, soon(), 5).read_exact(&mut read).unwrap();
        assert_eq!(&read, b"12345");
    }

    #[test]
    fn one_byte_beyond_the_limit_is_an_error() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"123456").unwrap();
        let error = Intake::new(&ours, soon(), 5).read_exact(&mut [0; 6]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_peer_that_sends_a_byte_now_and_then_is_not_waited_for_beyond_the_deadline() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let slow = std::thread::spawn(move || {
            while theirs.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let start = Instant::now();
        let deadline = start + Duration::from_millis(300);
        assert!(Intake::new(&ours, deadline, 1 << 20).read_exact(&mut [0; 1 << 16]).is_err());
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        drop(ours);
        slow.join().unwrap();
    }
}

//! Frames: a length (u32, little-endian), then that many bytes of JSON. Spoken on the daemon's socket and between
//! monitor and worker.
//!
//! The length is checked before anything is allocated; a peer that sends half a frame meets the socket's read timeout.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest frame on the daemon's socket, in bytes.
pub const CONTROL_MAX: u32 = 64 << 10;
/// Longest frame between worker and monitor, in bytes: a group of 100,000 members fits twice.
pub const WORKER_MAX: u32 = 16 << 20;
/// The bytes of a frame's length.
const LENGTH: usize = 4;

/// Writes one frame.
///
/// # Errors
/// As [`Write::write_all`]; `InvalidInput` when the value does not fit into `max` bytes.
pub fn write<T: Serialize>(to: &mut impl Write, value: &T, max: u32) -> io::Result<()> {
    let mut frame = vec![0; LENGTH];
    serde_json::to_writer(&mut frame, value).map_err(io::Error::other)?;
    send(to, frame, max)
}

/// Writes one frame that holds these bytes, whatever they mean.
///
/// # Errors
/// As [`Write::write_all`]; `InvalidInput` when there are more than `max` of them.
pub fn write_bytes(to: &mut impl Write, body: &[u8], max: u32) -> io::Result<()> {
    send(to, [&[0; LENGTH], body].concat(), max)
}

/// Sends a frame whose first bytes are to be its length. In one piece: whoever waits is woken up once, when all of it is there.
fn send(to: &mut impl Write, mut frame: Vec<u8>, max: u32) -> io::Result<()> {
    let len = u32::try_from(frame.len().saturating_sub(LENGTH)).ok().filter(|len| *len <= max);
    let (Some(len), Some(head)) = (len, frame.first_chunk_mut::<LENGTH>()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is longer than a frame may be"));
    };
    *head = len.to_le_bytes();
    to.write_all(&frame)?;
    to.flush()
}

/// Reads one frame; `None` when the peer closed the stream between two frames.
///
/// # Errors
/// As [`Read::read_exact`]; `InvalidData` for a frame longer than `max` bytes or without the JSON expected.
pub fn read<T: DeserializeOwned>(from: &mut impl Read, max: u32) -> io::Result<Option<T>> {
    let Some(body) = read_bytes(from, max)? else { return Ok(None) };
    serde_json::from_slice(&body).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads the bytes of one frame; `None` when the peer closed the stream between two frames.
///
/// # Errors
/// As [`Read::read_exact`]; `InvalidData` for a frame longer than `max` bytes.
pub fn read_bytes(from: &mut impl Read, max: u32) -> io::Result<Option<Vec<u8>>> {
    let mut len = [0; LENGTH];
    let (first, rest) = len.split_at_mut(1);
    if from.read(first)? == 0 {
        return Ok(None);
    }
    from.read_exact(rest)?;
    let len = u32::from_le_bytes(len);
    if len > max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {len} bytes, {max} are allowed"),
        ));
    }
    let mut body = Vec::new();
    // `take` and a growing buffer: a peer that announces much and sends little costs little.
    if from.take(u64::from(len)).read_to_end(&mut body)? < len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::{read, write, write_bytes};

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mut wire = Vec::new();
        write(&mut wire, &vec!["a", "b"], 64).unwrap();
        write(&mut wire, &vec!["c"], 64).unwrap();
        let mut wire = wire.as_slice();
        assert_eq!(read::<Vec<String>>(&mut wire, 64).unwrap().unwrap(), ["a", "b"]);
        assert_eq!(read::<Vec<String>>(&mut wire, 64).unwrap().unwrap(), ["c"]);
        assert_eq!(read::<Vec<String>>(&mut wire, 64).unwrap(), None);
    }

    #[test]
    fn a_frame_is_sent_in_one_piece() {
        struct Pieces(Vec<Vec<u8>>);
        impl std::io::Write for Pieces {
            fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
                self.0.push(piece.to_vec());
                Ok(piece.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut pieces = Pieces(Vec::new());
        write(&mut pieces, &"a", 64).unwrap();
        write_bytes(&mut pieces, b"", 0).unwrap();
        assert_eq!(pieces.0, [&b"\x03\0\0\0\"a\""[..], b"\0\0\0\0"]);
    }

    #[test]
    fn long_cut_and_foreign_frames_are_refused() {
        let kind = |mut wire: &[u8]| read::<Vec<String>>(&mut wire, 64).unwrap_err().kind();
        assert_eq!(kind(&[0xff, 0xff, 0xff, 0xff]), ErrorKind::InvalidData);
        assert_eq!(kind(&[65, 0, 0, 0]), ErrorKind::InvalidData);
        assert_eq!(kind(&[8, 0]), ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[8, 0, 0, 0, b'[']), ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[2, 0, 0, 0, b'{', b'}']), ErrorKind::InvalidData);
        let too_long = write(&mut Vec::new(), &"x".repeat(65), 64).unwrap_err();
        assert_eq!(too_long.kind(), ErrorKind::InvalidInput);
    }
}

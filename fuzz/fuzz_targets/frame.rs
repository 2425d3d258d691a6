//! Any bytes on the daemon's socket and from its worker: a frame is read whole or not at all, nothing behind it is
//! touched, and what was read is written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svcauthd::control::Request;
use svcauthd::frame::{CONTROL_MAX, WORKER_MAX, read, write};
use svcauthd::job::Part;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    if let Some(request) = one::<Request>(&mut rest, CONTROL_MAX) {
        let mut wire = Vec::new();
        write(&mut wire, &request, CONTROL_MAX).unwrap();
        assert_eq!(read::<Request>(&mut wire.as_slice(), CONTROL_MAX).unwrap(), Some(request));
    }
    let mut rest = bytes;
    while let Some(part) = one::<Part>(&mut rest, WORKER_MAX) {
        let mut wire = Vec::new();
        write(&mut wire, &part, WORKER_MAX).unwrap();
        let again = read::<Part>(&mut wire.as_slice(), WORKER_MAX).unwrap().unwrap();
        assert_eq!(format!("{part:?}"), format!("{again:?}"));
    }
});

/// Reads one frame and checks how much of the stream it took.
fn one<T: serde::de::DeserializeOwned>(rest: &mut &[u8], max: u32) -> Option<T> {
    let before = *rest;
    let announced = before.first_chunk().map(|len| u32::from_le_bytes(*len));
    let result = read::<T>(rest, max);
    let taken = before.len() - rest.len();
    match (&result, announced) {
        (Ok(Some(_)), Some(len)) => assert_eq!(taken, 4 + len as usize),
        (Ok(Some(_)), None) => panic!("a frame without a length"),
        (Ok(None), _) => assert!(before.is_empty()),
        // Nothing of a frame that is too long is read: whoever announces it can only waste his own time.
        (Err(_), Some(len)) if len > max => assert_eq!(taken, 4),
        (Err(_), _) => assert!(taken <= before.len()),
    }
    result.ok().flatten()
}

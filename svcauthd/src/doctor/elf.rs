//! Whether a file is a library that the dynamic linker of this machine takes: the first bytes of it (elf(5)).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::Host;
use super::host::beginning;

/// What the first bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is no such file.
    Missing,
    /// It cannot be loaded, and why.
    Broken(&'static str),
    /// Nothing speaks against it.
    Fine,
}

/// `e_ident`, `e_type` and `e_machine`.
const HEADER: u64 = 20;
/// The whole head of a file of 64 bits, and one program header of it.
const HEAD_64: u64 = 64;
const ENTRY_64: u64 = 56;
/// A segment that is mapped from the file.
const PT_LOAD: u64 = 1;
/// The name of the dynamic linker.
const PT_INTERP: u64 = 3;
/// A library has more than its head; a file that was cut has not.
const LEAST: u64 = 512;
const MAGIC: &[u8] = b"\x7fELF";
const SHARED_OBJECT: u16 = 3;

/// Looks at a library; `own` is a program of this machine.
pub(super) fn look(host: &Host, own: &Path, library: &Path) -> Verdict {
    let path = host.path(library);
    let Ok(meta) = path.metadata() else { return Verdict::Missing };
    let Some(bytes) = beginning(&path, HEADER) else {
        return Verdict::Broken("it is no plain file that can be read");
    };
    if !bytes.starts_with(MAGIC) || bytes.len() as u64 != HEADER {
        return Verdict::Broken("it is no library (no ELF file)");
    }
    if meta.len() < LEAST || is_cut(&path, meta.len()) == Some(true) {
        return Verdict::Broken("it is cut off");
    }
    if kind(&bytes) != Some(SHARED_OBJECT) {
        return Verdict::Broken("it is an ELF file, and no shared library");
    }
    match beginning(own, HEADER) {
        Some(ours) if machine(&ours) != machine(&bytes) => {
            Verdict::Broken("it is a library of another kind of machine")
        }
        _ => Verdict::Fine,
    }
}

/// Whether something that is mapped lies behind the end of the file: a program dies of SIGBUS there, or the linker refuses
/// it. Nothing, for a library of 32 bits.
fn is_cut(path: &Path, len: u64) -> Option<bool> {
    let file = File::open(path).ok()?;
    let head = piece(&file, 0, HEAD_64)?;
    if head.get(4) != Some(&2) {
        return None;
    }
    let is_big = head.get(5) == Some(&2);
    let (at, size) = (number(&head, 32, 8, is_big)?, number(&head, 54, 2, is_big)?);
    for index in 0..number(&head, 56, 2, is_big)? {
        let Some(entry) = at.checked_add(index * size).and_then(|at| piece(&file, at, ENTRY_64)) else {
            return Some(true);
        };
        let (offset, bytes) = (number(&entry, 8, 8, is_big)?, number(&entry, 32, 8, is_big)?);
        let is_mapped = number(&entry, 0, 4, is_big)? == PT_LOAD;
        if is_mapped && offset.checked_add(bytes).is_none_or(|end| end > len) {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether a program asks for the dynamic linker (a segment PT_INTERP); nothing, if it is no ELF file of 64 bits.
pub(super) fn has_interpreter(path: &Path) -> Option<bool> {
    let file = File::open(path).ok()?;
    let head = piece(&file, 0, HEAD_64)?;
    if !head.starts_with(MAGIC) || head.get(4) != Some(&2) {
        return None;
    }
    let is_big = head.get(5) == Some(&2);
    let (at, size) = (number(&head, 32, 8, is_big)?, number(&head, 54, 2, is_big)?);
    for index in 0..number(&head, 56, 2, is_big)? {
        let entry = piece(&file, at.checked_add(index * size)?, ENTRY_64)?;
        if number(&entry, 0, 4, is_big)? == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

/// So many bytes of a file; nothing if it does not have them.
fn piece(file: &File, at: u64, bytes: u64) -> Option<Vec<u8>> {
    let mut piece = vec![0; usize::try_from(bytes).ok()?];
    file.read_exact_at(&mut piece, at).ok()?;
    Some(piece)
}

/// An unsigned number of so many bytes.
fn number(bytes: &[u8], at: usize, len: usize, is_big: bool) -> Option<u64> {
    let field = bytes.get(at..at + len)?;
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    Some(if is_big { field.iter().fold(0, add) } else { field.iter().rev().fold(0, add) })
}

/// Class, byte order and machine.
fn machine(header: &[u8]) -> Option<(&[u8], &[u8])> {
    Some((header.get(4..6)?, header.get(18..20)?))
}

fn kind(header: &[u8]) -> Option<u16> {
    let bytes: [u8; 2] = header.get(16..18)?.try_into().ok()?;
    // 2: the most significant byte first.
    Some(if header.get(5) == Some(&2) { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
}

/// The smallest file that is taken for a library of this machine: a head, one segment, and what it maps.
#[cfg(test)]
pub(super) fn smallest() -> Vec<u8> {
    let mut bytes = beginning(Path::new("/proc/self/exe"), HEAD_64).unwrap();
    bytes[32..40].copy_from_slice(&64_u64.to_ne_bytes());
    bytes[54..58].copy_from_slice(&[56_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat());
    bytes.resize(4096, 0);
    bytes[64..68].copy_from_slice(&1_u32.to_ne_bytes());
    bytes[96..104].copy_from_slice(&4096_u64.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Host, Path, Verdict, look, smallest};

    #[test]
    fn a_library_of_this_machine_is_fine_and_everything_else_says_why() {
        let root = std::env::temp_dir().join(format!("svcauth-elf-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let host = Host::in_folder(&root);
        let verdict = |bytes: &[u8]| {
            std::fs::write(root.join("x.so"), bytes).unwrap();
            look(&host, Path::new("/proc/self/exe"), Path::new("/x.so"))
        };
        let own = smallest();
        assert_eq!(verdict(&own), Verdict::Fine);
        let changed = |at: usize, byte: u8| {
            let mut bytes = own.clone();
            bytes[at] = byte;
            bytes
        };
        assert_eq!(verdict(b""), Verdict::Broken("it is no library (no ELF file)"));
        assert_eq!(verdict(&[b'x'; 4096]), Verdict::Broken("it is no library (no ELF file)"));
        for len in [100, 600, 4095] {
            assert_eq!(verdict(&own[..len]), Verdict::Broken("it is cut off"), "{len}");
        }
        assert_eq!(
            verdict(&changed(18, 0xee)),
            Verdict::Broken("it is a library of another kind of machine")
        );
        assert_eq!(verdict(&changed(16, 1)), Verdict::Broken("it is an ELF file, and no shared library"));
        std::fs::remove_file(root.join("x.so")).unwrap();
        assert_eq!(look(&host, Path::new("/proc/self/exe"), Path::new("/x.so")), Verdict::Missing);
        std::fs::create_dir(root.join("x.so")).unwrap();
        let folder = look(&host, Path::new("/proc/self/exe"), Path::new("/x.so"));
        assert_eq!(folder, Verdict::Broken("it is no plain file that can be read"));
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn every_library_of_this_machine_is_fine_and_half_of_one_is_cut_off() {
        let root = std::env::temp_dir().join(format!("svcauth-elf-real-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let named = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        let mut libraries: Vec<&str> = named.filter(|path| path.contains(".so")).collect();
        libraries.dedup();
        assert!(libraries.iter().any(|path| path.contains("libc.so")), "{libraries:?}");
        for library in libraries {
            let bytes = std::fs::read(library).unwrap();
            let verdict = |bytes: &[u8]| {
                std::fs::write(root.join("x.so"), bytes).unwrap();
                look(&Host::in_folder(&root), Path::new("/proc/self/exe"), Path::new("/x.so"))
            };
            assert_eq!(verdict(&bytes), Verdict::Fine, "{library}");
            assert_eq!(verdict(&bytes[..bytes.len() / 2]), Verdict::Broken("it is cut off"), "{library}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
}

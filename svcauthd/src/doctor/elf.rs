//! Whether a file is a library that the dynamic linker of this machine takes: the first bytes of it (elf(5)).

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
/// A library has more than its headers; a file that was cut has not.
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
    if meta.len() < LEAST {
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

/// Class, byte order and machine.
fn machine(header: &[u8]) -> Option<(&[u8], &[u8])> {
    Some((header.get(4..6)?, header.get(18..20)?))
}

fn kind(header: &[u8]) -> Option<u16> {
    let bytes: [u8; 2] = header.get(16..18)?.try_into().ok()?;
    // 2: the most significant byte first.
    Some(if header.get(5) == Some(&2) { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
}

#[cfg(test)]
mod tests {
    use super::{Host, Path, Verdict, look};

    #[test]
    fn a_library_of_this_machine_is_fine_and_everything_else_says_why() {
        let root = std::env::temp_dir().join(format!("svcauth-elf-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let host = Host::in_folder(&root);
        let verdict = |bytes: &[u8]| {
            std::fs::write(root.join("x.so"), bytes).unwrap();
            look(&host, Path::new("/proc/self/exe"), Path::new("/x.so"))
        };
        // A program that can be loaded anywhere is a shared object, as this one is.
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(verdict(&own), Verdict::Fine);
        let changed = |at: usize, byte: u8| {
            let mut bytes = own.clone();
            bytes[at] = byte;
            bytes
        };
        assert_eq!(verdict(b""), Verdict::Broken("it is no library (no ELF file)"));
        assert_eq!(verdict(&[b'x'; 4096]), Verdict::Broken("it is no library (no ELF file)"));
        assert_eq!(verdict(&own[..100]), Verdict::Broken("it is cut off"));
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
}

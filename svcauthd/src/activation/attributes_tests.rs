use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
use rustix::io::Errno;

use super::Attributes;
use crate::activation::change::{Change, Content, Part, commit, prepare};

/// As `setfacl -m u:65534:r` makes it of the mode 0640: version 2, and then owner, user, group, mask and others.
const LIST: &[u8] = &[
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 254, 255, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
    16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
];
const ACL: &str = "system.posix_acl_access";

fn scratch(name: &str) -> (PathBuf, PathBuf) {
    let folder = std::env::temp_dir().join(format!("svcauth-attributes-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("nsswitch.conf");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    (folder, path)
}

/// `false`: this file system has none of that kind (on tmpfs those of users since Linux 6.6).
fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    match lsetxattr(path, name, value, XattrFlags::empty()) {
        Err(Errno::OPNOTSUPP) => false,
        other => other.map(|()| true).unwrap(),
    }
}

fn get(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    match lgetxattr(path, name, value.as_mut_slice()) {
        Err(Errno::NODATA) => None,
        other => {
            value.truncate(other.unwrap());
            Some(value)
        }
    }
}

fn replace(path: &Path, content: &Content) {
    prepare(path, content).unwrap();
    commit(path, Some(content)).unwrap();
}

#[test]
fn a_file_that_takes_the_place_of_another_has_its_list_and_attributes() {
    let (folder, path) = scratch("carried");
    assert!(set(&path, ACL, LIST), "no lists on this file system");
    let has_users = set(&path, "user.origin", b"site\0\xff");
    let old = Content::read(&path).unwrap().unwrap();
    assert_eq!(old.mode, 0o640);
    for content in [old.with(b"new".to_vec()), old.clone()] {
        replace(&path, &content);
        assert_eq!(get(&path, ACL).as_deref(), Some(LIST));
        assert_eq!(get(&path, "user.origin"), has_users.then(|| b"site\0\xff".to_vec()));
        assert_eq!(Content::read(&path), Ok(Some(content)));
    }
    // What somebody gives it later stays, and is no edit; what was taken away does not come back.
    let is_given = set(&path, "user.later", b"1");
    rustix::fs::lremovexattr(&path, ACL).unwrap();
    assert_eq!(Content::read(&path).unwrap().as_ref(), Some(&old));
    replace(&path, &old);
    assert_eq!((get(&path, ACL), get(&path, "user.later")), (None, is_given.then(|| b"1".to_vec())));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_that_is_gone_comes_back_with_what_was_written_down() {
    let (folder, path) = scratch("gone");
    assert!(set(&path, ACL, LIST), "no lists on this file system");
    let old = Content::read(&path).unwrap();
    let change = Change { path: path.clone(), part: Part::Nsswitch, old, new: None };
    let text = serde_json::to_string(&change).unwrap();
    fs::remove_file(&path).unwrap();
    let written: Change = serde_json::from_str(&text).unwrap();
    replace(&path, written.old.as_ref().unwrap());
    assert_eq!(get(&path, ACL).as_deref(), Some(LIST));
    // A journal of before attributes were written down.
    let older = text.split(",\"attributes\"").next().unwrap().to_owned() + "},\"new\":null}";
    let older: Change = serde_json::from_str(&older).unwrap();
    assert!(older.old == written.old && older.old.is_some_and(|old| old.attributes.is_none()));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_list_that_a_folder_gives_to_new_files_is_not_taken_for_that_of_the_old_one() {
    let (folder, path) = scratch("default");
    assert!(set(&folder, "system.posix_acl_default", LIST), "no lists on this file system");
    File::create(folder.join("other")).unwrap();
    assert!(get(&folder.join("other"), ACL).is_some(), "the folder gives none");
    let old = Content::read(&path).unwrap().unwrap();
    replace(&path, &old.with(b"new".to_vec()));
    assert_eq!(get(&path, ACL), None);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_vouches_for_the_old_bytes_is_not_carried_over() {
    for (name, carried) in [
        ("user.a", true),
        ("security.selinux", true),
        (ACL, true),
        ("security.ima", false),
        ("security.evm", false),
        ("security.capability", false),
        ("trusted.overlay.opaque", false),
        ("system.posix_acl_default", false),
    ] {
        assert_eq!(super::is_carried(name.as_bytes()), carried, "{name}");
    }
    assert_eq!(Attributes::at(Path::new("/nonexistent/x")).unwrap(), None);
}

//! The local users and groups of a world: the distribution's own, and those a test adds.

use std::fs;
use std::os::unix::fs::chown;

use crate::failure::{Context, Outcome};

/// Where the distribution stops giving out ids for its own services.
const FIRST_PERSON: u32 = 1000;
/// The id that means nobody.
const NOBODY: u32 = 65534;

/// Takes the machine's own people out of passwd, group and shadow, so that a test starts the same everywhere.
pub(super) fn keep_system_entries() -> Outcome {
    let passwd = system_entries(&fs::read_to_string("/etc/passwd")?);
    let shadow: String = passwd.lines().filter_map(|line| line.split(':').next()).map(shadow_line).collect();
    let group = without_members(&system_entries(&fs::read_to_string("/etc/group")?));
    fs::write("/etc/passwd", passwd)?;
    fs::write("/etc/shadow", shadow)?;
    fs::write("/etc/group", group)?;
    Ok(())
}

/// Adds a user with a group of the same name and id, and a home folder.
pub(super) fn add_user(name: &str, id: u32) -> Outcome {
    append("/etc/passwd", &format!("{name}:x:{id}:{id}:{name}:/home/{name}:/bin/bash\n"))?;
    append("/etc/group", &format!("{name}:x:{id}:\n"))?;
    append("/etc/shadow", &shadow_line(name))?;
    make_home(name, id, id)
}

/// Adds an account for a service: no home, no shell.
pub(super) fn add_service(name: &str, id: u32) -> Outcome {
    append("/etc/passwd", &format!("{name}:x:{id}:{id}::/nonexistent:/usr/sbin/nologin\n"))?;
    append("/etc/group", &format!("{name}:x:{id}:\n"))?;
    append("/etc/shadow", &shadow_line(name))
}

/// Makes `/home/<name>` with the given owner.
pub(super) fn make_home(name: &str, uid: u32, gid: u32) -> Outcome {
    let home = format!("/home/{name}");
    fs::create_dir_all(&home).doing(format!("make {home}"))?;
    chown(&home, Some(uid), Some(gid)).doing(format!("give {home} to {uid}:{gid}"))
}

/// No password that could match, and not locked: keys work.
fn shadow_line(name: &str) -> String {
    format!("{name}:*:19700:0:99999:7:::\n")
}

fn append(path: &str, line: &str) -> Outcome {
    let mut text = fs::read_to_string(path)?;
    text.push_str(line);
    fs::write(path, text).doing(format!("write {path}"))
}

/// The lines of a passwd or group file whose id belongs to the distribution, svcauth's own apart.
fn system_entries(file: &str) -> String {
    let is_system = |line: &&str| {
        let id = line.split(':').nth(2).and_then(|id| id.parse().ok());
        id.is_some_and(|id: u32| id < FIRST_PERSON || id == NOBODY) && !line.starts_with("svcauth:")
    };
    file.lines().filter(is_system).map(|line| format!("{line}\n")).collect()
}

fn without_members(group: &str) -> String {
    let bare = |line: &str| line.rsplit_once(':').map(|(entry, _)| format!("{entry}:\n"));
    group.lines().filter_map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_of_the_machine_do_not_enter_a_world() {
        let file = "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\nsvcauth:x:998:998::/:/bin/false\n\
                    nobody:x:65534:65534::/:/bin/false\n";
        let kept: Vec<_> =
            system_entries(file).lines().map(|l| l.split(':').next().unwrap().to_owned()).collect();
        assert_eq!(kept, ["root", "nobody"]);
    }

    #[test]
    fn local_groups_start_without_members() {
        assert_eq!(without_members("sudo:x:27:me,you\n"), "sudo:x:27:\n");
    }
}

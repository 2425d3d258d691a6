//! What programs see.

use std::process::Command;
use std::thread;

use crate::lookups_ffi::{Told, account, all_accounts, groups_of};
use crate::room::snapshots::{self, FIRST_ID, file, publish, small, withdraw};

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

const NO_SUCH_USER: Told = Told { error: 0, entry: None };

crate::on_stage! {
    fn getent_and_id_know_the_accounts_that_no_local_file_has() {
        publish(&small(1));
        assert_eq!(
            output_of("getent", &["passwd", "deployer"]),
            "deployer:*:100001:100000:Robot deployer:/home/deployer:/bin/bash"
        );
        assert_eq!(output_of("getent", &["passwd", "100002"]).split(':').next(), Some("jenkins"));
        assert_eq!(output_of("getent", &["group", "application"]), "application:*:100100:alice,bob,carol");
        assert_eq!(output_of("getent", &["group", "100000"]), "robots:*:100000:");
        assert_eq!(
            output_of("id", &["deployer"]),
            "uid=100001(deployer) gid=100000(robots) groups=100000(robots),100100(application)"
        );
        let listed = output_of("getent", &["passwd"]);
        assert!(["root:", "deployer:", "jenkins:"].iter().all(|name| listed.contains(name)), "{listed}");
    }

    fn local_accounts_resolve_whatever_the_snapshot_is() {
        let root = account(c"root");
        assert_eq!(root.entry.as_ref().map(|entry| entry.uid), Some(0));
        publish(&small(1));
        assert_eq!(account(c"root"), root);
        publish(b"not a snapshot");
        assert_eq!((account(c"root"), account(c"0"), account(c"no:such")), (root, NO_SUCH_USER, NO_SUCH_USER));
        assert_eq!(output_of("id", &["-u", "root"]), "0");
    }

    fn a_stranger_is_no_such_user_and_a_lost_snapshot_is_an_error() {
        publish(&small(1));
        assert_eq!(account(c"stranger"), NO_SUCH_USER);
        publish(b"not a snapshot");
        assert_eq!(account(c"deployer"), Told { error: libc::EBADMSG, entry: None });
        withdraw();
        assert_eq!(account(c"deployer"), Told { error: libc::ENOENT, entry: None });
    }

    fn four_threads_get_the_whole_group_list() {
        let gids: Vec<_> = (0..200).map(|step| FIRST_ID + 1 + step).collect();
        publish(&file(1, &[snapshots::account("deployer", FIRST_ID + 1, &gids)], &[]));
        let expected = [&[FIRST_ID], &gids[..]].concat();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        assert_eq!(groups_of(c"deployer", FIRST_ID), expected);
                    }
                });
            }
        });
    }

    fn a_listing_holds_every_account_of_both_services_once() {
        let accounts: Vec<_> = (0..2_000)
            .map(|index| snapshots::account(&format!("svc{index}"), FIRST_ID + index, &[]))
            .collect();
        publish(&file(1, &accounts, &[]));
        let mut names = all_accounts();
        assert!(names.contains(&"root".to_owned()));
        names.retain(|name| name.starts_with("svc"));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 2_000);
    }
}

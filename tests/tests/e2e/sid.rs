//! Ids computed from SIDs, with the real sssd on the same host as the judge.

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::program::Program;
use svcauth_tests::samba::{Samba, account_dn, example, group, person_dn};
use svcauth_tests::sssd::Sssd;
use svcauth_tests::world::World;

use crate::host::Plan;

cases!("sid":
    accounts_and_groups_have_the_ids_that_sssd_gives_them_and_posix_attributes_do_not_count,
);

/// The fields of a line of passwd or group, as one source of the name service gives it.
fn line(source: &str, map: &str, name: &str) -> Outcome<Vec<String>> {
    let asked = Program::new("getent").args(&["-s", source, map, name]).run()?.expect_ok()?;
    Ok(asked.text().split(':').map(str::to_owned).collect())
}

fn ids(source: &str, map: &str, name: &str) -> Outcome<(u32, u32)> {
    let fields = line(source, map, name)?;
    let id = |place: usize| fields.get(place).and_then(|field| field.parse().ok()).unwrap_or_default();
    Ok((id(2), if map == "passwd" { id(3) } else { 0 }))
}

fn accounts_and_groups_have_the_ids_that_sssd_gives_them_and_posix_attributes_do_not_count(
    world: &mut World,
) -> Outcome {
    let mut plan = Plan::new(world)?;
    let dn = account_dn("robot");
    let more = format!("dn: {dn}\nobjectClass: user\nsAMAccountName: robot\nuserAccountControl: 544\n\n")
        + &group("robots", "description: x", &[dn.clone(), person_dn("bob")]);
    let ldif = example(
        &[("alice", plan.key("alice")?), ("bob", plan.key("bob")?), ("carol", plan.key("carol")?)],
        &more,
    );
    let samba = Samba::start(world, &ldif)?;
    Samba::serve(world, &mut plan.site)?;
    plan.site.configure("id_range = \"7000-7999\"", "id_map = \"sid\"\nid_range = \"200000-2000199999\"")?;
    plan.site.configure("accounts = [\"deployer\"]", "accounts = [\"deployer\", \"robot\"]")?;
    let host = plan.start(world)?;
    // Another primary group than the one that everybody has; only a member may get it.
    let guests = "CN=Domain Guests,CN=Users,DC=example,DC=com";
    samba.modify(&format!(
        "dn: {guests}\nchangetype: modify\nadd: member\nmember: {dn}\n\n\
         dn: {dn}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: 514\n"
    ))?;
    host.daemon.sync()?;
    let sssd = Sssd::start(world, "deployer")?;
    for (map, name) in
        [("passwd", "deployer"), ("passwd", "robot"), ("group", "application"), ("group", "robots")]
    {
        let (theirs, ours) = (ids("sss", map, name)?, ids("svcauth", map, name)?);
        require(theirs.0 >= 200_000, || format!("sssd: {map} {name}: {theirs:?}"))?;
        require_eq(name, &ours, &theirs)?;
    }
    let (deployer, robot) = (ids("svcauth", "passwd", "deployer")?, ids("svcauth", "passwd", "robot")?);
    require_eq("Domain Guests follows Domain Users", &robot.1, &(deployer.1 + 1))?;
    sssd.stop()?;
    require(deployer.0 != 7001, || "uidNumber counted".to_owned())?;
    world.home("deployer", deployer.0, deployer.1)?;
    let shown = host.ssh("bob", "deployer", &["id -u; id -g"])?.expect_ok()?;
    require_eq("id", shown.text(), &format!("{}\n{}", deployer.0, deployer.1))?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
}

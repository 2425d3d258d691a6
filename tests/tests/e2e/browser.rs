//! The pages of reports in a real Chromium. What it makes of hostile names is in `svcauthd/tests/report_pages.rs`: the daemon
//! refuses such names long before.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use svcauth_tests::browser::Browser;
use svcauth_tests::cases;
use svcauth_tests::directory::{account_dn, group_dn, person_dn};
use svcauth_tests::failure::{Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::site::{list_at, svcauth, text_at};
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("browser":
    an_access_page_shows_every_row_and_way_filters_and_sorts_and_asks_for_nothing,
    an_access_page_is_of_use_without_its_script,
);

const PAGE: &str = "/run/world/access.html";

/// A host with a role that people hold directly and by two groups, two accounts, and jobs.
fn host(world: &World) -> Outcome<Host> {
    let mut plan = Plan::new(world)?;
    let directory = &mut plan.site.directory;
    directory.account("jenkins", 7002, 7000);
    directory.account("idle", 7003, 7000);
    for login in ["dana", "erik"] {
        let key = world.key(login)?;
        directory.person(login, &key);
    }
    directory.group("contractors", 7051, &[person_dn("dana")]);
    directory.group("team", 7050, &[person_dn("carol"), group_dn("contractors")]);
    directory.group("build", 7052, &[person_dn("erik"), group_dn("team"), account_dn("jenkins")]);
    plan.site.access(
        "[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\nservices = [\"sshd\", \"su\", \"login\"]\n\n\
         [[access]]\naccounts = [\"jenkins\"]\nroles = [\"build\"]\nservices = [\"sshd\", \"cron\"]\nfrom = [\"10.0.0.0/8\"]\n\n\
         [[access]]\naccounts = [\"jenkins\"]\nroles = [\"application\"]\nservices = [\"cron\"]\n",
    );
    plan.start(world)
}

fn json_report() -> Outcome<Value> {
    let ended = svcauth(&["report", "access", "--format", "json"])?.expect_ok()?;
    serde_json::from_str(&ended.stdout).map_err(|error| Failure::new(error.to_string()))
}

/// What the graph has to show: a step for each pair of neighbours on the way of a row.
fn steps(report: &Value) -> BTreeSet<String> {
    let mut steps = BTreeSet::new();
    for row in list_at(report, "/access") {
        for role in list_at(row, "/roles") {
            let groups = list_at(role, "/path").iter().filter_map(Value::as_str);
            let way: Vec<&str> = [text_at(row, "/person")]
                .into_iter()
                .chain(groups)
                .chain([text_at(row, "/account")])
                .collect();
            steps.extend(way.windows(2).map(|pair| pair.join(" > ")));
        }
    }
    steps
}

/// The same, read from the picture: lines are followed over places where no box is.
const DRAWN: &str = r##"(() => {
    const name = new Map([...document.querySelectorAll("#graph .node")].map((node) => {
        const title = node.querySelector("title").textContent;
        return [node.dataset.node, title.slice(title.indexOf(" ") + 1)];
    }));
    const edges = [...document.querySelectorAll("#graph .edge")].map((edge) => [edge.dataset.from, edge.dataset.to]);
    const ends = (at) => name.has(at) ? [at] : edges.filter((edge) => edge[0] === at).flatMap((edge) => ends(edge[1]));
    return edges.filter((edge) => name.has(edge[0]))
        .flatMap((edge) => ends(edge[1]).map((end) => `${name.get(edge[0])} > ${name.get(end)}`));
})()"##;

/// The visible rows of a table, each as its text.
fn rows(browser: &mut Browser, table: &str) -> Outcome<Vec<String>> {
    let shown = format!(
        "[...document.querySelectorAll('#{table} tbody tr')].filter((row) => row.checkVisibility())\
         .map((row) => [...row.cells].map((cell) => cell.innerText.trim()).join(' | '))"
    );
    strings(&browser.value(&shown)?)
}

fn strings(value: &Value) -> Outcome<Vec<String>> {
    let list = value.as_array().ok_or_else(|| Failure::new(format!("no list: {value}")))?;
    Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn opened(world: &World) -> Outcome<Browser> {
    let mut browser = Browser::start(world)?;
    svcauth(&["report", "access", "--format", "html", "-o", PAGE])?.expect_ok()?;
    browser.open(Path::new(PAGE))?;
    Ok(browser)
}

/// It asked for itself alone, and nothing went wrong.
fn is_quiet(browser: &mut Browser) -> Outcome {
    require_eq("what the page asked for", &browser.requests()?, &vec![format!("file://{PAGE}")])?;
    require_eq("what was complained about", &browser.complaints()?, &Vec::<String>::new())
}

fn an_access_page_shows_every_row_and_way_filters_and_sorts_and_asks_for_nothing(
    world: &mut World,
) -> Outcome {
    let _host = host(world)?;
    let report = json_report()?;
    require_eq("the rows of the report", &list_at(&report, "/access").len(), &5)?;
    let mut browser = opened(world)?;
    let all = rows(&mut browser, "access")?;
    require_eq("the rows of the page", &all.len(), &5)?;
    for row in list_at(&report, "/access") {
        let (account, person) = (text_at(row, "/account"), text_at(row, "/person"));
        let is_it = |shown: &&String| shown.starts_with(account) && shown.contains(&format!("| {person} |"));
        require_eq(&format!("rows of {person} on {account}"), &all.iter().filter(is_it).count(), &1)?;
    }
    let drawn: BTreeSet<String> = strings(&browser.value(DRAWN)?)?.into_iter().collect();
    require_eq("the steps of the graph", &drawn, &steps(&report))?;
    require_eq("jobs", &rows(&mut browser, "jobs")?.len(), &1)?;
    filters_and_sorts(&mut browser)?;
    is_quiet(&mut browser)?;
    let printed = browser.print()?;
    require(printed.starts_with("JVBERi0") && printed.len() > 10_000, || "no PDF".to_owned())
}

fn filters_and_sorts(browser: &mut Browser) -> Outcome {
    let type_in = |browser: &mut Browser, words: &str, left: usize| {
        let script = format!(
            "(() => {{ const box = document.getElementById('filter'); box.value = '{words}'; \
             box.dispatchEvent(new Event('input')); return new Promise((done) => setTimeout(done, 50)); }})()"
        );
        browser.value(&script)?;
        // The filter runs when the browser has nothing else to do.
        wait_until(&format!("{left} rows with {words:?}"), Duration::from_secs(60), || {
            rows(browser, "access").ok().filter(|rows| rows.len() == left)
        })
    };
    let found = type_in(browser, "CONTRACTORS dana", 1)?;
    require(found.iter().all(|row| row.contains("dana")), || format!("{found:?}"))?;
    let output = browser.value("document.getElementById('shown').value")?;
    require_contains("the count", output.as_str().unwrap_or_default(), "1 of ")?;
    type_in(browser, "nowhere", 0)?;
    type_in(browser, "", 5)?;
    let people = "[...document.querySelectorAll('#access tbody tr')].map((row) => row.cells[1].innerText)";
    let head = "document.querySelectorAll('#access thead button')[1]";
    let mut sorted = ["alice", "bob", "carol", "dana", "erik"];
    for direction in ["ascending", "descending"] {
        browser.value(&format!("{head}.click()"))?;
        require_eq("the people", &strings(&browser.value(people)?)?, &sorted.map(str::to_owned).to_vec())?;
        let told = browser.value(&format!("{head}.parentNode.getAttribute('aria-sort')"))?;
        require_eq("the order that is told", told.as_str().unwrap_or_default(), direction)?;
        sorted.reverse();
    }
    let tick = "document.querySelector('.sign .keep input').click(); document.querySelector('.sign .remove input').click(); \
                document.getElementById('progress').value";
    let told = browser.value(tick)?;
    require_eq("the review", told.as_str().unwrap_or_default(), "reviewed 1 of 5: keep 0, remove 1")
}

fn an_access_page_is_of_use_without_its_script(world: &mut World) -> Outcome {
    let _host = host(world)?;
    let mut browser = opened(world)?;
    let filter = "document.getElementById('filter').checkVisibility()";
    require_eq("the filter with the script", &browser.value(filter)?, &Value::Bool(true))?;
    browser.run_scripts(false)?;
    browser.open(Path::new(PAGE))?;
    require_eq("the filter without it", &browser.value(filter)?, &Value::Bool(false))?;
    require_eq("the rows", &rows(&mut browser, "access")?.len(), &5)?;
    let boxes = browser.value("document.querySelectorAll('#graph .node').length")?;
    require(boxes.as_u64().is_some_and(|count| count > 8), || format!("{boxes} nodes"))
}

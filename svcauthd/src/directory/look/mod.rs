//! Looks at a directory step by step, for `svcauth setup`: the name, the connection, the certificate, the bind, and what is
//! in the tree. Each step says what it found, or what is wrong and what to do.
//!
//! What counts is done by the code of the daemon; only what explains a refusal is done here besides.

mod census;
mod certificate;
mod steps;
#[cfg(test)]
mod tests;

pub use census::{Census, Container};

use super::FetchError;
use super::file;
use super::reach;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use svcauth_core::config::{Config, DirectoryKind, Tls};

/// What the process that looks is asked. Not `Debug`: it holds the bind password.
#[derive(Serialize, Deserialize)]
pub enum Ask {
    /// Which of these domains has controllers, by DNS?
    Domains(Vec<String>),
    /// What is there, by this configuration? Its bases need not be right.
    Look {
        /// The text of the configuration.
        config: String,
        /// The bind password.
        secret: Option<String>,
        /// Seconds that all of it may take.
        seconds: u64,
    },
}

/// What it says; the last one is `End`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// A domain that has controllers, and the first few of them.
    Domain(String, Vec<String>),
    /// How a step went.
    Step(Step),
    /// What the tree holds.
    Census(Census),
    /// Nothing more comes.
    End,
}

/// One step of a look. All texts are as the server gave them: whoever shows them escapes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was tried: `name`, `connection`, `tls`, `bind`, `tree`.
    pub what: String,
    /// Whether it went well.
    pub ok: bool,
    /// What was found, or what is wrong.
    pub said: String,
    /// What to do, when it did not go well.
    pub next: Option<String>,
}

impl Step {
    fn good(what: &str, said: impl Into<String>) -> Self {
        Self { what: what.to_owned(), ok: true, said: said.into(), next: None }
    }
    fn bad(what: &str, said: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.to_owned(), ok: false, said: said.into(), next: Some(next.into()) }
    }
}

/// Most controllers that are tried.
const CONTROLLERS: usize = 3;
/// Longest wait for DNS about one domain.
const DNS: Duration = Duration::from_secs(8);

/// Answers one question, blocking.
///
/// # Errors
/// When `tell` does, or there is no runtime.
pub fn answer(ask: Ask, tell: &mut dyn FnMut(Told) -> std::io::Result<()>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut said = Vec::new();
    match ask {
        Ask::Domains(domains) => runtime.block_on(named(domains, &mut said)),
        Ask::Look { config, secret, seconds } => {
            let deadline = Duration::from_secs(seconds);
            let mut keep = |told| tell(told).is_ok();
            let look = look(&config, secret.as_deref(), deadline, &mut keep);
            if runtime.block_on(async { tokio::time::timeout(deadline, look).await }).is_err() {
                let next = "is the server or the network overloaded?";
                said.push(Told::Step(Step::bad("tree", format!("not done within {seconds} s"), next)));
            }
        }
    }
    // A lookup that hangs in the C library is not waited for.
    runtime.shutdown_background();
    said.into_iter().chain([Told::End]).try_for_each(tell)
}

async fn named(domains: Vec<String>, said: &mut Vec<Told>) {
    for domain in domains {
        if let Ok(uris) = reach::controllers(&domain, Tls::Ldaps, DNS).await {
            said.push(Told::Domain(domain, uris.iter().take(CONTROLLERS).map(ToString::to_string).collect()));
        }
    }
}

/// Whoever listens; says whether somebody still does.
type Tell<'a> = dyn FnMut(Told) -> bool + 'a;

async fn look(config: &str, secret: Option<&str>, time: Duration, tell: &mut Tell<'_>) {
    let config = match Config::parse(config) {
        Ok(config) => config,
        Err(error) => {
            tell(Told::Step(Step::bad("configuration", error.to_string(), "check the answers")));
            return;
        }
    };
    let deadline = Instant::now() + time;
    match &config.directory.kind {
        DirectoryKind::Ldif { file: path } => {
            let mut census = census::Counter::new(&config);
            let read = file::each(path, &mut |entry| census.take(entry));
            let step = match read {
                Ok(()) => Step::good("file", format!("{} can be read", path.display())),
                Err(error) => {
                    Step::bad("file", error.to_string(), "put that right, or name another file with --file")
                }
            };
            let is_good = step.ok;
            tell(Told::Step(step));
            if is_good {
                tell(Told::Census(census.finish(Vec::new())));
            }
        }
        DirectoryKind::Ldap(_) | DirectoryKind::Ad(_) => {
            steps::servers(&config, secret, deadline, tell).await;
        }
    }
}

/// What an error of the directory is told as: without the name of the server, which stands before all steps.
fn told(error: &FetchError, server: &str) -> String {
    let text = error.to_string();
    text.strip_prefix(&format!("{server}: ")).map_or_else(|| text.clone(), str::to_owned)
}

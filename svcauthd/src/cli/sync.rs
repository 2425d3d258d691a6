//! `svcauth sync`

use std::process::ExitCode;

use super::client::ask_and_watch;
use super::output::{Failure, json, line};
use super::progress::Progress;
use super::{Done, SyncArgs};
use crate::control::{Reply, Request};

pub(super) fn run(args: &SyncArgs) -> Done {
    let mut bar = Progress::new(args.progress);
    let request =
        Request::Sync { accept_shrink: args.accept_shrink, whole: args.full, progress: args.progress };
    let reply = ask_and_watch(&request, None, &mut |counts| bar.show(counts));
    bar.end();
    match reply? {
        Reply::Synced { generation } if args.json.json => {
            json(&serde_json::json!({ "generation": generation }))?
        }
        Reply::Synced { generation } => line(&generation.to_string())?,
        Reply::Failed { reason } => {
            if args.json.json {
                json(&serde_json::json!({ "error": reason }))?;
            }
            return Err(Failure::new(reason));
        }
        Reply::Status(_) | Reply::Progress(_) | Reply::Approved { .. } | Reply::Noted {} => {
            return Err(Failure::new("svcauthd gave an answer to another question; is it of this version?"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

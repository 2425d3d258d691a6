//! `svcauth sync`

use std::process::ExitCode;

use super::client::ask;
use super::output::{Failure, json, line};
use super::{Done, SyncArgs};
use crate::control::{Reply, Request};

pub(super) fn run(args: &SyncArgs) -> Done {
    match ask(&Request::Sync { accept_shrink: args.accept_shrink }, None)? {
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
        Reply::Status(_) => {
            return Err(Failure::new("svcauthd gave an answer to another question; is it of this version?"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

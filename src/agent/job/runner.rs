//! Reads what is to be done, has it done, and ends as [`ends`](super::ends) says.

use std::process::ExitCode;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    backup,
    context::Context,
    ends::{NOT_UNDERSTOOD, end},
    maintain, objects, restore,
    settings::JobSettings,
    verify,
};
use crate::job::{Failed, Said, Work};

/// Does the work, and gives the exit code.
pub async fn run(settings: JobSettings, cancel: CancellationToken) -> ExitCode {
    let work = match serde_json::from_str::<Work>(&settings.work) {
        Ok(work) => work,
        Err(error) => {
            tracing::error!(%error, "what is to be done is not understood");
            return NOT_UNDERSTOOD.into();
        }
    };
    let context = Context::new(settings.folders, cancel);
    match work {
        Work::Backup(work) => {
            let came = backup::run(work, &context).await;
            ended(&context, came.failed.as_ref(), &came)
        }
        Work::Maintain(work) => {
            let came = maintain::run(work, &context).await;
            ended(&context, came.failed.as_ref(), &came)
        }
        Work::Restore(work) => {
            let came = restore::run(work, &context).await;
            ended(&context, came.failure.as_ref(), &came)
        }
        Work::Verify(work) => {
            let came = verify::run(work, &context).await;
            ended(&context, came.failed.as_ref(), &came)
        }
        Work::Objects(work) => {
            let came = objects::run(work, &context).await;
            ended(&context, came.failed.as_ref(), &came)
        }
    }
}

fn ended(context: &Context, failed: Option<&Failed>, came: &impl Serialize) -> ExitCode {
    end(context.cancel.is_cancelled(), failed, || context.told.say(&Said::Done(came)))
}

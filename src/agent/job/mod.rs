//! What the pod of a Job does: `mail-agent job` reads its [`Work`](crate::job::Work), does it, and says what came of it.
//!
//! ```text
//!  WORK ──▶ runner ──▶ backup │ maintain │ verify │ restore │ objects ──▶ lines of Said, an exit code
//! ```
//!
//! The exit code says whether trying again is of use, so that a Job with a few tries does not repeat what is hopeless:
//!
//! | code | what it means | line |
//! |---|---|---|
//! | 0 | it was done | `done`, without a reason |
//! | 1 | it may go better next time: a server was away, a lock was held; or it was asked to end, and has not | `done` with the reason; none if it was asked to end |
//! | 2 | its environment is not understood | none |
//! | 3 | it will not go better: the password is wrong, a message has no file | `done` with the reason |

mod backup;
mod context;
mod ends;
mod maintain;
mod objects;
mod restore;
mod runner;
mod settings;
mod told;
mod verify;

pub use self::{
    context::Context,
    runner::run,
    settings::{Folders, JobSettings},
    told::Told,
};

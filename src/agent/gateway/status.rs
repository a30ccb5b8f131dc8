//! What the operator asks a gateway. Figures of its parts come in, one answer goes out.

use axum::{Json, Router as Routes, routing::get};
use serde_json::json;

use super::{audit::Audit, router::Stores};
use crate::{
    agent::{directory::Replica, sending::Sending, sockets::passwords::ldap::Services},
    journal::writer::Journal,
};

/// `/status`: from which Secrets of the directory, and which issue of them, daemons are answered; who sends in
/// bulk; and how the journal, what is unaccounted for, directory services, and stores that are probed are, if there are any.
pub(super) fn routes(
    replica: &Replica,
    journal: (Option<Journal>, Audit),
    (sending, services): (Sending, Services),
    stores: Stores,
) -> Routes {
    let replica = replica.clone();
    let answer = async move || {
        let mut answer = json!({ "directory": replica.issued(), "bulk": sending.bulk() });
        if let (Some(journal), audit) = &journal {
            answer["journal"] = json!(journal.report());
            answer["audit"] = json!(audit.report());
        }
        let reports = services.reports();
        if !reports.is_empty() {
            answer["ldap"] = json!(reports);
        }
        if let Some(probed) = stores.probed() {
            answer["stores"] = json!(probed);
        }
        Json(answer)
    };
    Routes::new().route("/status", get(answer))
}

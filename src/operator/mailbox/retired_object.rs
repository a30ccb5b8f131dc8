//! Making and deleting the objects that stand for retired mail.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams},
};
use tokio::time::Duration;

use super::{
    cluster::is_code,
    controller::{Controller, LATER},
    index::Key,
    outcome::Outcome,
    statuses::Target,
};
use crate::{
    api::{RetiredMailbox, RetiredMailboxSpec, domain::SystemRef},
    directory::Retired,
    names::SystemName,
    operator::cluster::is_terminating,
};

/// An object that is there and was not seen yet is looked for again after this long.
const AGAIN: Duration = Duration::from_secs(1);

impl Controller {
    /// Deletes an object that stands for nothing.
    pub(super) fn unshow(&mut self, key: Key) {
        self.waiting.forget(&Target::Retired(key.clone()));
        self.statuses.forget(&Target::Retired(key.clone()));
        self.retirements.under_way.insert(key.clone());
        let api: Api<RetiredMailbox> = Api::namespaced(self.client.clone(), &key.namespace);
        let metrics = self.metrics.clone();
        self.tasks.spawn(async move {
            let deleted = api.delete(&key.name, &DeleteParams::default()).await;
            let gone = deleted.as_ref().err().is_some_and(|error| is_code(error, 404));
            metrics.wrote("retired", if deleted.is_ok() || gone { "ok" } else { "failed" });
            if deleted.is_err() && !gone {
                tokio::time::sleep(LATER).await;
            }
            Outcome::Shown(key)
        });
    }
}

/// The object for this record.
pub(super) fn object(system: &SystemName, uid: &str, record: &Retired) -> RetiredMailbox {
    let time = |seconds| Time(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH));
    let spec = RetiredMailboxSpec {
        address: record.address.clone(),
        mailbox: record.name.clone(),
        uid: uid.to_owned(),
        system: SystemRef { name: system.name.clone(), namespace: Some(system.namespace.clone()) },
        shard: record.store,
        retired_at: time(record.since),
        purge_after: time(record.until),
    };
    RetiredMailbox { metadata: ObjectMeta::default(), spec, status: None }
}

/// Makes the object, beside the MailSystem if its own namespace is gone or going. One that is there already is about to be
/// seen, or cannot be read: it is not made again at once.
pub(super) async fn make(client: &Client, own: &Key, fallback: &Key, object: RetiredMailbox) -> bool {
    for key in [own, fallback] {
        let api: Api<RetiredMailbox> = Api::namespaced(client.clone(), &key.namespace);
        let metadata = ObjectMeta { name: Some(key.name.to_string()), ..ObjectMeta::default() };
        let object = RetiredMailbox { metadata, ..object.clone() };
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => return true,
            Err(error) if is_code(&error, 409) => {
                tokio::time::sleep(AGAIN).await;
                return true;
            }
            Err(error) if is_terminating(&error) => {}
            Err(error) => tracing::warn!(object = %key, %error, "a RetiredMailbox cannot be made"),
        }
    }
    tokio::time::sleep(LATER).await;
    false
}

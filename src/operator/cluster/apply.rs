//! Server-side apply of a system's objects, in an order in which each finds what it needs. Fields that others manage are
//! left alone; ours are taken back. What the API server refuses is told and does not keep the rest from being applied; nor
//! does a name that somebody else's object has: that is left alone, with the pods that would use it.
//!
//! Whose an object is is looked up before it is first applied. From then on its uid goes with every apply, so that another
//! one under its name is noticed without a look.

use kube::{Client, Error};

use super::{applier::Applier, known::Known};
use crate::{
    names::SystemName,
    operator::{
        desired::{Configuration, Desired},
        system::workloads::Workloads,
    },
};

/// What came of an apply.
#[derive(Debug)]
pub struct Applied {
    /// The workloads as the API server has them now, their status included.
    pub workloads: Workloads,
    /// What the API server refused, in words.
    pub refused: Vec<String>,
    /// What is somebody else's, in words.
    pub taken: Vec<String>,
}

/// For whom is applied.
#[derive(Clone, Copy)]
pub struct Whose<'a> {
    /// The MailSystem.
    pub system: &'a SystemName,
    /// Its uid.
    pub uid: &'a str,
    /// The uids of the objects that are known to be its own.
    pub known: &'a Known,
}

/// Applies everything that a system needs.
///
/// # Errors
/// The API server cannot be reached. What it refuses is no error here: see [`Applied::refused`].
pub async fn apply(client: &Client, whose: Whose<'_>, desired: Desired) -> Result<Applied, Error> {
    let Desired {
        internal,
        gateway_login,
        tls,
        accounts,
        roles,
        bindings,
        leases,
        configuration,
        policies,
        services,
        budgets,
        cache,
        antivirus,
        antispam,
        stores,
        gateway,
    } = desired;
    let mut to = Applier::new(client, whose);
    if let Some(internal) = internal
        && to.create(&internal).await?.is_none()
    {
        // Everything depends on the token, and the next one would be another.
        return Ok(to.end(Workloads::default()));
    }
    to.apply(&gateway_login).await?;
    to.apply(&tls).await?;
    to.all(&accounts).await?;
    to.all(&roles).await?;
    to.all(&bindings).await?;
    to.all(&leases).await?;
    let Configuration { postfix, nginx, cyrus, rspamd, clamav, valkey } = configuration;
    to.all(&[postfix, nginx, cyrus, rspamd, clamav, valkey]).await?;
    to.all(&policies).await?;
    to.all(&services).await?;
    to.all(&budgets).await?;
    let cache = to.set(cache.as_ref()).await?;
    let antivirus = to.deployment(&antivirus).await?;
    let antispam = to.deployment(&antispam).await?;
    let mut sets = Vec::with_capacity(stores.len());
    for store in &stores {
        sets.push(to.set(store.as_ref()).await?);
    }
    let gateway = to.set(gateway.as_ref()).await?;
    Ok(to.end(Workloads { gateway, stores: sets, antispam, antivirus, cache }))
}

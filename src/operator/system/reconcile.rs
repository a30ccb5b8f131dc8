//! One reconciliation of one MailSystem: the five steps in their order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api, Resource,
    api::PostParams,
    core::{PartialObjectMeta, PartialObjectMetaExt},
    runtime::controller::Action,
};

use super::{
    audit, backups,
    context::{Context, ReconcileError},
    explain::explain,
    fetch::{self, Fetched, Troubles},
    journal, ldap,
    problems::Weight,
    status::{self, Observation, Outcome},
    validate::{Checked, ValidateError, validate},
};
use crate::{
    api::MailSystem,
    names::{Component, SystemName},
    operator::{
        cluster::{
            apply::{Applied, Whose, apply},
            is_terminating, status as write,
        },
        desired::{Desired, desired},
        guarded::{Guarded, Unreadable},
        mailbox::Answer,
        switchover::{self, board::Shards},
    },
};

/// Until something that is missing is looked for again. What is watched is seen at once.
pub const RETRY: Duration = Duration::from_secs(15);
/// Until a system at rest is looked at again.
const RESYNC: Duration = Duration::from_mins(10);
/// The longest pause after errors.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Reconciles one object, be it readable or not.
pub async fn reconcile(
    object: Arc<Guarded<MailSystem>>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let result = match &object.0 {
        // Boxed, like others below: the futures of a whole apply are large.
        Ok(system) => Box::pin(serve(system, &context)).await,
        Err(invalid) => report(invalid, &context).await,
    };
    let word = result.as_ref().map_or_else(ReconcileError::category, |_| "ok");
    context.metrics.ran("system", word, started.elapsed());
    if result.is_ok() {
        context.note(&name(&*object), false);
    }
    result
}

/// After an error: a pause that doubles with each one.
#[allow(clippy::needless_pass_by_value, reason = "the controller calls it so")]
pub fn pause(object: Arc<Guarded<MailSystem>>, error: &ReconcileError, context: Arc<Context>) -> Action {
    let name = name(&*object);
    let count = context.note(&name, true);
    tracing::warn!(system = %name, %error, count, "reconciling failed");
    let pause = Duration::from_secs(1 << count.min(10));
    Action::requeue(pause.min(LONGEST_PAUSE))
}

fn name(object: &impl Resource) -> SystemName {
    SystemName::new(
        object.meta().namespace.clone().unwrap_or_default(),
        object.meta().name.clone().unwrap_or_default(),
    )
}

async fn serve(system: &MailSystem, context: &Context) -> Result<Action, ReconcileError> {
    let name = name(system);
    if system.metadata.deletion_timestamp.is_some() {
        context.memory.forget(&name);
        context.known.forget_system(&name);
        return Ok(Action::await_change());
    }
    let fetched =
        Box::pin(fetch::fetch(&context.client, name, system.clone())).await.map_err(ReconcileError::Fetch)?;
    let fetched = Box::pin(with_journal_key(context, fetched)).await?;
    let mut random = [0; 32];
    rand::fill(&mut random).map_err(|_| ReconcileError::Random)?;
    match validate(&fetched, &context.images, random, Timestamp::now().as_second()) {
        Ok(checked) => Box::pin(build(context, fetched, checked)).await,
        Err(ValidateError::InvalidSpec(wrong)) => {
            let troubles = Troubles::default();
            observe(context, &fetched, &fetched.workloads, Outcome::Invalid(wrong.join("; ")), &troubles)
                .await?;
            Ok(Action::requeue(RESYNC))
        }
        Err(error) => Err(error.into()),
    }
}

/// Applies what is wanted, and says in status what came of it.
async fn build(context: &Context, fetched: Fetched, checked: Checked) -> Result<Action, ReconcileError> {
    let Checked { validated, certificate, problems } = checked;
    let applied = Box::pin(applied(context, &fetched, desired(&validated)));
    let applied = match applied.await {
        Ok(applied) => applied,
        // It goes with its namespace.
        Err(error) if is_terminating(&error) => return Ok(Action::requeue(RETRY)),
        Err(error) => return Err(ReconcileError::Apply(error)),
    };
    let settled = status::settled(&applied.workloads);
    let troubles = if settled {
        Troubles::default()
    } else {
        fetch::troubles(&context.client, &fetched.name).await.map_err(ReconcileError::Fetch)?
    };
    let outcome = Outcome::Built {
        certificate: &certificate,
        expires: validated.pair.expires,
        problems: &problems,
        refused: &applied.refused,
        taken: &applied.taken,
    };
    observe(context, &fetched, &applied.workloads, outcome, &troubles).await?;
    let amiss: Vec<String> = applied.taken.into_iter().chain(applied.refused).collect();
    if !amiss.is_empty() {
        return Err(ReconcileError::Refused(amiss));
    }
    let lacking = problems.iter().any(|problem| problem.weight != Weight::Hint);
    // Whether the journal is written and directory services answer is known to the gateways alone, which are asked.
    let spec = &fetched.system.spec;
    let at_rest = settled && !lacking && spec.journal.is_none() && spec.authentication.is_local();
    Ok(Action::requeue(if at_rest { RESYNC } else { RETRY }))
}

/// Makes the journal's key, if there is none, before anything is encrypted with it.
async fn with_journal_key(context: &Context, mut fetched: Fetched) -> Result<Fetched, ReconcileError> {
    let spec = &fetched.system.spec;
    if spec.journal.is_some() && !spec.paused && fetched.journal_key.is_none() {
        let (name, new) = (&fetched.name, journal::new_key(&fetched.name));
        let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &name.namespace);
        let made = secrets.create(&PostParams::default(), &new).await.map_err(ReconcileError::Apply)?;
        fetched.journal_key = Some(made);
    }
    Ok(fetched)
}

/// What runs once `desired` is applied, unless it stands already or nothing is to be applied.
async fn applied(context: &Context, fetched: &Fetched, desired: Desired) -> Result<Applied, kube::Error> {
    let (name, now) = (&fetched.name, Instant::now());
    // No watch tells of Leases: who holds one renews it all the time.
    let seen = context.board.seen(name);
    if seen.is_some_and(|shards| shards.iter().any(|shard| shard.lease.is_none())) {
        context.memory.touch(name);
    }
    if fetched.system.spec.paused {
        context.memory.forget(name);
    } else if !context.memory.stands(name, &desired, now) {
        let uid = fetched.system.metadata.uid.as_deref().unwrap_or_default();
        let whose = Whose { system: name, uid, known: &context.known };
        let applied = Box::pin(apply(&context.client, whose, desired.clone())).await?;
        if applied.refused.is_empty() && applied.taken.is_empty() {
            context.memory.applied(name, desired, now);
        }
        return Ok(applied);
    }
    Ok(Applied { workloads: fetched.workloads.clone(), refused: Vec::new(), taken: Vec::new() })
}

async fn observe(
    context: &Context,
    fetched: &Fetched,
    workloads: &super::workloads::Workloads,
    outcome: Outcome<'_>,
    troubles: &Troubles,
) -> Result<(), ReconcileError> {
    let gateways = fetch::gateways(&context.client, fetched).await.map_err(ReconcileError::Fetch)?;
    let stores = stores(context, fetched).await.map_err(ReconcileError::Fetch)?;
    let counts = context.census.borrow().get(&fetched.name).cloned();
    let trouble = |component: Component| explain(troubles, component);
    let status = status::status(&Observation {
        system: &fetched.system,
        workloads,
        outcome,
        trouble: &trouble,
        journal: journal::finding(fetched, &each(&gateways, |answer| answer.journal.clone())),
        delivery: audit::delivery(
            fetched,
            &each(&gateways, |answer| answer.audit.clone()),
            Timestamp::now().as_millisecond(),
        ),
        ldap: ldap::finding(fetched, &each(&gateways, |answer| Some(answer.ldap.clone()))),
        backups: backups::finding(&fetched.backups, Timestamp::now()),
        stores: stores.as_ref().map(|shards| shards.as_slice()),
        counts,
        now: now(),
    });
    write::write(&context.client, &context.events, &fetched.system, status)
        .await
        .map_err(ReconcileError::Status)
}

/// What is known of the stores; `None` where each shard has one only.
async fn stores(context: &Context, fetched: &Fetched) -> Result<Option<Shards>, kube::Error> {
    let spec = &fetched.system.spec.store;
    if spec.replicas < 2 {
        return Ok(None);
    }
    switchover::known(&context.client, &context.board, &fetched.name, spec.shards).await.map(Some)
}

/// What each gateway's agent says of one thing, by pod; `None` where it did not say.
fn each<T>(
    gateways: &[(String, Option<Answer>)],
    of: impl Fn(&Answer) -> Option<T>,
) -> Vec<(String, Option<T>)> {
    gateways.iter().map(|(pod, answer)| (pod.clone(), answer.as_ref().and_then(&of))).collect()
}

/// Tells an object that cannot be read what is wrong with it.
async fn report(invalid: &Unreadable, context: &Context) -> Result<Action, ReconcileError> {
    let object: PartialObjectMeta<MailSystem> = invalid.metadata.clone().into_request_partial();
    let name = name(&object);
    let (client, generation) = (&context.client, invalid.metadata.generation);
    let old = write::conditions_of::<MailSystem>(client, &name.namespace, &name.name)
        .await
        .map_err(ReconcileError::Status)?;
    let Some(old) = old else { return Ok(Action::await_change()) };
    let new = status::unreadable(&old, &invalid.to_string(), generation, &now());
    if new != old {
        tracing::warn!(system = %name, error = %invalid, "a MailSystem cannot be read");
        write::write_conditions::<MailSystem>(client, &name.namespace, &name.name, (generation, &new))
            .await
            .map_err(ReconcileError::Status)?;
        context.events.tell(&object.object_ref(&()), &old, &new).await;
    }
    Ok(Action::await_change())
}

/// Whole seconds, as the API server keeps them.
fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

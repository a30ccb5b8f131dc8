//! `kubectl mail addresses`: the list of official addresses. Mailboxes and groups come in; of those that are listed and
//! reach somebody the name, unit, position and address go out, and nothing else. It is printed and served nowhere.

mod table;
mod vcard;

use std::io::Write;

use clap::{Args, ValueEnum};
use kube::{
    Api, Client,
    api::{ApiResource, ListParams},
    core::Object,
};
use serde::{Deserialize, Serialize};

use super::{Error, Target, cluster::client};
use crate::api::{MailGroup, Mailbox, MailboxState};

/// Objects that the API server is asked for at a time.
const PAGE: u32 = 1000;

/// Of which namespaces, and in what form.
#[derive(Args, Debug)]
pub struct Arguments {
    /// In what form.
    #[arg(short, long, default_value = "json")]
    output: Form,
    /// Of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

/// The form of the list.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// An array of objects.
    Json,
    /// For spreadsheets: RFC 4180, in UTF-8.
    Csv,
    /// For address books: vCard 4.0 (RFC 6350).
    Vcard,
}

/// An entry of the list: all that is public.
#[derive(Serialize, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
struct Entry {
    unit: Option<String>,
    display_name: Option<String>,
    position: Option<String>,
    address: String,
}

/// What is read of a Mailbox or a group: what is not public is not even taken out of the answer.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    listed: bool,
    display_name: Option<String>,
    unit: Option<String>,
    position: Option<String>,
    #[serde(default)]
    state: MailboxState,
}

/// Of the status: the address under which it is served.
#[derive(Deserialize, Clone, Debug, Default)]
struct Status {
    address: Option<String>,
}

/// Runs the command; output goes to `out`.
///
/// # Errors
/// What is told to the user.
pub async fn run(target: &Target, arguments: &Arguments, out: &mut impl Write) -> Result<(), Error> {
    let (client, namespace) = client(target).await?;
    let namespace = (!arguments.all_namespaces).then_some(namespace);
    let mut entries = Vec::new();
    for resource in [ApiResource::erase::<Mailbox>(&()), ApiResource::erase::<MailGroup>(&())] {
        entries.extend(read(client.clone(), namespace.as_deref(), &resource).await?);
    }
    entries.sort();
    Ok(write(&entries, arguments.output, out)?)
}

/// The entries of a kind, of one namespace or of all.
async fn read(
    client: Client,
    namespace: Option<&str>,
    resource: &ApiResource,
) -> Result<Vec<Entry>, kube::Error> {
    let objects: Api<Object<Spec, Status>> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    };
    let (mut entries, mut page) = (Vec::new(), ListParams::default().fields("spec.listed=true").limit(PAGE));
    loop {
        let list = objects.list(&page).await?;
        entries.extend(list.items.into_iter().filter_map(|it| entry(it.spec, it.status)));
        match list.metadata.continue_.as_deref().filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(token),
            None => return Ok(entries),
        }
    }
}

/// The entry of an object; none if it is not listed, or if mail to it reaches nobody.
fn entry(spec: Spec, status: Option<Status>) -> Option<Entry> {
    let address = status?.address?;
    let Spec { listed, display_name, unit, position, state } = spec;
    let open = state != MailboxState::Retired;
    (listed && open).then_some(Entry { unit, display_name, position, address })
}

fn write(entries: &[Entry], form: Form, out: &mut impl Write) -> std::io::Result<()> {
    match form {
        Form::Json => {
            serde_json::to_writer_pretty(&mut *out, entries)?;
            writeln!(out)
        }
        Form::Csv => table::write(entries, out),
        Form::Vcard => entries.iter().try_for_each(|entry| out.write_all(vcard::card(entry).as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(mailbox: serde_json::Value) -> Option<Entry> {
        let object: Object<Spec, Status> = serde_json::from_value(mailbox).unwrap();
        entry(object.spec, object.status)
    }

    #[test]
    fn only_what_is_listed_and_reaches_somebody_is_in_the_list_and_only_with_what_is_public() {
        let mailbox = |more: serde_json::Value, status: serde_json::Value| {
            let mut spec = serde_json::json!({"address": "an@x.vn", "displayName": "Nguyễn Văn An", "listed": true,
                "unit": "Sở Nội vụ", "position": "Chuyên viên", "quota": "2Gi", "aliases": ["a@x.vn"]});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read_one(serde_json::json!({"metadata": {"name": "an"}, "spec": spec, "status": status}))
        };
        let (nothing, served) = (serde_json::json!({}), serde_json::json!({"address": "an.le@x.vn"}));
        let entry = mailbox(nothing.clone(), served.clone()).unwrap();
        assert_eq!(
            serde_json::to_value(&entry).unwrap(),
            serde_json::json!({"displayName": "Nguyễn Văn An", "unit": "Sở Nội vụ", "position": "Chuyên viên",
                "address": "an.le@x.vn"})
        );
        for hidden in [
            mailbox(serde_json::json!({"listed": false}), served.clone()),
            mailbox(serde_json::json!({"state": "Retired"}), served),
            // It is not served: another one may have its address.
            mailbox(nothing.clone(), nothing),
        ] {
            assert_eq!(hidden, None);
        }
        assert_eq!(read_one(serde_json::json!({"metadata": {}, "spec": {"address": "an@x.vn"}})), None);
    }

    #[test]
    fn a_list_without_entries_is_a_list_in_every_form() {
        let written = |form| {
            let mut out = Vec::new();
            write(&[], form, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(Form::Json), "[]\n");
        assert_eq!(written(Form::Csv), "\u{feff}displayName,position,unit,address\r\n");
        assert_eq!(written(Form::Vcard), "");
    }
}

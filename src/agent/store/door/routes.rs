//! `GET /holds/ID/ADDRESS`: whether a mailbox holds a message of the journal, as the door itself finds out. The address is in
//! hexadecimal digits, since it may have any character.

use axum::{
    Json, Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};

use super::{Door, holds};
use crate::{directory::fold, journal::JournalId};

impl Door {
    /// The route.
    pub fn routes(&self) -> Router {
        let door = self.clone();
        let answer = async move |Path((id, address)): Path<(String, String)>| door.tell(&id, &address).await;
        Router::new().route("/holds/{id}/{address}", get(answer))
    }

    async fn tell(&self, id: &str, address: &str) -> Result<Json<bool>, Response> {
        let refuse = |status: StatusCode, text: String| (status, text + "\n").into_response();
        let wanted = JournalId::parse(id.as_bytes()).zip(bytes(address).and_then(|it| fold(&it).ok()));
        let Some((id, address)) = wanted else {
            return Err(refuse(StatusCode::BAD_REQUEST, "an id and an address are wanted".to_owned()));
        };
        let found = self.replica.reach(&address).ok().flatten();
        let found = found.filter(|(found, _)| found.entry.store == self.shard);
        let Some((found, _)) = found else {
            return Err(refuse(StatusCode::NOT_FOUND, format!("{address} is no mailbox of this store")));
        };
        let held = holds::holds(&self.provisioner, &found.address, id).await;
        held.map(Json).map_err(|error| refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
    }
}

/// Text in hexadecimal digits.
fn bytes(digits: &str) -> Option<String> {
    let pair = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<_>> = (0..digits.len()).step_by(2).map(pair).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_its_digits() {
        assert_eq!(bytes("616e40782e766e").as_deref(), Some("an@x.vn"));
        for bad in ["6", "zz", "ff", "6\u{e9}"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}

//! A main password that a directory service knows: what its answer means for a log-in.
//!
//! "Wrong" is said only where the service said it of the password, or does not know the person, and that is plausible. That
//! it does not know a person is not remembered as a wrong password: an administrator may be about to correct it.

use std::{sync::Arc, time::Instant};

use super::{Attempt, Passwords, ldap::Answer, metrics::Outcome, queue::Place};
use crate::directory::Ldap;

impl Passwords {
    /// Which password it is, if one, given that it is `own` of those that have hashes here: the mailbox's own main one, which
    /// counts while the service does not know better.
    pub(super) async fn ask_outside(
        &self,
        place: &Place,
        ldap: &Arc<Ldap>,
        attempt: &Attempt<'_>,
        own: Option<usize>,
    ) -> Result<Option<usize>, Outcome> {
        // Passwords are text there (RFC 4513, 5.1.1).
        let Ok(password) = std::str::from_utf8(attempt.password.expose()) else { return Ok(None) };
        let account = attempt.who.account;
        let turn = place.question().await.ok_or(Outcome::Unavailable)?;
        // Another connection of the same client may have been answered meanwhile.
        if let Some(which) = self.was_right(attempt) {
            return Ok(Some(which));
        }
        let answer = Box::pin(self.0.services.verify(ldap, account, password)).await;
        drop(turn);
        // Nobody is missed who was never here.
        let implausible = match &answer {
            Ok(Answer::NotFound) if !self.0.logins.has(account) => false,
            Ok(answer) => self.0.services.is_implausible(ldap, account, *answer != Answer::NotFound),
            Err(_) => false,
        };
        match answer {
            Ok(Answer::Right) => Ok(Some(attempt.proof.outside())),
            Ok(Answer::Wrong) => Ok(None),
            Ok(Answer::NotFound) | Err(_) if own.is_some() => Ok(own),
            Ok(Answer::NotFound) if implausible => Err(Outcome::Unavailable),
            Ok(Answer::NotFound) => {
                self.count(attempt, Instant::now());
                Err(Outcome::NotInDirectory)
            }
            Ok(Answer::Ambiguous) => {
                tracing::warn!(
                    service = ldap.name,
                    account,
                    "a directory service has several entries of one address"
                );
                Err(Outcome::Unavailable)
            }
            Err(_) => Err(Outcome::Unavailable),
        }
    }
}

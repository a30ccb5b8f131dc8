//! Connections to one server of a directory service.
//!
//! The searcher's connection is kept and shared: searches on it do not wait for each other. A person's password is tried on
//! a connection of its own, since a bind changes in whose name everything after it is done.

use std::sync::{Arc, Mutex};

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Scope, SearchEntry, SearchOptions};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{
    Answer, lock, naming,
    naming::{Reason, Trouble},
};
use crate::directory::Searcher;

/// No attribute: the name alone is wanted (RFC 4511, 4.5.1.8).
const NO_ATTRIBUTES: [&str; 1] = ["1.1"];
/// Two are enough to know that there are several.
const MOST: i32 = 2;

/// The way to a server.
pub(super) struct Way {
    url: String,
    tls: Arc<ClientConfig>,
    searcher: Mutex<Option<Ldap>>,
}

/// How servers are trusted: by the authorities in `ca`, else by those of the image.
pub(super) fn tls(ca: Option<&str>) -> Result<Arc<ClientConfig>, Trouble> {
    let unusable = |what: String| Trouble::new(Reason::Unusable, what);
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| unusable(format!("ca.crt: {error}")))?;
                roots.add(certificate).map_err(|error| unusable(format!("ca.crt: {error}")))?;
            }
            if roots.is_empty() {
                return Err(unusable("ca.crt: there is no certificate in it".to_owned()));
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

impl Way {
    pub(super) fn new(url: &str, tls: Arc<ClientConfig>) -> Self {
        Self { url: url.to_owned(), tls, searcher: Mutex::default() }
    }

    /// The names of the entries that the filter fits.
    pub(super) async fn search(
        &self,
        by: Option<&Searcher>,
        base: &str,
        filter: &str,
    ) -> Result<Vec<String>, Trouble> {
        let kept = lock(&self.searcher).clone();
        if let Some(mut kept) = kept {
            // One that was closed meanwhile is no failure of the server's.
            if !kept.is_closed()
                && let Ok(found) = search(&mut kept, base, filter).await
            {
                return Ok(found);
            }
            self.forget();
        }
        let mut new = self.connect().await?;
        if let Some(Searcher { dn, password }) = by {
            let Some(password) = password else {
                return Err(Trouble::new(Reason::BindRefused, "the searcher's password is not known"));
            };
            let result = new.simple_bind(dn, password).await?;
            naming::of_searchers_bind(result.rc, &result.text)?;
        }
        let found = search(&mut new, base, filter).await?;
        *lock(&self.searcher) = Some(new);
        Ok(found)
    }

    /// Whether the password is that of this name.
    pub(super) async fn try_password(&self, name: &str, password: &str) -> Result<Answer, Trouble> {
        let mut connection = self.connect().await?;
        let result = connection.simple_bind(name, password).await?;
        // The server closes it, or finds it closed.
        let _ = connection.unbind().await;
        naming::of_bind(result.rc, &result.text)
    }

    /// Whether there is a server that speaks TLS.
    pub(super) async fn reach(&self) -> Result<(), Trouble> {
        let _ = self.connect().await?.unbind().await;
        Ok(())
    }

    /// The next search begins with a new connection.
    pub(super) fn forget(&self) {
        *lock(&self.searcher) = None;
    }

    async fn connect(&self) -> Result<Ldap, Trouble> {
        // With `ldaps://` it does not count.
        let settings = LdapConnSettings::new().set_starttls(true).set_config(self.tls.clone());
        let (connection, ldap) = LdapConnAsync::with_settings(settings, &self.url).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to a directory service ended");
            }
        });
        Ok(ldap)
    }
}

async fn search(ldap: &mut Ldap, base: &str, filter: &str) -> Result<Vec<String>, Trouble> {
    let options = SearchOptions::new().sizelimit(MOST);
    let found = ldap.with_search_options(options).search(base, Scope::Subtree, filter, NO_ATTRIBUTES).await?;
    naming::of_search(found.1.rc, &found.1.text)?;
    // References to other servers are no entries; nobody follows them.
    let entries = found.0.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
    Ok(entries.map(|entry| SearchEntry::construct(entry).dn).collect())
}

//! Certificates: PEM comes in; whether it is served, and what the condition `CertificateValid` says, goes out. Pure but for
//! the key that [`self_signed`] draws. It judges what clients would refuse: parsing, key, dates, host name; not the chain
//! to a root, which clients choose themselves.

use k8s_openapi::{api::core::v1::Secret, jiff};
use rustls::{
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::values::Hostname;

/// Organisation in the subject of the certificates made here, by which they are known again.
const MAKER: &str = "mail-operator self-signed";
/// How long a certificate made here lasts. It is replaced after two thirds of it.
const LIFE_DAYS: i64 = 365;
const DAY: i64 = 86_400;

/// A certificate chain with its key, parsed and matching. Debug output hides the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The chain, leaf first, PEM.
    pub certificate: Vec<u8>,
    /// The private key, PEM.
    pub key: Vec<u8>,
    /// Not valid after, seconds of Unix time.
    pub expires: i64,
    /// Not valid before, seconds of Unix time.
    pub begins: i64,
    /// Made here.
    pub self_signed: bool,
    names: Vec<String>,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair")
            .field("expires", &self.expires)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// Why a pair is not served.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum PairError {
    /// The Secret is not there.
    #[error("there is no such Secret")]
    SecretMissing,
    /// The Secret lacks a key.
    #[error("it has no key {0}")]
    KeyMissing(&'static str),
    /// Not PEM, or not a certificate, or not a private key.
    #[error("{0} cannot be read: {1}")]
    Unreadable(&'static str, String),
    /// The key belongs to another certificate.
    #[error("tls.key does not belong to the first certificate in tls.crt")]
    Mismatch,
    /// Its time is over.
    #[error("the certificate expired on {0}")]
    Expired(String),
    /// Its time has not come.
    #[error("the certificate is valid only from {0}")]
    NotYetValid(String),
    /// It is for other names.
    #[error("the certificate is for {0}, not for {1}")]
    HostnameMismatch(String, String),
}

impl PairError {
    /// The condition's reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::SecretMissing => "SecretMissing",
            Self::KeyMissing(_) => "KeyMissing",
            Self::Unreadable(..) => "Unreadable",
            Self::Mismatch => "Mismatch",
            Self::Expired(_) => "Expired",
            Self::NotYetValid(_) => "NotYetValid",
            Self::HostnameMismatch(..) => "HostnameMismatch",
        }
    }

    /// What to do about it, for a Secret of this name.
    #[must_use]
    pub fn remedy(&self, secret: &str) -> String {
        match self {
            Self::SecretMissing => format!("create Secret {secret} of type kubernetes.io/tls"),
            Self::KeyMissing(key) => format!("put the PEM under {key} in Secret {secret}"),
            Self::Unreadable(key, _) => format!("put unencrypted PEM under {key} in Secret {secret}"),
            Self::Mismatch => format!("put the key of the same certificate into Secret {secret}"),
            Self::Expired(_) => format!("renew the certificate in Secret {secret}"),
            Self::NotYetValid(_) => "wait, or check the clocks".to_owned(),
            Self::HostnameMismatch(_, hostname) => {
                format!("issue a certificate whose subject alternative names contain {hostname}")
            }
        }
    }
}

impl Pair {
    /// Reads the pair in a Secret of type `kubernetes.io/tls`.
    ///
    /// # Errors
    /// A key is missing, is not PEM of the right kind, or the two do not belong together.
    pub fn read(secret: &Secret) -> Result<Self, PairError> {
        let value = |key: &'static str| {
            let data = secret.data.as_ref().and_then(|data| data.get(key));
            data.map(|bytes| bytes.0.clone())
                .filter(|bytes| !bytes.is_empty())
                .ok_or(PairError::KeyMissing(key))
        };
        Self::parse(value("tls.crt")?, value("tls.key")?)
    }

    /// Reads a pair from PEM.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(certificate: Vec<u8>, key: Vec<u8>) -> Result<Self, PairError> {
        let unreadable = |part| move |error: String| PairError::Unreadable(part, error);
        let chain = CertificateDer::pem_slice_iter(&certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unreadable("tls.crt")(error.to_string()))?;
        let leaf =
            chain.first().ok_or_else(|| unreadable("tls.crt")("no certificate in it".to_owned()))?.clone();
        let private =
            PrivateKeyDer::from_pem_slice(&key).map_err(|error| unreadable("tls.key")(error.to_string()))?;
        let (_, parsed) =
            X509Certificate::from_der(&leaf).map_err(|error| unreadable("tls.crt")(error.to_string()))?;
        check_key(chain, private)?;
        let (begins, expires) =
            (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        let made_here = |name: &x509_parser::x509::AttributeTypeAndValue<'_>| name.as_str() == Ok(MAKER);
        let self_signed = parsed.subject().iter_organization().any(made_here);
        let names = names(&parsed);
        Ok(Self { certificate, key, expires, begins, self_signed, names })
    }

    /// Checks that clients who ask for `hostname` at `now` (seconds of Unix time) take it.
    ///
    /// # Errors
    /// It has expired, is not valid yet, or is for other names.
    pub fn check(&self, hostname: &Hostname, now: i64) -> Result<(), PairError> {
        if now >= self.expires {
            return Err(PairError::Expired(date(self.expires)));
        }
        if now < self.begins {
            return Err(PairError::NotYetValid(date(self.begins)));
        }
        if self.names.iter().any(|name| covers(name, hostname.as_str())) {
            return Ok(());
        }
        let names = if self.names.is_empty() { "no host name".to_owned() } else { self.names.join(", ") };
        Err(PairError::HostnameMismatch(names, hostname.to_string()))
    }

    /// When a pair made here is to be replaced, seconds of Unix time.
    #[must_use]
    pub const fn renewal(&self) -> i64 {
        self.begins + (self.expires - self.begins) / 3 * 2
    }
}

fn check_key(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), PairError> {
    let provider: CryptoProvider = aws_lc_rs::default_provider();
    match CertifiedKey::from_der(chain, key, &provider) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(PairError::Mismatch),
        Err(error) => Err(PairError::Unreadable("tls.key", error.to_string())),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(dns).collect()
}

/// RFC 6125: a wildcard stands for the whole leftmost label.
fn covers(pattern: &str, hostname: &str) -> bool {
    let wildcard = pattern.strip_prefix("*.");
    let parent = hostname.split_once('.').map(|(_, parent)| parent);
    pattern == hostname || (wildcard.is_some() && wildcard == parent)
}

fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// Makes a pair for `hostname`, valid from the day before `now` (seconds of Unix time): clocks differ.
///
/// # Errors
/// The random source or the library failed.
pub fn self_signed(hostname: &Hostname, now: i64) -> Result<Pair, SelfSignError> {
    let day = |seconds: i64| -> Result<_, SelfSignError> {
        let date = jiff::Timestamp::from_second(seconds)?.to_zoned(jiff::tz::TimeZone::UTC).date();
        Ok(rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs()))
    };
    let mut params = rcgen::CertificateParams::new(vec![hostname.to_string()])?;
    params.not_before = day(now - DAY)?;
    params.not_after = day(now + LIFE_DAYS * DAY)?;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, MAKER);
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Pair::parse(certificate.pem().into_bytes(), key.serialize_pem().into_bytes())?)
}

/// Why no pair could be made.
#[derive(thiserror::Error, Debug)]
pub enum SelfSignError {
    /// The library refused.
    #[error("a self-signed certificate cannot be made: {0}")]
    Library(#[from] rcgen::Error),
    /// The clock shows a time that no certificate can carry.
    #[error("a self-signed certificate cannot be dated: {0}")]
    Clock(#[from] jiff::Error),
    /// What was made cannot be read back.
    #[error("the self-signed certificate cannot be used: {0}")]
    Pair(#[from] PairError),
}

//! A real `OpenLDAP` on ports of one address and in a folder of its own, which can be changed, frozen, killed and started
//! again.

use std::{
    collections::HashSet,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Mod, Scope};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tempfile::TempDir;

pub(crate) const BASE: &str = "ou=people,dc=x,dc=vn";
/// Who searches, and with which password at first.
pub(crate) const SEARCHER: (&str, &str) = ("cn=mail,dc=x,dc=vn", "the searcher's");
const ADMIN: (&str, &str) = ("cn=admin,dc=x,dc=vn", "the administrator's");

pub(crate) struct Slapd {
    folder: TempDir,
    host: &'static str,
    ports: [u16; 2],
    /// The authority that signed its certificate (PEM).
    pub(crate) ca: String,
    process: Option<Child>,
}

impl Slapd {
    /// A server on the loopback with these people and their passwords.
    pub(crate) async fn start(people: &[(&str, &str)]) -> Self {
        Self::start_at("127.0.0.1", people).await
    }

    /// The same on another address of this host.
    pub(crate) async fn start_at(host: &'static str, people: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("db")).unwrap();
        let ca = certificate(folder.path(), host);
        let free = || TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().port();
        let ports = [(); 2].map(|()| free());
        let mut slapd = Self { folder, host, ports, ca, process: None };
        slapd.write("slapd.conf", &configuration(slapd.folder.path()));
        slapd.write("tree.ldif", &tree(people));
        let added = slapd.tool("slapadd", &["-l", "tree.ldif"]).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        slapd.start_again().await;
        slapd
    }

    pub(crate) async fn start_again(&mut self) {
        let urls = format!("{} {}", self.plain(), self.tls());
        let mut slapd = self.tool("slapd", &["-d", "0", "-h", &urls]);
        let process = slapd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.process = Some(process.expect("slapd: cluster/cluster deps installs it"));
        let began = Instant::now();
        while self.admin().await.is_none() {
            assert!(began.elapsed() < Duration::from_secs(20), "slapd does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(Path::new("/usr/sbin").join(name));
        command.current_dir(self.folder.path()).args(["-f", "slapd.conf"]).args(arguments);
        command
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Where it speaks TLS after `StartTLS`.
    pub(crate) fn plain(&self) -> String {
        format!("ldap://{}:{}", self.host, self.ports[0])
    }

    /// Where it speaks TLS at once.
    pub(crate) fn tls(&self) -> String {
        format!("ldaps://{}:{}", self.host, self.ports[1])
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// It takes connections and says nothing, until it is thawed.
    pub(crate) fn freeze(&self, frozen: bool) {
        let pid = Pid::from_child(self.process.as_ref().unwrap());
        kill_process(pid, if frozen { Signal::STOP } else { Signal::CONT }).unwrap();
    }

    /// A connection of the administrator's; none while there is no server.
    pub(crate) async fn admin(&self) -> Option<Ldap> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let settings = LdapConnSettings::new().set_config(Arc::new(config));
        let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &self.tls()).await.ok()?;
        tokio::spawn(async move { connection.drive().await });
        ldap.simple_bind(ADMIN.0, ADMIN.1).await.ok()?.success().ok()?;
        Some(ldap)
    }

    /// The people are others from now on.
    pub(crate) async fn replace(&self, people: &[(&str, &str)]) {
        let mut admin = self.admin().await.unwrap();
        let found = admin.search(BASE, Scope::OneLevel, "(objectClass=*)", ["1.1"]).await.unwrap();
        for entry in found.success().unwrap().0 {
            let dn = ldap3::SearchEntry::construct(entry).dn;
            admin.delete(&dn).await.unwrap().success().unwrap();
        }
        for (person, password) in people {
            let values = |value: &str| HashSet::from([value.to_owned()]);
            let (local, _) = person.split_once('@').unwrap();
            let attributes = vec![
                ("objectClass".to_owned(), values("inetOrgPerson")),
                ("cn".to_owned(), values(local)),
                ("sn".to_owned(), values(local)),
                ("mail".to_owned(), values(person)),
                ("userPassword".to_owned(), values(password)),
            ];
            admin.add(&dn(local), attributes).await.unwrap().success().unwrap();
        }
    }

    /// The entry has another password from now on.
    pub(crate) async fn set_password(&self, dn: &str, password: &str) {
        let change = Mod::Replace("userPassword", HashSet::from([password]));
        self.admin().await.unwrap().modify(dn, vec![change]).await.unwrap().success().unwrap();
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The name of a person's entry.
pub(crate) fn dn(local: &str) -> String {
    format!("uid={},{BASE}", ldap3::dn_escape(local))
}

/// Binds with a name and no password are taken for anonymous, as many servers do.
fn configuration(folder: &Path) -> String {
    let at = folder.display();
    format!(
        r#"include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {at}/pid
argsfile {at}/args
allow bind_anon_dn
TLSCertificateFile {at}/crt
TLSCertificateKeyFile {at}/key
database mdb
suffix "dc=x,dc=vn"
directory {at}/db
rootdn "{}"
rootpw "{}"
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{}" read by * none
"#,
        ADMIN.0, ADMIN.1, SEARCHER.0
    )
}

fn tree(people: &[(&str, &str)]) -> String {
    let root = format!(
        "dn: dc=x,dc=vn\nobjectClass: domain\ndc: x\n\ndn: {BASE}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: {}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: mail\nuserPassword: {}\n\n",
        SEARCHER.0, SEARCHER.1
    );
    let person = |(person, password): &(&str, &str)| {
        let (local, _) = person.split_once('@').unwrap();
        format!(
            "dn: {}\nobjectClass: inetOrgPerson\ncn: {local}\nsn: {local}\nmail: {person}\nuserPassword:: {}\n\n",
            dn(local),
            BASE64_STANDARD.encode(password)
        )
    };
    root + &people.iter().map(person).collect::<String>()
}

/// Writes a certificate for the address; gives the authority that signed it.
fn certificate(folder: &Path, host: &str) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("crt"), certificate.pem()).unwrap();
    fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    issuer.pem()
}

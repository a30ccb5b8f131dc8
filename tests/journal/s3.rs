//! A real S3 server (versitygw) on a loopback port and a folder, which can be killed, frozen and started again.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use mail_operator::journal::{
    Name,
    storage::{Location, Storage, keys},
};
use tempfile::TempDir;

pub(crate) const ID: &str = "tests";
const SECRET: &str = "a secret of the tests";
pub(crate) const BUCKET: &str = "journal";

/// The program, which `cluster/cluster s3` compiles once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster");
        let output = Command::new(script).arg("s3").stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "the S3 server is not there");
        let text = String::from_utf8(output.stdout).unwrap();
        Path::new(text.lines().last().unwrap()).join("versitygw")
    })
}

pub(crate) struct S3 {
    pub(crate) folder: TempDir,
    port: u16,
    /// Where the server's certificate is, if it has one.
    certificate: Option<PathBuf>,
    process: Option<Child>,
}

impl S3 {
    /// A server with an empty bucket.
    pub(crate) async fn start() -> Self {
        Self::start_with(false).await
    }

    /// The same with TLS, and a certificate that nobody trusts yet.
    pub(crate) async fn start_with_tls() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["objects/journal", "credentials"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let certificate = tls.then(|| certificate(folder.path()));
        let mut s3 = Self { folder, port, certificate, process: None };
        s3.credentials(ID, SECRET);
        s3.run().await;
        s3
    }

    pub(crate) async fn run(&mut self) {
        let mut command = Command::new(program());
        command.args(["--port", &format!("127.0.0.1:{}", self.port), "--quiet"]);
        if let Some(certificate) = &self.certificate {
            command.arg("--cert").arg(certificate).arg("--key").arg(certificate.with_extension("key"));
        }
        let process = command
            .arg("posix")
            .arg(self.folder.path().join("objects"))
            .env("ROOT_ACCESS_KEY", ID)
            .env("ROOT_SECRET_KEY", SECRET)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        until("the S3 server answers", async || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        })
        .await;
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = self.process.as_ref().unwrap().id();
        let id = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
        // Each thread stops when it notices.
        let stopped = |task: fs::DirEntry| {
            let state = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        };
        let tasks = format!("/proc/{}/task", id.as_raw_nonzero());
        while signal == rustix::process::Signal::STOP && !fs::read_dir(&tasks).unwrap().flatten().all(stopped)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn credentials(&self, id: &str, secret: &str) {
        let folder = self.folder.path().join("credentials");
        fs::write(folder.join(keys::ID), id).unwrap();
        fs::write(folder.join(keys::SECRET), format!("{secret}\n")).unwrap();
    }

    /// Trusts the server's certificate.
    pub(crate) fn trust(&self) {
        let ca = self.folder.path().join("credentials").join(keys::CA);
        fs::copy(self.certificate.as_ref().unwrap(), ca).unwrap();
    }

    pub(crate) fn right_credentials(&self) {
        self.credentials(ID, SECRET);
    }

    pub(crate) fn storage(&self, bucket: &str) -> Storage {
        Storage::new(self.location(bucket), self.folder.path().join("credentials"))
    }

    pub(crate) fn location(&self, bucket: &str) -> Location {
        Location {
            endpoint: Some(format!(
                "{}://127.0.0.1:{}",
                if self.certificate.is_some() { "https" } else { "http" },
                self.port
            )),
            region: "us-east-1".into(),
            bucket: bucket.into(),
            prefix: "mail/system".into(),
        }
    }

    /// The segments that are there, as the server's disk has them.
    pub(crate) fn segments(&self) -> Vec<(Name, Vec<u8>)> {
        let root = self.folder.path().join("objects").join(BUCKET).join("mail/system");
        let mut found = Vec::new();
        for series in fs::read_dir(&root).into_iter().flatten().flatten() {
            for file in fs::read_dir(series.path()).unwrap().flatten() {
                let name = format!("{}/{}", series.file_name().display(), file.file_name().display());
                found.extend(Name::parse(&name).map(|name| (name, fs::read(file.path()).unwrap())));
            }
        }
        found.sort();
        found
    }
}

/// A self-signed pair for 127.0.0.1.
fn certificate(folder: &Path) -> PathBuf {
    let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let path = folder.join("server.crt");
    fs::write(&path, pair.cert.pem()).unwrap();
    fs::write(path.with_extension("key"), pair.signing_key.serialize_pem()).unwrap();
    path
}

impl Drop for S3 {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.signal(rustix::process::Signal::CONT);
        }
        self.kill();
    }
}

/// Waits, with a generous limit.
pub(crate) async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    for _ in 0..1200 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within a minute: {what}");
}

//! One run of restic: started in a process group of its own, its lines read as they come, ended when it is asked to or when
//! nothing moves, and never left behind.

use std::{
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Engine, Place, Repository, Restic,
    command::Task,
    environment::{Credentials, environment},
    group::Group,
    message::{self, Message, Progress, Summary},
    outcome::{Ended, Exit, Failure, MOST, Reason, Stopped},
    stall::Watch,
};
use crate::journal::storage::keys;

/// How often it is looked whether something moves.
const TICK: Duration = Duration::from_millis(500);
/// What is left in the pipes when the process has ended is read so long.
const REST: Duration = Duration::from_secs(5);

/// Who follows a run, and can end it.
pub struct Control<'a> {
    /// Ends it.
    pub cancel: CancellationToken,
    /// Is told how far it is.
    pub progress: &'a mut (dyn FnMut(Progress) + Send),
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Output {
    pub ended: Ended,
    pub summary: Option<Summary>,
    pub initialized: Option<String>,
    /// What it wrote that was no message: the list of a task that lists.
    pub text: String,
}

enum Line {
    Out(String),
    Error(String),
}

impl Restic {
    /// Runs a task to its end.
    pub(super) async fn run(&self, task: &Task, control: &mut Control<'_>) -> Result<Output, Failure> {
        let mut command = self.command(task)?;
        let unusable = |error: io::Error| {
            let program = self.engine.program.display();
            Failure::new(Reason::EngineUnusable, format!("{program} cannot be started: {error}"))
        };
        let child = command.spawn().map_err(unusable)?;
        Run::new(child, &self.engine).follow(control).await.map_err(unusable)
    }

    fn command(&self, task: &Task) -> Result<Command, Failure> {
        let credentials = credentials(&self.repository)?;
        let mut command = Command::new(&self.engine.program);
        command.args(task.arguments()).env_clear();
        command.envs(environment(&self.repository, &self.engine, &credentials));
        if let Some(folder) = task.folder() {
            command.current_dir(folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        Ok(command)
    }
}

/// Reads what is needed to open the repository, and refuses to go on without a password.
fn credentials(repository: &Repository) -> Result<Credentials, Failure> {
    let missing = |path: &Path, why: &str| {
        Failure::new(Reason::CredentialsMissing, format!("{}: {why}", path.display()))
    };
    let read = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err(missing(&path, "the file is empty")),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(missing(&path, &error.to_string())),
    };
    read(repository.password.clone())?;
    let Place::Bucket(_, folder) = &repository.place else { return Ok(Credentials::default()) };
    let ca = folder.join(keys::CA);
    Ok(Credentials {
        id: read(folder.join(keys::ID))?,
        secret: read(folder.join(keys::SECRET))?,
        token: read(folder.join(keys::TOKEN)).ok(),
        ca: ca.exists().then_some(ca),
    })
}

struct Run<'a> {
    child: Child,
    /// Its process group, which ends with this value.
    group: Group,
    engine: &'a Engine,
    lines: mpsc::Receiver<Line>,
    /// They read its pipes.
    _readers: [Option<AbortOnDropHandle<()>>; 2],
    watch: Watch,
    /// Bytes of its words.
    heard: u64,
    output: Output,
}

impl<'a> Run<'a> {
    fn new(mut child: Child, engine: &'a Engine) -> Self {
        let (sender, lines) = mpsc::channel(64);
        let out = child.stdout.take().map(|pipe| read(pipe, sender.clone(), Line::Out));
        let errors = child.stderr.take().map(|pipe| read(pipe, sender, Line::Error));
        let group = Group::of(&child);
        let ended = Ended {
            exit: Exit::Code(0),
            stopped: None,
            last: None,
            items: Vec::new(),
            words: Vec::new(),
            retried: None,
        };
        let output = Output { ended, summary: None, initialized: None, text: String::new() };
        let watch = Watch::new(Instant::now());
        Self { child, group, engine, lines, _readers: [out, errors], watch, heard: 0, output }
    }

    async fn follow(mut self, control: &mut Control<'_>) -> io::Result<Output> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kill_at = None;
        let status = loop {
            tokio::select! {
                Some(line) = self.lines.recv() => self.hear(line, control),
                status = self.child.wait() => break status?,
                () = control.cancel.cancelled(), if kill_at.is_none() => {
                    kill_at = Some(self.stop(Stopped::Cancelled));
                }
                _ = tick.tick() => match kill_at {
                    Some(at) if Instant::now() >= at => self.group.signal(Signal::KILL),
                    None if self.is_stalled() => {
                        kill_at = Some(self.stop(Stopped::Stalled(self.engine.stall.as_secs())));
                    }
                    _ => {}
                },
            }
        };
        let rest = sleep(REST);
        tokio::pin!(rest);
        loop {
            tokio::select! {
                line = self.lines.recv() => match line {
                    Some(line) => self.hear(line, control),
                    None => break,
                },
                () = &mut rest => break,
            }
        }
        self.group.ended();
        self.output.ended.exit = exit(status);
        Ok(self.output)
    }

    /// Asks it to end, so that it removes its lock; tells when it is to be killed.
    fn stop(&mut self, why: Stopped) -> Instant {
        self.output.ended.stopped = Some(why);
        self.group.signal(Signal::INT);
        Instant::now() + self.engine.grace
    }

    fn is_stalled(&mut self) -> bool {
        let now = Instant::now();
        if let Some(bytes) = self.group.transferred() {
            self.watch.transferred(now, bytes.saturating_sub(self.heard));
        }
        self.watch.stalled(now, self.engine.stall)
    }

    fn hear(&mut self, line: Line, control: &mut Control<'_>) {
        let (text, out) = match line {
            Line::Out(text) => (text, true),
            Line::Error(text) => (text, false),
        };
        self.heard += text.len() as u64 + 1;
        let ended = &mut self.output.ended;
        match message::parse(&text) {
            Message::Status(progress) => {
                self.watch.figures(Instant::now(), &progress);
                (control.progress)(progress);
            }
            Message::Error(item) => ended.items.extend((ended.items.len() < MOST).then_some(item)),
            Message::Summary(summary) => self.output.summary = Some(summary),
            Message::Initialized(id) => self.output.initialized = Some(id),
            Message::Exit(message) => ended.last = Some(message),
            Message::Other if out => {
                self.output.text.push_str(&text);
                self.output.text.push('\n');
            }
            Message::Other if text.contains("returned error, retrying") => {
                self.watch.tries_again();
                ended.retried = Some(text);
            }
            Message::Other if text.trim().is_empty() => {}
            Message::Other => {
                if ended.words.len() == MOST {
                    ended.words.remove(0);
                }
                ended.words.push(text);
            }
        }
    }
}

fn read(
    pipe: impl AsyncRead + Unpin + Send + 'static,
    sender: mpsc::Sender<Line>,
    kind: fn(String) -> Line,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(kind(text)).await.is_err() {
                return;
            }
            line.clear();
        }
    }))
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

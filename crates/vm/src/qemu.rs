//! One QEMU process: started, spoken to over QMP, and never left behind.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use futures::StreamExt;
use nix::{sched::sched_setaffinity, sys::signal::Signal, unistd::Pid};
use qapi::{
    futures::{QapiService, QmpStreamTokio},
    qmp,
};
use tokio::{
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};
use wire::{
    Outcome,
    shared_memory::{HEADER_BYTES, MAGIC, SIZE_BYTES, STOP_TIME_OFFSET, TO_GUEST_OFFSET, TO_HOST_OFFSET},
    unpack,
};

use crate::{
    Error, IoContext, Result,
    digest::sha256_file,
    machine::{MINIMUM_QEMU, Machine, RECOMMENDED_QEMU, version_at_least},
    processor::{Processor, prefer_main_thread, rest_other_threads},
};

/// The environment variable that names another QEMU.
pub const VARIABLE: &str = "PROBELAB_QEMU";
const PROGRAM: &str = "qemu-system-x86_64";
/// How often QEMU's state is asked for while the guest stands still.
const POLL: Duration = Duration::from_millis(1);
/// Wall time that QEMU has for anything that needs no guest.
const PATIENCE: Duration = Duration::from_secs(60);

/// An installed QEMU.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The program.
    pub program: PathBuf,
    /// `10.0.2`.
    pub version: String,
    /// The whole version line, which tells builds apart.
    pub version_line: String,
    /// A digest of the firmware that the machine runs before the kernel.
    pub firmware: String,
}

impl Installed {
    /// Finds QEMU and checks that it is new enough.
    pub fn find() -> Result<Self> {
        let program = std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from(PROGRAM), PathBuf::from);
        let missing = || Error::QemuMissing {
            program: program.display().to_string(),
            minimum: MINIMUM_QEMU,
        };
        let output = std::process::Command::new(&program)
            .arg("--version")
            .output()
            .map_err(|_| missing())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version_line = text.lines().next().unwrap_or_default().to_owned();
        let version = version_of(&version_line).ok_or_else(missing)?;
        if !version_at_least(&version, MINIMUM_QEMU) {
            return Err(Error::QemuTooOld {
                found: version,
                minimum: MINIMUM_QEMU,
            });
        }
        let firmware = firmware_digest(&program);
        Ok(Self {
            version_line,
            firmware,
            version,
            program,
        })
    }

    /// A warning about this version, if there is one.
    pub fn warning(&self) -> Option<String> {
        (!version_at_least(&self.version, RECOMMENDED_QEMU)).then(|| {
            format!(
                "QEMU {} works, but everything here was measured with {RECOMMENDED_QEMU} or newer",
                self.version
            )
        })
    }
}

fn version_of(line: &str) -> Option<String> {
    let rest = line.split_once("version ")?.1;
    let version: String = rest
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    (!version.is_empty()).then_some(version)
}

/// The files that run before the kernel, wherever QEMU looks for them. A missing one is part of the digest.
fn firmware_digest(program: &Path) -> String {
    let output = std::process::Command::new(program).args(["-L", "help"]).output();
    let folders = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let mut parts = Vec::new();
    for name in ["bios-256k.bin", "linuxboot_dma.bin", "kvmvapic.bin"] {
        let found = folders
            .lines()
            .map(|folder| Path::new(folder.trim()).join(name))
            .find(|path| path.exists());
        parts.push(
            found
                .and_then(|path| sha256_file(&path).ok())
                .unwrap_or_else(|| String::from("-")),
        );
    }
    wire::digest_hex(&parts.iter().map(String::as_bytes).collect::<Vec<_>>())
}

/// What QEMU tells on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The guest stopped itself for a checkpoint.
    StoppedItself,
    /// The guest ended: powered off, or reset after a panic.
    Shutdown {
        /// QEMU's word for the reason.
        reason: String,
    },
    /// QEMU's end of the line is closed.
    Gone,
}

type Service = QapiService<QmpStreamTokio<ChildStdin>>;

/// A running QEMU process. Dropping it kills it.
pub struct Qemu {
    child: Child,
    service: Service,
    notices: mpsc::UnboundedReceiver<Notice>,
    window: File,
    words: PathBuf,
    _processor: Option<Processor>,
    /// When the process was started.
    pub started: Instant,
}

impl Qemu {
    /// Starts a machine; it does not run yet. `folder` holds QEMU's own words.
    pub async fn start(installed: &Installed, machine: &Machine, folder: &Path) -> Result<Self> {
        let words = folder.join("qemu.log");
        let log = File::create(&words).at("creating", &words)?;
        let mut command = Command::new(&installed.program);
        command
            .args(machine.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // A Ctrl-C in the terminal goes to the whole foreground group; this process is ended by us instead.
            .process_group(0)
            .kill_on_drop(true);
        let processor = Processor::take();
        let processors = processor.as_ref().map(Processor::set);
        // SAFETY: prctl(2) and sched_setaffinity(2) are async-signal-safe and change only the child; nothing is
        // allocated in between.
        unsafe {
            command.pre_exec(move || {
                if let Some(processors) = &processors {
                    sched_setaffinity(Pid::from_raw(0), processors)?;
                }
                // Whatever ends us, even SIGKILL, ends QEMU.
                nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(Into::into)
            });
        }
        let started = Instant::now();
        let mut child = command.spawn().map_err(|_| Error::QemuMissing {
            program: installed.program.display().to_string(),
            minimum: MINIMUM_QEMU,
        })?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Qemu {
                what: "no pipes to the process".into(),
                words: String::new(),
            });
        };
        let (service, notices) = match connect(output, input).await {
            Ok(connected) => connected,
            Err(error) => {
                let _ = tokio::time::timeout(Duration::from_secs(1), child.wait()).await;
                return Err(Error::Qemu {
                    what: format!("it did not start: {error}"),
                    words: last_words(&words),
                });
            }
        };
        let window = open_window(child.id()).map_err(|source| Error::Qemu {
            what: format!("its shared memory was not found: {source}"),
            words: last_words(&words),
        })?;
        Ok(Self {
            child,
            service,
            notices,
            window,
            words,
            _processor: processor,
            started,
        })
    }

    /// Fills the guest's side of the shared memory. The header goes last.
    pub fn write_message(&self, bytes: &[u8]) -> Result<()> {
        if HEADER_BYTES + bytes.len() > SIZE_BYTES / 2 {
            return Err(Error::Image {
                what: format!(
                    "the message for the guest has {} bytes, more than the shared memory holds",
                    bytes.len()
                ),
                help: "make the scenario's files smaller".into(),
            });
        }
        let write = |offset: usize, bytes: &[u8]| {
            self.window
                .write_all_at(bytes, offset as u64)
                .during(|| "writing to the shared memory".into())
        };
        write(TO_GUEST_OFFSET + HEADER_BYTES, bytes)?;
        write(TO_GUEST_OFFSET + 8, &(bytes.len() as u64).to_le_bytes())?;
        write(TO_GUEST_OFFSET, &MAGIC.to_le_bytes())
    }

    /// The outcome that the guest left, if it left one, and its outputs.
    pub fn read_outcome(&self) -> Result<Option<(Outcome, Vec<Vec<u8>>)>> {
        let mut header = [0; HEADER_BYTES];
        let reading = || String::from("reading the shared memory");
        self.window
            .read_exact_at(&mut header, TO_HOST_OFFSET as u64)
            .during(reading)?;
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&header[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let length = word(8) as usize;
        if word(0) != MAGIC || length > SIZE_BYTES / 2 - HEADER_BYTES {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        self.window
            .read_exact_at(&mut bytes, (TO_HOST_OFFSET + HEADER_BYTES) as u64)
            .during(reading)?;
        let (outcome, blobs) = unpack::<Outcome>(&bytes)?;
        Ok(Some((outcome, blobs.into_iter().map(<[u8]>::to_vec).collect())))
    }

    /// Lets QEMU's main thread overtake the emulated processor from now on (see [`crate::state`]); false where this user
    /// may not ask for it.
    pub fn prefer_main_thread(&self) -> bool {
        self.process_id().is_some_and(prefer_main_thread)
    }

    /// The same for a user who may not, for the moments in which it matters most: QEMU's other threads have to wait.
    pub fn rest_other_threads(&self) -> std::io::Result<()> {
        self.process_id().map_or(Ok(()), rest_other_threads)
    }

    /// The time stamp counter that the guest noted just before it stopped for a checkpoint; zero while it is not
    /// about to, and some other value once it is.
    pub fn stop_time(&self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.window
            .read_exact_at(&mut bytes, STOP_TIME_OFFSET as u64)
            .during(|| "reading the shared memory".into())?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Lets the guest run (on).
    pub async fn resume(&self) -> Result<()> {
        self.checked("cont", self.service.execute(qmp::cont {}).await.map(drop))
    }

    /// The next thing that QEMU tells.
    pub async fn notice(&mut self) -> Notice {
        self.notices.recv().await.unwrap_or(Notice::Gone)
    }

    /// Leaves guest memory where it is (in the template) when the device state is saved or loaded.
    async fn ignore_shared_memory(&self) -> Result<()> {
        let capability = qmp::MigrationCapabilityStatus {
            capability: qmp::MigrationCapability::x_ignore_shared,
            state: true,
        };
        let command = qmp::migrate_set_capabilities {
            capabilities: vec![capability],
        };
        self.checked(
            "migrate-set-capabilities",
            self.service.execute(command).await.map(drop),
        )
    }

    /// Saves the device state of a stopped machine into a file.
    pub async fn save_state(&self, path: &Path) -> Result<()> {
        self.ignore_shared_memory().await?;
        let command = qmp::migrate {
            uri: Some(format!("file:{}", path.display())),
            channels: None,
            detach: None,
            resume: None,
        };
        self.checked("migrate", self.service.execute(command).await.map(drop))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let info = self.service.execute(qmp::query_migrate {}).await;
            let info = self.checked("query-migrate", info)?;
            match info.status {
                Some(qmp::MigrationStatus::completed) => return Ok(()),
                Some(qmp::MigrationStatus::failed | qmp::MigrationStatus::cancelled) => {
                    let reason = info.error_desc.unwrap_or_else(|| String::from("no reason given"));
                    if reason.contains("No space left") {
                        return Err(Error::DiskFull {
                            during: "saving a checkpoint".into(),
                        });
                    }
                    return Err(self.error(format!("saving the device state failed: {reason}")));
                }
                _ if Instant::now() > until => {
                    return Err(self.error("saving the device state takes for ever".into()));
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Loads a saved device state; the machine then stands where it stopped.
    pub async fn load_state(&self, path: &Path) -> Result<()> {
        self.ignore_shared_memory().await?;
        let command = qmp::migrate_incoming {
            uri: Some(format!("file:{}", path.display())),
            channels: None,
            exit_on_error: None,
        };
        self.checked("migrate-incoming", self.service.execute(command).await.map(drop))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.service.execute(qmp::query_status {}).await;
            let status = self.checked("query-status", status)?;
            if status.status != qmp::RunState::inmigrate {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(self.error("loading the device state takes for ever".into()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends the process and waits for its end.
    pub async fn kill(&mut self) {
        // It may have ended by itself already; either way it is gone afterwards.
        let _ = self.child.kill().await;
    }

    /// Waits for the process to end by itself, and kills it when it does not.
    pub async fn wait_or_kill(&mut self) -> String {
        match tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await {
            Ok(Ok(status)) => format!("{status}"),
            _ => {
                self.kill().await;
                String::from("killed")
            }
        }
    }

    /// QEMU's last words.
    pub fn last_words(&self) -> String {
        last_words(&self.words)
    }

    /// Its process id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    fn checked<T>(&self, command: &str, result: Result<T, qapi::ExecuteError>) -> Result<T> {
        result.map_err(|error| self.error(format!("`{command}` failed: {error}")))
    }

    fn error(&self, what: String) -> Error {
        Error::Qemu {
            what,
            words: self.last_words(),
        }
    }
}

async fn connect(
    output: tokio::process::ChildStdout,
    input: ChildStdin,
) -> std::io::Result<(Service, mpsc::UnboundedReceiver<Notice>)> {
    let negotiation = QmpStreamTokio::open_split(output, input);
    let stream = tokio::time::timeout(PATIENCE, async { negotiation.await?.negotiate().await })
        .await
        .map_err(|_| std::io::Error::other("it says nothing"))??;
    let (service, mut events) = stream.into_parts();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(event)) = events.next().await {
            let notice = match event {
                qmp::Event::GUEST_PANICKED { .. } => Notice::StoppedItself,
                qmp::Event::SHUTDOWN { data, .. } => Notice::Shutdown {
                    reason: format!("{:?}", data.reason),
                },
                _ => continue,
            };
            // Nobody listens any more when the run was given up.
            if sender.send(notice).is_err() {
                break;
            }
        }
    });
    Ok((service, receiver))
}

/// The memfd behind the shared memory, through the process's own descriptor.
fn open_window(process: Option<u32>) -> std::io::Result<File> {
    let process = process.ok_or_else(|| std::io::Error::other("the process ended"))?;
    let folder = PathBuf::from(format!("/proc/{process}/fd"));
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let target = fs::read_link(&path).unwrap_or_default();
        if target.to_string_lossy().contains("memory-backend-memfd") {
            return File::options().read(true).write(true).open(path);
        }
    }
    Err(std::io::Error::other("no descriptor of a memory-backend-memfd"))
}

fn last_words(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    if lines.is_empty() {
        String::from("it said nothing")
    } else {
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_the_first_line() {
        let line = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)";
        assert_eq!(version_of(line).as_deref(), Some("10.0.2"));
        assert_eq!(version_of("something else"), None);
    }
}

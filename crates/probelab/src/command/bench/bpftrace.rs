//! bpftrace's own tools beside the scenario, on this machine's kernel, where bpftrace is installed. They are no part of the
//! guest: each brings a compiler along, which every checkpoint would have to carry.

use std::{path::Path, process::Stdio, time::Duration};

use miette::{IntoDiagnostic, Result, WrapErr};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::open::Context;

/// A tool that comes with bpftrace, and its programs by the names that the kernel knows (cut after 15 bytes).
#[derive(Debug)]
pub struct Tool {
    /// Its file.
    pub name: &'static str,
    /// All of them must be loaded before it counts as started.
    pub programs: &'static [&'static str],
}

/// How long it may take to compile its script.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(200);
/// Distributions put the tools where only root looks.
const PLACES: &str = "/usr/sbin:/usr/share/bpftrace/tools";
/// bpftrace looks for tracepoints where debugfs is usually mounted; the mount is seen by it alone.
const START: &str = "tool=$(PATH=$PATH:$1 command -v \"$0\") || exit 127
[ -e /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug || exit 126
exec bpftrace \"$tool\"";

/// Tools that run. They end when this is dropped.
pub struct Running(Vec<Child>);

impl Running {
    /// Starts those that start here; of the others it is told why not.
    pub async fn start(context: &Context, probed: &Path, tools: &[&Tool]) -> Result<Self> {
        let mut running = Vec::new();
        for tool in tools {
            context
                .progress
                .step("bpftrace", format!("starting {}", tool.name));
            let mut child = Command::new("unshare")
                .args(["--mount", "sh", "-c", START, tool.name, PLACES])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .into_diagnostic()
                .wrap_err("unshare")?;
            match has_started(&mut child, probed, tool).await? {
                None => running.push(child),
                Some(why) => context
                    .progress
                    .notice("bpftrace", format!("without {}: {why}", tool.name)),
            }
        }
        Ok(Self(running))
    }

    /// Ends them.
    pub async fn stop(self) {
        for mut child in self.0 {
            // One that has ended already is fine.
            let _ = child.kill().await;
        }
    }
}

/// Nothing when the tool's programs are loaded, else why they are not.
async fn has_started(child: &mut Child, probed: &Path, tool: &Tool) -> Result<Option<String>> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().into_diagnostic()? {
            return Ok(Some(match status.code() {
                Some(126) => "debugfs cannot be mounted".into(),
                Some(127) => "it is not installed".into(),
                _ => format!("it does not start here, `bpftrace {}` says why", tool.name),
            }));
        }
        if are_loaded(probed, tool).await? {
            return Ok(None);
        }
        sleep(LOOK).await;
    }
    Ok(Some(format!("it was not ready after {} s", PATIENCE.as_secs())))
}

async fn are_loaded(probed: &Path, tool: &Tool) -> Result<bool> {
    let listed = Command::new(probed)
        .args(["programs", "--format", "openmetrics"])
        .output()
        .await
        .into_diagnostic()
        .wrap_err_with(|| probed.display().to_string())?;
    let text = String::from_utf8_lossy(&listed.stdout);
    let is_loaded = |program: &&str| text.contains(&format!("process=\"bpftrace\",program=\"{program}\""));
    Ok(tool.programs.iter().all(is_loaded))
}

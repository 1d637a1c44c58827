//! The ground of a run: what of a machine in use it needs and changes outside its namespaces, and putting that back.

use std::{collections::BTreeSet, ffi::CString, fs, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    kmod::{DeleteModuleFlags, delete_module},
    unistd::{SysconfVar, sysconf},
};
use wire::{Boot, Stage, pack, unpack};

use super::cgroup::Cgroup;
use crate::step::{Failure, InStep};

/// A setting that `probelab check` changes without saying so in its job.
const CHECKED: &str = "kernel.bpf_stats_enabled";

/// How often and how far apart the kernel is asked to take a module away.
const UNLOAD_ATTEMPTS: u32 = 40;
const UNLOAD_PAUSE: Duration = Duration::from_millis(50);

/// What was changed and will be put back.
pub struct Ground {
    /// The run's part of the control groups, where there are any.
    pub cgroup: Option<Cgroup>,
    settings: Vec<(String, String)>,
    modules: Vec<String>,
}

impl Ground {
    /// Prepares the machine for a run; the message that is left for its PID 1, or why this machine cannot do it.
    pub fn prepare(message: &[u8]) -> Result<Result<(Self, Vec<u8>), Failure>> {
        let (mut boot, blobs): (Boot, _) = unpack(message).context("reading the boot message")?;
        let mut ground = Self {
            cgroup: None,
            settings: settings(&boot),
            modules: Vec::new(),
        };
        if let Err(failure) = ground.change(&mut boot) {
            ground.put_back();
            return Ok(Err(failure));
        }
        Ok(Ok((ground, pack(&boot, &blobs)?)))
    }

    /// Does what PID 1 of a virtual machine would do by itself, and takes it out of its message.
    fn change(&mut self, boot: &mut Boot) -> Result<(), Failure> {
        if let Some(job) = &mut boot.job {
            enough_processors(job.cpus).in_step("processors")?;
            job.cpus = 1;
        }
        self.load_modules(&boot.stage).in_step("modules")?;
        boot.stage.modules.clear();
        self.cgroup = Cgroup::create(&boot.stage.cgroups).in_step("cgroups")?;
        Ok(())
    }

    /// The machine's own modules, by its own program.
    fn load_modules(&mut self, stage: &Stage) -> Result<()> {
        for name in &stage.modules {
            if fs::exists(format!("/sys/module/{}", name.replace('-', "_")))? {
                continue;
            }
            let before = loaded_modules();
            let output = Command::new("modprobe")
                .args(["--", name])
                .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
                .output();
            // The newest is listed first, and goes first.
            let new: Vec<String> = loaded_modules()
                .into_iter()
                .filter(|module| !before.contains(module))
                .collect();
            self.modules.splice(0..0, new);
            let output = output.with_context(|| {
                format!("this machine has neither the module `{name}` loaded nor a `modprobe` to load it")
            })?;
            if !output.status.success() && !is_built_in(name) {
                let words = String::from_utf8_lossy(&output.stderr);
                bail!("loading module {name}: {}", words.trim());
            }
        }
        Ok(())
    }

    /// Puts everything back; what could not be, in words. All processes of the run are gone.
    pub fn put_back(self) -> Vec<String> {
        let mut left = Vec::new();
        for (path, value) in self.settings {
            // Written only when changed: some settings may only ever go in one direction.
            if fs::read_to_string(&path).is_ok_and(|now| now != value)
                && let Err(error) = fs::write(&path, &value)
            {
                left.push(format!("{path} is no longer {}: {error}", value.trim()));
            }
        }
        left.extend(
            self.cgroup
                .and_then(|cgroup| cgroup.remove().err())
                .map(|error| format!("{error:#}")),
        );
        for module in &self.modules {
            unload(module);
        }
        left
    }
}

/// The kernel settings that the run will change, with their values now. Those of the network are of its own namespace.
fn settings(boot: &Boot) -> Vec<(String, String)> {
    let named = boot.job.iter().flat_map(|job| job.sysctls.keys());
    let names: BTreeSet<&str> = named.map(String::as_str).chain([CHECKED]).collect();
    let is_shared = |name: &&str| !name.starts_with("net.");
    let names = names.into_iter().filter(is_shared);
    let paths = names.map(|name| format!("/proc/sys/{}", name.replace('.', "/")));
    // What this kernel has not got fails in the job, with its name.
    paths
        .filter_map(|path| fs::read_to_string(&path).ok().map(|value| (path, value)))
        .collect()
}

/// Takes a module away again, unless it stays in use: then by now somebody else needs it.
fn unload(module: &str) {
    // Names of modules come from the kernel, which has no zero bytes in them.
    let Ok(name) = CString::new(module) else { return };
    for _ in 0..UNLOAD_ATTEMPTS {
        match delete_module(&name, DeleteModuleFlags::O_NONBLOCK) {
            // What was in the run's network namespace goes a moment after the run.
            Err(Errno::EWOULDBLOCK | Errno::EBUSY) => std::thread::sleep(UNLOAD_PAUSE),
            _ => return,
        }
    }
}

/// Switching processors on is not for a guest of this machine.
fn enough_processors(wanted: u32) -> Result<()> {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN)?.unwrap_or(1);
    if online < i64::from(wanted) {
        bail!("it needs {wanted} processors, and this machine has {online} online");
    }
    Ok(())
}

fn loaded_modules() -> Vec<String> {
    let text = fs::read_to_string("/proc/modules").unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// Whether the kernel was built with a module that leaves no trace elsewhere.
fn is_built_in(name: &str) -> bool {
    let path = format!(
        "/lib/modules/{}/modules.builtin",
        crate::machine::kernel_release()
    );
    let text = fs::read_to_string(path).unwrap_or_default();
    let file = |name: &str| format!("/{name}.ko");
    let (dashed, plain) = (file(&name.replace('_', "-")), file(name));
    text.lines()
        .any(|line| line.ends_with(&dashed) || line.ends_with(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_network_are_not_the_machine_s() {
        let job = wire::Job {
            sysctls: [
                ("kernel.ostype", "x"),
                ("net.ipv4.ip_forward", "1"),
                ("kernel.absent", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            ..wire::Job::default()
        };
        let boot = Boot {
            protocol: wire::PROTOCOL,
            stage: Stage::default(),
            stop_for_checkpoint: false,
            job: Some(job),
            first_job_blob: 0,
        };
        let settings = settings(&boot);
        let has = |path: &str| settings.iter().any(|(known, _)| known == path);
        assert!(has("/proc/sys/kernel/ostype"));
        assert!(!has("/proc/sys/net/ipv4/ip_forward") && !has("/proc/sys/kernel/absent"));
    }
}

//! What the daemon needs to attach its probes, and what it may still do afterwards: almost nothing.
//!
//! [`Work::needs`] is the table of what each kind of probe needs; `probed capabilities` prints it, and the scenario
//! `privileges` holds it against kernels: a probe starts with exactly these, and without any one of them it does not.
//!
//! What is kept after attaching:
//!
//! | capability | kept for |
//! |---|---|
//! | `CAP_BPF` | map reads, where the kernel wants it for them (before 5.19 with `kernel.unprivileged_bpf_disabled`) |
//! | `CAP_SYS_PTRACE`, `CAP_DAC_READ_SEARCH` | finding the programs of other users' processes: selectors that name one |
//! | `CAP_SYS_ADMIN` | uprobes in programs of containers that are started later: `CallsProbe` of a program with a selector |
//!
//! Turning program statistics on takes `CAP_SYS_ADMIN` as well; without it the daemon says so, and its run times stay 0.

use std::fmt;

use anyhow::anyhow;
use caps::{CapSet, Capability, CapsHashSet};
use probe::{Failure, loader::Loader};
use serde::Serialize;

use crate::manifest::{Kind, Manifest};
use crate::service::Needs;

/// What a probe does, as far as capabilities go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A socket filter that reads the kernel's structures.
    Http,
    /// A socket filter.
    Drop,
    /// A program on an interface.
    Xdp,
    /// Tracepoints of the kernel's own types.
    Trace,
    /// Functions of the kernel.
    KernelFunction,
    /// Functions of programs.
    ProgramFunction,
}

/// A capability and what it is for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Need {
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub capability: Capability,
    /// For what.
    pub reason: &'static str,
}

fn as_text<S: serde::Serializer>(capability: &Capability, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(capability)
}

const LOAD: Need = Need {
    capability: Capability::CAP_BPF,
    reason: "creating maps and loading programs",
};
const READ_KERNEL: Need = Need {
    capability: Capability::CAP_PERFMON,
    reason: "programs that read the kernel's memory",
};
const TRACE: Need = Need {
    capability: Capability::CAP_PERFMON,
    reason: "tracing programs and their hooks",
};
const POINTERS: Need = Need {
    capability: Capability::CAP_PERFMON,
    reason: "programs that compute places in maps, which the verifier forbids others",
};
const PACKET_SOCKET: Need = Need {
    capability: Capability::CAP_NET_RAW,
    reason: "packet sockets",
};
const INTERFACE: Need = Need {
    capability: Capability::CAP_NET_ADMIN,
    reason: "XDP programs and hanging them on an interface",
};
/// A kernel of Debian or Ubuntu asks for it where `kernel.perf_event_paranoid` is above 2, as it is there by default; other
/// kernels know no such value.
const PERF_EVENT: Need = Need {
    capability: Capability::CAP_SYS_ADMIN,
    reason: "perf events, which kprobes are, where kernel.perf_event_paranoid is above 2",
};
/// `perf_uprobe_event_init` asks for it, where `perf_kprobe_event_init` makes do with `CAP_PERFMON`.
const UPROBE: Need = Need {
    capability: Capability::CAP_SYS_ADMIN,
    reason: "uprobes by perf events",
};
/// Linux 5.11 counts BPF memory by control group instead of by `RLIMIT_MEMLOCK`.
const LOCKED_MEMORY: Need = Need {
    capability: Capability::CAP_SYS_RESOURCE,
    reason: "raising RLIMIT_MEMLOCK, which Linux before 5.11 counts maps against",
};

impl Work {
    /// Of every kind of probe, with the kind as manifests have it.
    const ALL: [(&'static str, Self); 8] = [
        ("ActivityProbe", Self::Trace),
        ("CallsProbe of a program", Self::ProgramFunction),
        ("CallsProbe of the kernel", Self::KernelFunction),
        ("ConnectProbe", Self::Trace),
        ("DropProbe", Self::Drop),
        ("HttpProbe", Self::Http),
        ("RunqProbe", Self::Trace),
        ("XdpBlocklist", Self::Xdp),
    ];

    /// Of the probe of a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        match manifest.kind {
            Kind::HttpProbe => Self::Http,
            Kind::DropProbe => Self::Drop,
            Kind::XdpBlocklist => Self::Xdp,
            Kind::ActivityProbe | Kind::ConnectProbe | Kind::RunqProbe => Self::Trace,
            // One of these means a probe of the run queue; what it needs is part of what the others do.
            Kind::CallsProbe | Kind::UprobeProgram | Kind::KprobeProgram
                if manifest.spec.follows_programs() =>
            {
                Self::ProgramFunction
            }
            Kind::CallsProbe | Kind::UprobeProgram | Kind::KprobeProgram => Self::KernelFunction,
        }
    }

    /// The least that it can be started with on this machine.
    fn needs(self, machine: Machine) -> Vec<Need> {
        let own: &[Need] = match self {
            Self::Http => &[LOAD, READ_KERNEL, PACKET_SOCKET],
            Self::Drop => &[LOAD, POINTERS, PACKET_SOCKET],
            Self::Xdp => &[LOAD, POINTERS, INTERFACE],
            // `CAP_SYS_ADMIN` stands for the two others as well.
            Self::KernelFunction if machine.restricts_perf_events => &[PERF_EVENT],
            Self::ProgramFunction if !machine.has_uprobe_links => &[UPROBE],
            Self::Trace | Self::KernelFunction | Self::ProgramFunction => &[LOAD, TRACE],
        };
        let locked = machine.counts_locked_memory.then_some(LOCKED_MEMORY);
        own.iter().copied().chain(locked).collect()
    }

    /// Why a library could not start it, and if the kernel refused, which capabilities would have helped.
    pub fn explain(self, loader: Loader, error: Failure) -> anyhow::Error {
        let words = error.to_string();
        // Up to Linux 6.1 the verifier says `EINVAL` of arithmetic that it lets `CAP_PERFMON` do.
        if is_refusal(&words) || words.contains("os error 22)") {
            anyhow!("{error}{}", Lacking::of(self, loader))
        } else {
            anyhow!(error)
        }
    }
}

/// Whether the kernel's words are those for somebody who may not.
pub fn is_refusal(words: &str) -> bool {
    [
        "os error 1)",
        "os error 13)",
        "Operation not permitted",
        "Permission denied",
    ]
    .iter()
    .any(|refusal| words.contains(refusal))
}

/// What a process lacks that it would need; empty when nothing.
struct Lacking(Vec<Need>);

impl Lacking {
    /// Of what some work needs, what this process has not.
    fn of(work: Work, loader: Loader) -> Self {
        // Whoever may read no capabilities of its own has none to give a hint about.
        let has = caps::read(None, CapSet::Effective).unwrap_or_default();
        let mut needs = work.needs(Machine::running(loader));
        needs.retain(|need| !is_given(need.capability, &has));
        Self(needs)
    }
}

/// Linux 5.8 made `CAP_BPF` and `CAP_PERFMON` out of `CAP_SYS_ADMIN`, which still stands for both.
fn is_given(capability: Capability, has: &CapsHashSet) -> bool {
    let is_part = matches!(capability, Capability::CAP_BPF | Capability::CAP_PERFMON);
    has.contains(&capability) || (is_part && has.contains(&Capability::CAP_SYS_ADMIN))
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, need) in self.0.iter().enumerate() {
            let between = if index == 0 { "; this process lacks " } else { ", " };
            write!(f, "{between}{} ({})", need.capability, need.reason)?;
        }
        Ok(())
    }
}

/// What a kernel asks for beyond what all do.
#[derive(Debug, Clone, Copy)]
struct Machine {
    /// Maps count against `RLIMIT_MEMLOCK`.
    counts_locked_memory: bool,
    /// Perf events are for `CAP_SYS_ADMIN` alone.
    restricts_perf_events: bool,
    /// Uprobes need no perf event: Linux 6.6 has links of many places, of the two libraries libbpf uses them.
    has_uprobe_links: bool,
}

impl Machine {
    /// This one. What it does not let be read is taken for absent.
    fn running(loader: Loader) -> Self {
        let release = nix::sys::utsname::uname().ok();
        let release = release.as_ref().and_then(|name| name.release().to_str());
        let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok();
        let paranoid = paranoid.and_then(|text| text.trim().parse::<i32>().ok());
        Self {
            counts_locked_memory: release.is_some_and(|release| is_before(release, (5, 11))),
            has_uprobe_links: loader == Loader::Libbpf
                && release.is_some_and(|release| !is_before(release, (6, 6))),
            restricts_perf_events: paranoid.is_some_and(|level| level > 2),
        }
    }
}

fn is_before(release: &str, (major, minor): (u32, u32)) -> bool {
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) < (Some(major), Some(minor))
}

#[derive(Serialize)]
struct Row {
    kind: &'static str,
    needs: Vec<Need>,
}

/// The table of what each kind of probe needs on the running kernel, loaded by one of the libraries.
///
/// # Errors
/// When nobody reads what is printed.
pub fn print(loader: Loader, as_json: bool, mut out: impl std::io::Write) -> anyhow::Result<()> {
    let machine = Machine::running(loader);
    let rows: Vec<Row> = Work::ALL
        .into_iter()
        .map(|(kind, work)| Row {
            kind,
            needs: work.needs(machine),
        })
        .collect();
    if as_json {
        serde_json::to_writer_pretty(&mut out, &rows)?;
        writeln!(out)?;
        return Ok(());
    }
    for Row { kind, needs } in &rows {
        for (index, need) in needs.iter().enumerate() {
            let kind = if index == 0 { kind } else { "" };
            writeln!(
                out,
                "{kind:25} {:17} {}",
                need.capability.to_string(),
                need.reason
            )?;
        }
    }
    Ok(())
}

fn kept_for(needs: Needs) -> CapsHashSet {
    let mut kept = CapsHashSet::new();
    if needs.attach {
        // perf_uprobe_event_init asks for it, where kprobes make do with CAP_PERFMON; it implies the other two.
        kept.insert(Capability::CAP_SYS_ADMIN);
    }
    if needs.look_into_processes {
        kept.extend([Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH]);
    }
    kept
}

/// Gives up every capability, for good, but those `needs` names and `can_read` turns out to need.
///
/// # Errors
/// When the kernel refuses, which it does not for one's own capabilities.
pub fn drop_all(needs: Needs, mut can_read: impl FnMut() -> bool) -> anyhow::Result<Vec<Capability>> {
    set_no_new_privileges()?;
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    // Giving up the effective set can be undone, the permitted set cannot: try before deciding.
    caps::clear(None, CapSet::Effective)?;
    let mut kept = kept_for(needs);
    if !can_read() {
        kept.insert(Capability::CAP_BPF);
    }
    // Left in the bounding set: it limits what an exec may gain, and no_new_privs already forbids any gain.
    let permitted = caps::read(None, CapSet::Permitted)?;
    kept.retain(|capability| permitted.contains(capability));
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    Ok(kept.into_iter().collect())
}

fn set_no_new_privileges() -> anyhow::Result<()> {
    // SAFETY: this prctl takes integers only and touches no memory of the process.
    let result = unsafe { nix::libc::prctl(nix::libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers() {
        for (release, is_expected) in [
            ("5.10.0-30-amd64", true),
            ("5.11.0", false),
            ("5.9", true),
            ("6.1", false),
            ("4.19.1", true),
        ] {
            assert_eq!(is_before(release, (5, 11)), is_expected, "{release}");
        }
    }

    #[test]
    fn only_the_kernel_s_refusals_are_explained() {
        assert!(is_refusal("cannot do it: Operation not permitted (os error 1)"));
        assert!(is_refusal("Permission denied"));
        assert!(!is_refusal("no interface eth7 (os error 19)"));
    }

    #[test]
    fn the_old_capability_stands_for_its_parts() {
        let admin = CapsHashSet::from([Capability::CAP_SYS_ADMIN]);
        assert!(is_given(Capability::CAP_BPF, &admin) && is_given(Capability::CAP_PERFMON, &admin));
        assert!(!is_given(Capability::CAP_NET_RAW, &admin));
    }
}

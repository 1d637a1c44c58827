//! Where a program belongs, as far as its section says.

/// Where a check hangs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The loader finds the hook by itself: tracepoints, functions of the kernel, security hooks.
    Named {
        /// What the section says after the kind.
        target: &'a str,
    },
    /// A file's function that the section names in full.
    Uprobe {
        /// `FILE:FUNCTION`.
        target: &'a str,
    },
    /// Frames that arrive at the check's network interface.
    Xdp,
    /// Packets of the check's network interface.
    Tc {
        /// Leaving ones; arriving ones otherwise.
        egress: bool,
    },
    /// A packet socket on every interface.
    Socket,
    /// The check's control group.
    Cgroup,
    /// The network namespace.
    Namespace,
    /// The processor's clock, sampled.
    PerfEvent,
    /// An iterator, which is read.
    Iterator,
    /// A program that is run by the system call.
    Syscall,
    /// Packets that leave this machine, at netfilter.
    Netfilter,
    /// It is only loaded.
    LoadOnly,
    /// What the section does not name.
    NeedsTarget(&'static str),
}

/// The place of a section (without the mark of an optional program).
pub fn of(section: &str) -> Place<'_> {
    let (kind, target) = section.split_once('/').unwrap_or((section, ""));
    match base(kind) {
        "kprobe" | "kretprobe" | "ksyscall" | "kretsyscall" | "fentry" | "fexit" | "fmod_ret"
        | "fsession" | "lsm" => named(target, "a function"),
        "tracepoint" | "tp" | "raw_tracepoint" | "raw_tp" | "tp_btf" => named(target, "a tracepoint"),
        "uprobe" | "uretprobe" | "usdt" if target.contains(':') => Place::Uprobe { target },
        "uprobe" | "uretprobe" | "usdt" => Place::NeedsTarget("a program's file and a function in it"),
        "iter" if target.starts_with("bpf_map") || target.starts_with("bpf_sk_storage") => {
            Place::NeedsTarget("a map")
        }
        "iter" if !target.is_empty() => Place::Iterator,
        "freplace" => Place::NeedsTarget("a program whose function it replaces"),
        "xdp" if matches!(target, "cpumap" | "devmap") => Place::NeedsTarget("an entry of a map"),
        "xdp" => Place::Xdp,
        "tc" | "tcx" | "classifier" => Place::Tc {
            egress: target.starts_with("egress"),
        },
        "action" => Place::NeedsTarget("a filter of traffic control"),
        "netkit" => Place::NeedsTarget("a netkit device"),
        "cgroup_skb" | "cgroup" | "sockops" | "lsm_cgroup" => Place::Cgroup,
        "socket" => Place::Socket,
        "sk_lookup" | "flow_dissector" => Place::Namespace,
        "perf_event" => Place::PerfEvent,
        "syscall" => Place::Syscall,
        "netfilter" => Place::Netfilter,
        "sk_msg" | "sk_skb" => Place::NeedsTarget("a map of sockets"),
        "sk_reuseport" => Place::NeedsTarget("a group of sockets"),
        "lirc_mode2" => Place::NeedsTarget("an infrared receiver"),
        "lwt_in" | "lwt_out" | "lwt_xmit" | "lwt_seg6local" => Place::NeedsTarget("a route"),
        _ => Place::LoadOnly,
    }
}

/// The kind without what follows its first dot (`fentry.s`, `xdp.frags`, `kprobe.multi`).
fn base(kind: &str) -> &str {
    kind.split('.').next().unwrap_or(kind)
}

fn named<'a>(target: &'a str, what: &'static str) -> Place<'a> {
    if target.is_empty() {
        Place::NeedsTarget(what)
    } else {
        Place::Named { target }
    }
}

/// Which empty program is called and counted in the same way.
pub fn calibrated_as(section: &str) -> &'static str {
    let (kind, target) = section.split_once('/').unwrap_or((section, ""));
    let sleepable = kind.ends_with(".s");
    match base(kind) {
        "raw_tracepoint" | "raw_tp" => "empty_raw_tp",
        "tp_btf" => "empty_tp_btf",
        "kprobe" | "ksyscall" | "uprobe" | "usdt" => "empty_kprobe",
        "kretprobe" | "kretsyscall" | "uretprobe" => "empty_kretprobe",
        "fentry" | "fmod_ret" if sleepable => "empty_fentry_s",
        "fentry" | "fmod_ret" => "empty_fentry",
        "fexit" if sleepable => "empty_fexit_s",
        "fexit" => "empty_fexit",
        "lsm" if sleepable => "empty_fexit_s",
        "lsm" => "empty_lsm",
        "socket" => "empty_socket",
        "tc" | "tcx" | "classifier" => "empty_tc",
        "perf_event" => "empty_perf_event",
        "iter" => "empty_iter",
        "syscall" => "empty_syscall",
        "xdp" => "empty_xdp",
        "cgroup_skb" => "empty_cgroup_skb",
        "cgroup" if target == "skb" => "empty_cgroup_skb",
        "cgroup" | "sockops" => "empty_cgroup_connect",
        _ => "empty_tracepoint",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_say_where_a_program_belongs() {
        assert_eq!(
            of("kprobe/do_unlinkat"),
            Place::Named {
                target: "do_unlinkat"
            }
        );
        assert_eq!(
            of("tp/sched/sched_switch"),
            Place::Named {
                target: "sched/sched_switch"
            }
        );
        assert_eq!(of("fentry.s/vfs_read"), Place::Named { target: "vfs_read" });
        assert_eq!(of("kprobe"), Place::NeedsTarget("a function"));
        assert_eq!(
            of("uprobe//bin/sh:main"),
            Place::Uprobe {
                target: "/bin/sh:main"
            }
        );
        assert!(matches!(of("uprobe/malloc"), Place::NeedsTarget(_)));
        assert_eq!(of("xdp.frags"), Place::Xdp);
        assert_eq!(of("xdp_drop"), Place::LoadOnly);
        assert!(matches!(of("xdp/cpumap"), Place::NeedsTarget(_)));
        assert_eq!(of("tcx/egress"), Place::Tc { egress: true });
        assert_eq!(of("classifier"), Place::Tc { egress: false });
        assert_eq!(of("cgroup/connect4"), Place::Cgroup);
        assert_eq!(of("iter/task"), Place::Iterator);
        assert!(matches!(of("iter/bpf_map_elem"), Place::NeedsTarget("a map")));
        assert_eq!(of("struct_ops/init"), Place::LoadOnly);
    }

    #[test]
    fn every_calibration_names_a_program_that_exists() {
        let programs = crate::object_file::programs(crate::calibrate::OBJECT).unwrap();
        for program in &programs {
            assert_eq!(calibrated_as(&program.section), program.name);
        }
        assert!(
            programs
                .iter()
                .any(|program| program.name == calibrated_as("unheard-of"))
        );
    }
}

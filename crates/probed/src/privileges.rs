//! What the daemon may still do once its probes are attached: almost nothing.
//!
//! | capability | needed for | kept after attach |
//! |---|---|---|
//! | `CAP_BPF` | creating maps, loading programs | where the kernel wants it for map reads (before 5.19 with `kernel.unprivileged_bpf_disabled`) |
//! | `CAP_PERFMON` | tracepoints, kprobes and uprobes; reading the kernel's structures, such as receive stamps; loading without the costlier code for unprivileged programs | no |
//! | `CAP_NET_ADMIN` | hanging an XDP program on an interface | no |
//! | `CAP_NET_RAW` | the packet socket | no |
//! | `CAP_SYS_PTRACE`, `CAP_DAC_READ_SEARCH` | finding the programs of other users' processes | for selectors that name a program |
//! | `CAP_SYS_ADMIN` | turning program statistics on; uprobes; all of the above before 5.8 | to put uprobes into programs of containers that are started later: for `CallsProbe` of a program with a selector |
//! | `CAP_SYS_RESOURCE` | raising `RLIMIT_MEMLOCK` before 5.11 | no |

use caps::{CapSet, Capability, CapsHashSet};

use crate::service::Needs;

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

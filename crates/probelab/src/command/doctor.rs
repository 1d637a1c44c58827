//! `probelab doctor`: what this machine has, what it lacks, and how to get it.

use std::process::Command;

use miette::Result;
use serde::Serialize;
use vm::{Mirror, qemu::Installed};
use wire::Lane;

use crate::{
    exit::Exit,
    open::{Context, GUEST_VARIABLE, PROBED_VARIABLE},
    out::{self, out},
    show::{DONE, with_help},
};

#[derive(Serialize)]
struct Finding {
    name: &'static str,
    good: bool,
    /// Whether a run in the virtual lane is impossible without it.
    needed: bool,
    words: String,
}

/// Runs the command.
pub async fn run(context: &Context, recheck: bool, json: bool) -> Result<Exit> {
    let mut findings = vec![qemu(), mirror(context)];
    for (name, argument, purpose) in [
        ("mmdebstrap", "--version", "builds the root filesystem"),
        ("dpkg-deb", "--version", "takes packages apart"),
        ("tshark", "--version", "reads packet captures for the judge"),
        ("ssh", "-V", "reaches machines for the ssh lane"),
    ] {
        // A given root filesystem is not built, and a folder of kernels is not unpacked.
        let made_elsewhere = match name {
            "mmdebstrap" => context.common.rootfs.is_some(),
            "dpkg-deb" => std::env::var_os(vm::kernels::VARIABLE).is_some(),
            _ => false,
        };
        findings.push(tool(name, argument, purpose, name != "ssh" && !made_elsewhere));
    }
    for (name, variable) in [("guest", GUEST_VARIABLE), ("probed", PROBED_VARIABLE)] {
        findings.push(program(context, name, variable));
    }
    findings.push(free_space(context));
    findings.push(realtime());
    findings.push(kvm(context, recheck).await);
    findings.push(host_lane());
    context.progress.step("kvm", DONE);

    let broken = findings.iter().any(|finding| finding.needed && !finding.good);
    if json {
        out::json(&findings)?;
    } else {
        for finding in &findings {
            let mark = match (finding.good, finding.needed) {
                (true, _) => "ok     ",
                (false, true) => "MISSING",
                (false, false) => "without",
            };
            out!("{mark}  {:10}  {}", finding.name, finding.words);
        }
    }
    Ok(if broken { Exit::CouldNotRun } else { Exit::Passed })
}

fn qemu() -> Finding {
    match Installed::find() {
        Ok(installed) => Finding {
            name: "qemu",
            good: true,
            needed: true,
            words: installed.warning().unwrap_or(installed.version_line),
        },
        Err(error) => Finding {
            name: "qemu",
            good: false,
            needed: true,
            words: with_help(&error),
        },
    }
}

fn mirror(context: &Context) -> Finding {
    match Mirror::find(context.common.mirror.as_deref()) {
        Ok(mirror) => Finding {
            name: "mirror",
            good: true,
            needed: false,
            words: mirror.main,
        },
        Err(error) => Finding {
            name: "mirror",
            good: false,
            needed: false,
            words: with_help(&error),
        },
    }
}

fn tool(name: &'static str, argument: &str, purpose: &str, needed: bool) -> Finding {
    let output = Command::new(name).arg(argument).output();
    let (good, words) = match output {
        Ok(output) => {
            // `ssh` says its version on standard error.
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            (true, text.lines().next().unwrap_or_default().to_owned())
        }
        Err(_) => (
            false,
            format!("not found; it {purpose}. `ci/bootstrap` installs it"),
        ),
    };
    Finding {
        name,
        good,
        needed,
        words,
    }
}

fn program(context: &Context, name: &'static str, variable: &str) -> Finding {
    match context.project.program(name, variable) {
        Ok(path) => Finding {
            name,
            good: true,
            needed: true,
            words: path.display().to_string(),
        },
        Err(error) => Finding {
            name,
            good: false,
            needed: true,
            words: format!("{error}; `just build` makes it"),
        },
    }
}

fn free_space(context: &Context) -> Finding {
    const WANTED_BYTES: u64 = 4 << 30;
    let free = vm::cache::free_bytes(context.cache.root());
    Finding {
        name: "cache",
        good: free >= WANTED_BYTES,
        needed: false,
        words: format!(
            "{} free in {}",
            crate::show::bytes(free),
            context.cache.root().display()
        ),
    }
}

fn realtime() -> Finding {
    let good = vm::may_have_realtime_threads();
    let words = match good {
        true => "QEMU's main thread goes first while a checkpoint is made",
        false => {
            "no realtime threads, for which one needs CAP_SYS_NICE or a limit (`ulimit -r`) of 1: a checkpoint \
             may differ by some instructions from one made elsewhere; docs/determinism.md"
        }
    };
    Finding {
        name: "realtime",
        good,
        needed: false,
        words: words.into(),
    }
}

async fn kvm(context: &Context, recheck: bool) -> Finding {
    let unknown = |words: String| Finding {
        name: "kvm",
        good: false,
        needed: false,
        words,
    };
    if !std::path::Path::new("/dev/kvm").exists() {
        return unknown("there is no /dev/kvm; the virtual lane needs none".into());
    }
    context
        .progress
        .step("kvm", "booting a stock kernel to see whether KVM works");
    let decision = async {
        let lab = context.lab(Lane::Kvm).await?;
        let sources = context.sources(&["all".into()], None)?;
        let source = sources
            .last()
            .ok_or_else(|| miette::miette!("no kernel is pinned"))?;
        let kernel = context.fetch(source).await?;
        Ok::<_, miette::Report>(vm::kvm::decide(&lab, &kernel, recheck).await?)
    };
    match decision.await {
        Ok(decision) => Finding {
            name: "kvm",
            good: decision.usable,
            needed: false,
            words: decision.reason,
        },
        Err(error) => unknown(format!("not decided: {error}")),
    }
}

fn host_lane() -> Finding {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = status
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    let btf = std::path::Path::new("/sys/kernel/btf/vmlinux").exists();
    let words = match (root, btf) {
        (true, true) => "this machine's kernel can be used (--lane host)",
        (false, _) => "--lane host needs root",
        (true, false) => "this machine's kernel has no BTF; probes that need it will say so",
    };
    Finding {
        name: "host lane",
        good: root,
        needed: false,
        words: words.into(),
    }
}

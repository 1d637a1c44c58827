//! What the programs of `bpf/` cost under the stimulus of `probelab check`, which is the same for all objects and takes no
//! account of interrupts: exactly as much as `bpf/costs.csv` says. With `PROBELAB_WRITE_COSTS=1` that is written first.
//! A kprobe whose section names no target is given one that the stimulus runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    common::{Said, compile, said},
    lab,
};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All of `bpf/` but what is no probe: programs that measure the lab itself.
fn probes() -> Vec<String> {
    let entries = fs::read_dir(project().join("bpf")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut probes: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix(".bpf.c")?.to_owned()))
        .filter(|name| !["calibrate", "empty"].contains(&name.as_str()))
        .collect();
    probes.sort();
    probes
}

/// A section that names no function.
const ANYWHERE: &str = "SEC(\"kprobe\")";
/// One with a function that the stimulus comes by: it sleeps. It has nothing that a uprobe could sit on.
const AT_SLEEP: &str = "SEC(\"kprobe/hrtimer_nanosleep\")";

/// The source of a probe, each kprobe of it with a target.
fn source(name: &str) -> String {
    let own = fs::read_to_string(project().join(format!("bpf/{name}.bpf.c"))).unwrap();
    own.replace(ANYWHERE, AT_SLEEP)
}

/// Builds an object of this text beside the headers of `bpf/`, as the probes' build scripts do.
fn object(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let bpf = project().join("bpf");
    let source = folder.path().join(format!("{name}.bpf.c"));
    fs::write(&source, text).unwrap();
    let out = folder.path().join(format!("{name}.bpf.o"));
    let headers = format!("-I{}", bpf.display());
    // The bytes of an object are inputs of a check, and debug information names folders.
    let own = format!("-ffile-prefix-map={}=/costs", folder.path().display());
    let theirs = format!("-ffile-prefix-map={}=/probelab", env!("CARGO_MANIFEST_DIR"));
    compile(
        &source,
        &out,
        &["-g", "-D__TARGET_ARCH_x86", &headers, &own, &theirs],
    );
    out
}

/// Compares with `bpf/costs.csv`; not a single instruction more is allowed.
fn compared(objects: &[PathBuf], kernel: &str) -> Said {
    let costs = project().join("bpf/costs.csv");
    let mut command = lab(&format!(
        "check --kernel {kernel} --loader libbpf --need load --fail-on net+0"
    ));
    said(command.arg("--compare").arg(costs).args(objects))
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn every_program_costs_what_it_did_on_every_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let objects: Vec<PathBuf> = probes()
        .iter()
        .map(|name| object(&folder, name, &source(name)))
        .collect();
    if std::env::var_os("PROBELAB_WRITE_COSTS").is_some() {
        let columns = "kernel,loader,file_name,prog_name,net_run_insns";
        let mut command = lab(&format!(
            "check --kernel all --loader libbpf --need load --csv --emit {columns}"
        ));
        let said = said(command.args(&objects));
        fs::write(project().join("bpf/costs.csv"), said.out).unwrap();
    }
    // Not the exit code: XDP in fragments does not load on 5.10.
    let said = compared(&objects, "all");
    let differs = |line: &&str| {
        let begins = |word| line.starts_with(word);
        line.contains("net_run_insns") || begins("new: ") || begins("gone: ")
    };
    let moved: Vec<&str> = said.out.lines().filter(differs).collect();
    assert!(
        said.out.contains(" programs: 0 changes, 0 gates broken") && moved.is_empty(),
        "{}\nand on standard error:\n{}",
        moved.join("\n"),
        said.error
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn one_instruction_more_is_caught_and_told() {
    let folder = tempfile::tempdir().unwrap();
    // At the start, where no register is in use: anywhere else the compiler makes other paths of it.
    let (before, after) = (
        "\t__u32 zero = 0, slot;",
        "\tasm volatile(\"r0 = 0\" ::: \"r0\");\n\t__u32 zero = 0, slot;",
    );
    let own = fs::read_to_string(project().join("bpf/drop.bpf.c")).unwrap();
    assert!(own.contains(before));
    let slower = object(&folder, "drop", &own.replacen(before, after, 1));
    let said = compared(&[slower], "6.12");
    assert_eq!(said.code, 1, "{said:?}");
    let told = said
        .out
        .lines()
        .find(|line| line.contains("FAILED net_run_insns+0"))
        .unwrap();
    assert!(
        told.contains("drop.bpf.o drop_packet on 6.12 by libbpf"),
        "{said:?}"
    );
    let numbers: Vec<f64> = told
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(
        (numbers[numbers.len() - 1] - numbers[numbers.len() - 2] - 1.0).abs() < 1e-6,
        "{told}"
    );
}

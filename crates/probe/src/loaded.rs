//! All BPF programs that are loaded on this machine, ours and others', with who holds them.

use std::{collections::BTreeMap, fs, io, path::Path};

use aya::programs::loaded_programs;

use crate::clock::nanoseconds;

/// A program in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedProgram {
    /// Its name, which the kernel cuts after 15 bytes.
    pub name: String,
    /// The name of the first process that holds it (`/proc/PID/comm`); empty when it is only attached or pinned.
    pub process: String,
    /// How often it ran while program statistics were on.
    pub runs: u64,
    /// How long, in nanoseconds.
    pub run_time_ns: u64,
}

/// Lists them.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN` (before Linux 5.8) or `CAP_BPF`.
pub fn programs() -> io::Result<Vec<LoadedProgram>> {
    let holders = holders(Path::new("/proc"))?;
    let mut found = Vec::new();
    for program in loaded_programs() {
        let program = program.map_err(io::Error::other)?;
        found.push(LoadedProgram {
            name: String::from_utf8_lossy(program.name()).into_owned(),
            process: holders.get(&program.id()).cloned().unwrap_or_default(),
            runs: program.run_count(),
            run_time_ns: nanoseconds(program.run_time()),
        });
    }
    Ok(found)
}

/// Which process holds which program, by the program's number. A process may end meanwhile; it holds nothing then.
fn holders(proc: &Path) -> io::Result<BTreeMap<u32, String>> {
    let mut holders = BTreeMap::new();
    for entry in fs::read_dir(proc)? {
        let process = entry?.path();
        let (Ok(name), Ok(descriptors)) = (
            fs::read_to_string(process.join("comm")),
            fs::read_dir(process.join("fdinfo")),
        ) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let text = fs::read_to_string(descriptor.path()).unwrap_or_default();
            if let Some(id) = program_id(&text) {
                holders.entry(id).or_insert_with(|| name.trim_end().to_owned());
            }
        }
    }
    Ok(holders)
}

/// The program behind a descriptor: the kernel writes `prog_id` for programs and for links to them.
fn program_id(fdinfo: &str) -> Option<u32> {
    let line = fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_descriptor() {
        let text = "pos:\t0\nflags:\t02000002\nprog_type:\t5\nprog_id:\t42\nrun_cnt:\t7\n";
        assert_eq!(program_id(text), Some(42));
        assert_eq!(program_id("pos:\t0\nmap_id:\t3\n"), None);
    }
}

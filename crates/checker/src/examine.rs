//! The check of one object with one loader, in the process that it may take down.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

use anyhow::Result;
use libbpf_rs::{MapHandle, MapInfo};
use wire::{Loader, MapFinding, ObjectFinding, ProgramFinding, Reason, Step};

use probe::stats::ProgramStats;

use crate::{
    by_aya, by_libbpf,
    hang::{Hung, hang},
    loaded::Loaded,
    object_file,
    place::{self, Place},
    props::Props,
    rounds,
};

/// What empty programs cost per run, by the names of the calibration's programs.
pub type Calibration = BTreeMap<String, f64>;

/// What does not change from object to object.
pub struct Bench {
    /// aya, ready to load.
    pub aya: by_aya::Prepared,
    /// What empty programs cost.
    pub calibration: Calibration,
}

impl Bench {
    /// Examines an object. `note` is told whenever more is known, so that a crash loses only what came after.
    pub fn examine(
        &mut self,
        file_name: &str,
        bytes: &[u8],
        loader: Loader,
        note: &mut dyn FnMut(&ObjectFinding),
    ) -> Result<ObjectFinding> {
        let mut finding = blank(file_name, loader);
        let programs = match object_file::programs(bytes) {
            Ok(programs) => programs,
            Err(error) => {
                finding.whole = Step::failed(Reason::NotAnObject, format!("{error:#}"));
                return Ok(finding);
            }
        };
        finding.programs = programs
            .into_iter()
            .map(|program| ProgramFinding {
                program: program.name,
                section: program.section,
                size_instructions: program.size_instructions,
                ..ProgramFinding::default()
            })
            .collect();
        note(&finding);
        let loaded = match loader {
            Loader::Libbpf => by_libbpf::load(bytes, &stem(file_name), &mut finding),
            Loader::Aya => self.aya.load(bytes, &mut finding),
        };
        note(&finding);
        if let Some(mut loaded) = loaded {
            finding.maps = maps();
            describe(loaded.as_ref(), &mut finding);
            self.run(loaded.as_mut(), &mut finding, note)?;
        }
        Ok(finding)
    }

    /// Hangs the programs and plays the stimulus. An interface takes one XDP program at a time, so each further one gets
    /// a play of its own.
    fn run(
        &self,
        loaded: &mut dyn Loaded,
        finding: &mut ObjectFinding,
        note: &mut dyn FnMut(&ObjectFinding),
    ) -> Result<()> {
        let ready: Vec<usize> = (0..finding.programs.len())
            .filter(|index| {
                finding.programs[*index].load.is_done() && finding.programs[*index].attach == Step::Pending
            })
            .collect();
        if ready.is_empty() {
            return Ok(());
        }
        let props = Props::collect()?;
        for play in plays(&finding.programs, &ready) {
            let mut hung: Vec<(usize, Hung)> = Vec::new();
            for index in play {
                let hanging = hang(loaded, &mut finding.programs[index], &props);
                hung.extend(hanging.map(|hanging| (index, hanging)));
            }
            note(finding);
            let (measured, programs): (Vec<usize>, Vec<_>) = hung
                .iter()
                .filter_map(|(index, _)| {
                    let program = &finding.programs[*index];
                    let part = rounds::Part::of(place::of(program.place()));
                    Some((*index, (loaded.descriptor(&program.program)?, part)))
                })
                .unzip();
            let hanging: Vec<&Hung> = hung.iter().map(|(_, hung)| hung).collect();
            let fired = rounds::play(&programs, &hanging, &props);
            for (index, runs) in measured.into_iter().zip(fired) {
                let program = &mut finding.programs[index];
                program.runs = runs.runs;
                program.run_cost = runs.run_cost;
                program.fire = match runs.runs {
                    0 => did_not_fire(program.place()),
                    _ => Step::Done,
                };
                let kind = place::calibrated_as(program.place());
                program.empty_run_cost = self.calibration.get(kind).copied();
            }
            note(finding);
        }
        Ok(())
    }
}

/// A finding about an object of which nothing is known yet.
pub fn blank(file_name: &str, loader: Loader) -> ObjectFinding {
    ObjectFinding {
        file_name: file_name.to_owned(),
        loader,
        whole: Step::Pending,
        maps: Vec::new(),
        programs: Vec::new(),
    }
}

/// Which programs are hung together.
fn plays(programs: &[ProgramFinding], ready: &[usize]) -> Vec<Vec<usize>> {
    let is_xdp = |index: &usize| place::of(programs[*index].place()) == Place::Xdp;
    let (xdp, mut together): (Vec<usize>, Vec<usize>) = ready.iter().partition(|index| is_xdp(index));
    let mut xdp = xdp.into_iter();
    together.extend(xdp.next());
    let mut plays = vec![together];
    plays.extend(xdp.map(|index| vec![index]));
    plays
}

/// libbpf names an object's hidden maps after it, and takes a dot for an end.
fn stem(file_name: &str) -> String {
    let stem = file_name.split('.').next().unwrap_or_default();
    if stem.is_empty() {
        "object".to_owned()
    } else {
        stem.to_owned()
    }
}

fn describe(loaded: &dyn Loaded, finding: &mut ObjectFinding) {
    for program in &mut finding.programs {
        let Some(fd) = loaded.descriptor(&program.program) else {
            continue;
        };
        let fdinfo = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
        let text = fs::read_to_string(fdinfo).unwrap_or_default();
        program.program_type = by_libbpf::type_name_of(field(&text, "prog_type") as u32);
        if let Ok(stats) = ProgramStats::of(fd) {
            program.jited_bytes = Some(u64::from(stats.jited_bytes));
            let verified = stats.verified_instructions.map(u64::from);
            program.verifier.total_insns = program.verifier.total_insns.or(verified);
        }
    }
}

fn did_not_fire(section: &str) -> Step {
    let lsm = section.starts_with("lsm");
    let active = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    if lsm && !active.split(',').any(|name| name.trim() == "bpf") {
        let words = format!("the kernel's security modules are: {}", active.trim());
        return Step::not_tried(Reason::LsmOff, words);
    }
    Step::failed(Reason::DidNotFire, "nothing of the stimulus made it run")
}

/// The maps that this process holds: those of the object, whichever loader made them.
fn maps() -> Vec<MapFinding> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let mut maps: BTreeMap<u32, MapFinding> = BTreeMap::new();
    for entry in entries.flatten() {
        let is_map = fs::read_link(entry.path()).is_ok_and(|link| link == Path::new("anon_inode:bpf-map"));
        let fdinfo = Path::new("/proc/self/fdinfo").join(entry.file_name());
        if is_map && let Ok(text) = fs::read_to_string(fdinfo) {
            let id = field(&text, "map_id") as u32;
            maps.entry(id).or_insert_with(|| MapFinding {
                name: map_name(id).unwrap_or_default(),
                map_type: field(&text, "map_type") as u32,
                max_entries: field(&text, "max_entries") as u32,
                memory_bytes: field(&text, "memlock"),
            });
        }
    }
    maps.into_values().collect()
}

/// A number of an fdinfo file; 0 when it is not there.
fn field(fdinfo: &str, name: &str) -> u64 {
    fdinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

fn map_name(id: u32) -> Option<String> {
    let map = MapHandle::from_map_id(id).ok()?;
    let info = MapInfo::new(map.as_fd()).ok()?;
    info.name().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(section: &str) -> ProgramFinding {
        ProgramFinding {
            section: section.to_owned(),
            ..ProgramFinding::default()
        }
    }

    #[test]
    fn one_xdp_program_at_a_time() {
        let programs = ["xdp", "kprobe/a", "xdp", "tc", "?xdp"].map(program);
        assert_eq!(
            plays(&programs, &[0, 1, 2, 3, 4]),
            [vec![1, 3, 0], vec![2], vec![4]]
        );
        assert_eq!(plays(&programs, &[1]), [vec![1]]);
    }

    #[test]
    fn numbers_of_an_fdinfo_are_found_by_name() {
        let text = "pos:\t0\nmap_type:\t2\nmax_entries:\t16\nmemlock:\t4096\nmap_id:\t7\n";
        assert_eq!(
            (
                field(text, "memlock"),
                field(text, "map_id"),
                field(text, "frozen")
            ),
            (4096, 7, 0)
        );
    }

    #[test]
    fn an_object_is_called_by_the_start_of_its_file_s_name() {
        assert_eq!(stem("http.bpf.o"), "http");
        assert_eq!(stem(".o"), "object");
    }
}

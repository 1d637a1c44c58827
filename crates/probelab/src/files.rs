//! The project's own files: where they are, and what is in them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use scenario::{Content, Scenario};

/// The folder that holds `vm/` and `scenarios/`.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its path.
    pub root: PathBuf,
}

/// A scenario that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its name: the name of its folder.
    pub name: String,
    /// What it says.
    pub scenario: Scenario,
    /// The files that it names, by the names it uses. What its builds make is not among them.
    pub files: Files,
}

/// Files of a scenario, by the names it uses.
pub type Files = BTreeMap<String, Content>;

impl Project {
    /// The given folder, or the nearest one at or above the current folder, or what was installed with this program.
    pub fn find(given: Option<&Path>) -> Result<Self> {
        let is_project = |path: &Path| path.join("vm/kernels.toml").is_file();
        if let Some(path) = given {
            if !is_project(path) {
                return Err(miette!(
                    help = "--root names the folder that holds vm/kernels.toml and scenarios/",
                    "{} is not a Probelab folder",
                    path.display()
                ));
            }
            return Ok(Self {
                root: path.to_owned(),
            });
        }
        let current = std::env::current_dir().into_diagnostic()?;
        let above = current.ancestors().find(|path| is_project(path));
        // A package brings the files along.
        let own = std::env::current_exe().into_diagnostic()?;
        let packaged = own.parent().map(|folder| folder.join("../share/probelab"));
        let root = above
            .map(Path::to_owned)
            .or_else(|| packaged.filter(|path| is_project(path)))
            .ok_or_else(|| {
                miette!(
                    help = "go into a checkout, or name one with --root",
                    "no vm/kernels.toml in this folder or above it"
                )
            })?;
        Ok(Self { root })
    }

    /// A path in the project.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The names of all scenarios, sorted.
    pub fn scenario_names(&self) -> Result<Vec<String>> {
        let folder = self.path("scenarios");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder)
            .into_diagnostic()
            .wrap_err_with(|| folder.display().to_string())?
        {
            let path = entry.into_diagnostic()?.path();
            if path.join("scenario.toml").is_file()
                && let Some(name) = path.file_name()
            {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Every scenario, those that are run only by their names included.
    pub fn every(&self) -> Result<Vec<Loaded>> {
        let names = self.scenario_names()?;
        names
            .iter()
            .map(|name| load_folder(&self.path("scenarios").join(name)))
            .collect()
    }

    /// The scenarios that are meant: names, folders, or `all`.
    pub fn load(&self, wanted: &[String]) -> Result<Vec<Loaded>> {
        let known = self.scenario_names()?;
        let mut loaded: Vec<Loaded> = Vec::new();
        for name in wanted {
            if name == "all" {
                let is_meant = |loaded: &Loaded| loaded.scenario.only_by_name().is_none();
                loaded.extend(self.every()?.into_iter().filter(is_meant));
            } else if known.contains(name) {
                loaded.push(load_folder(&self.path("scenarios").join(name))?);
            } else if Path::new(name).join("scenario.toml").is_file() {
                loaded.push(load_folder(Path::new(name))?);
            } else {
                return Err(miette!(
                    help = format!("there are: {}", known.join(", ")),
                    "no scenario `{name}`"
                ));
            }
        }
        Ok(loaded)
    }

    /// A program that was built with this one: the variable's path, beside this program, or in the target
    /// folder of the checkout.
    pub fn program(&self, name: &str, variable: &str) -> Result<PathBuf> {
        if let Some(path) = std::env::var_os(variable) {
            return Ok(PathBuf::from(path));
        }
        let own = std::env::current_exe().into_diagnostic()?;
        let folder = own.parent().unwrap_or(Path::new("."));
        let places = [
            folder.join(name),
            folder.join("../x86_64-unknown-linux-gnu/release").join(name),
            self.path("target/x86_64-unknown-linux-gnu/release").join(name),
        ];
        // Only a static program runs in the guest; the one beside a development build of ours is dynamic.
        places
            .iter()
            .find(|path| path.is_file() && is_static(path))
            .cloned()
            .ok_or_else(|| {
                miette!(
                    help = format!("`just build` makes it; {variable} names another one"),
                    "the static program `{name}` was not found"
                )
            })
    }
}

/// Whether an ELF program needs no loader: it has no `PT_INTERP` segment, wherever that loader would be.
fn is_static(path: &Path) -> bool {
    use object::read::elf::{ElfFile64, ProgramHeader};
    std::fs::read(path).is_ok_and(|bytes| {
        let file = ElfFile64::<object::Endianness>::parse(bytes.as_slice());
        file.is_ok_and(|file| {
            let endian = file.endian();
            !file
                .elf_program_headers()
                .iter()
                .any(|header| header.p_type(endian) == object::elf::PT_INTERP)
        })
    })
}

fn load_folder(folder: &Path) -> Result<Loaded> {
    let folder = folder.canonicalize().into_diagnostic()?;
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let path = folder.join("scenario.toml");
    let text = std::fs::read_to_string(&path)
        .into_diagnostic()
        .wrap_err_with(|| path.display().to_string())?;
    let shown = format!("{name}/scenario.toml");
    let scenario = Scenario::parse(&shown, &text)?;
    let mut files = Files::new();
    for file in scenario.files() {
        let path = folder.join(file);
        let bytes = std::fs::read(&path).into_diagnostic().wrap_err_with(|| {
            format!(
                "{shown} names `{file}`, which is not in its folder ({})",
                path.display()
            )
        })?;
        files.insert(file.to_owned(), bytes.into());
    }
    Ok(Loaded {
        name,
        scenario,
        files,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_program_with_a_loader_is_not_static_wherever_the_loader_is() {
        let own = std::env::current_exe().unwrap();
        assert!(!is_static(&own));
        let mut bytes = std::fs::read(&own).unwrap();
        let at = bytes
            .windows(9)
            .position(|window| window == b"/lib64/ld")
            .unwrap();
        bytes[at..at + 6].copy_from_slice(b"/store");
        let moved = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(moved.path(), bytes).unwrap();
        assert!(!is_static(moved.path()));
        std::fs::write(moved.path(), "#!/bin/sh\n").unwrap();
        assert!(!is_static(moved.path()));
    }

    #[test]
    fn all_are_every_one_that_needs_no_name() {
        let project = Project {
            root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        };
        let names =
            |loaded: &[Loaded]| -> Vec<String> { loaded.iter().map(|one| one.name.clone()).collect() };
        let (every, all) = (project.every().unwrap(), project.load(&["all".into()]).unwrap());
        let (some, rest): (Vec<Loaded>, Vec<Loaded>) = every
            .into_iter()
            .partition(|loaded| loaded.scenario.only_by_name().is_some());
        assert_eq!(names(&all), names(&rest));
        assert_eq!(
            names(&some),
            ["http-endurance", "http-rate", "restart-often", "state-drift"]
        );
        assert_eq!(names(&project.load(&names(&some)).unwrap()), names(&some));
    }
}

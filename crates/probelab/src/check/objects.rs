//! The object files that are meant.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use object::{Object, ObjectSection};

/// What the shared memory takes in, less room for the message itself.
const LARGEST_BYTES: usize = 30 << 20;

/// An object file.
#[derive(Debug, Clone)]
pub struct ObjectFile {
    /// What it is called in reports: the name of its file, or its path where that is not enough to tell it from others.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl ObjectFile {
    /// The name of its file.
    pub fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Whether it has a program for XDP, as its sections say. What cannot be read has none that could be attached.
    pub fn has_xdp(&self) -> bool {
        let Ok(file) = object::File::parse(self.bytes.as_slice()) else {
            return false;
        };
        let mut sections = file
            .sections()
            .filter_map(|section| section.name().ok().map(str::to_owned));
        sections.any(|name| name.trim_start_matches('?').split(['/', '.']).next() == Some("xdp"))
    }
}

/// Reads files, and the object files (`*.o`) of folders.
pub fn read_objects(paths: &[PathBuf]) -> Result<Vec<ObjectFile>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = in_folder(path)?;
            if found.is_empty() {
                return Err(miette!("there is no *.o in {}", path.display()));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let names: Vec<String> = files.iter().map(|path| name(path)).collect();
    let mut objects = Vec::new();
    for (path, own) in files.iter().zip(&names) {
        let bytes = std::fs::read(path)
            .into_diagnostic()
            .wrap_err_with(|| format!("reading {}", path.display()))?;
        if bytes.len() > LARGEST_BYTES {
            return Err(miette!(
                help = "`llvm-strip -g` takes its debugging information away and leaves BTF",
                "{} has {} bytes, and a guest takes {LARGEST_BYTES}",
                path.display(),
                bytes.len()
            ));
        }
        let is_alone = names.iter().filter(|name| *name == own).count() == 1;
        objects.push(ObjectFile {
            name: if is_alone {
                own.clone()
            } else {
                path.display().to_string()
            },
            path: path.clone(),
            bytes,
        });
    }
    Ok(objects)
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let shown = || folder.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_diagnostic().wrap_err_with(shown)? {
        let path = entry.into_diagnostic().wrap_err_with(shown)?.path();
        if path.is_file() && path.extension().is_some_and(|extension| extension == "o") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

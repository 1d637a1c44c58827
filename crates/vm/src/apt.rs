//! A private apt: its own lists, cache and sources, so that packages of any Debian suite can be fetched and
//! their signatures checked without touching the machine's package configuration.
//!
//! The mirror is the one that the machine already uses; no host is written down here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, IoContext, Result, cache::Cache};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Base address of the main archive.
    pub main: String,
    /// Base address of the security archive.
    pub security: String,
}

impl Mirror {
    /// The mirror given by option, else the one of this machine's apt configuration. A given address is the
    /// main archive; the security archive is beside it, with `-security` appended (the layout of Debian's own
    /// and of its snapshot service).
    pub fn find(given: Option<&str>) -> Result<Self> {
        if let Some(main) = given {
            let main = main.trim_end_matches('/').to_owned();
            return Ok(Self {
                security: security_beside(&main),
                main,
            });
        }
        let output = Command::new("apt-get")
            .args([
                "indextargets",
                "--format",
                "$(ORIGIN)|$(LABEL)|$(SITE)",
                "Created-By: Packages",
            ])
            .output()
            .map_err(|_| Error::ToolMissing {
                program: "apt-get".into(),
                purpose: "find a package mirror",
            })?;
        Self::from_targets(&String::from_utf8_lossy(&output.stdout)).ok_or(Error::NoMirror)
    }

    fn from_targets(text: &str) -> Option<Self> {
        let site_of = |wanted: &str| {
            text.lines().find_map(|line| {
                let mut parts = line.splitn(3, '|');
                let (origin, label, site) = (parts.next()?, parts.next()?, parts.next()?);
                (origin == "Debian" && label == wanted).then(|| site.trim_end_matches('/').to_owned())
            })
        };
        let main = site_of("Debian")?;
        let security = site_of("Debian-Security").unwrap_or_else(|| security_beside(&main));
        Some(Self { main, security })
    }
}

fn security_beside(main: &str) -> String {
    format!("{main}-security")
}

/// A private apt root for some suites.
#[derive(Debug)]
pub struct Apt {
    root: PathBuf,
}

/// A package as the mirror offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Package name.
    pub package: String,
    /// Version.
    pub version: String,
}

impl Apt {
    /// Opens the private root in the cache and reads the suites' package lists from the mirror.
    pub fn open(cache: &Cache, mirror: &Mirror, suites: &[String]) -> Result<Self> {
        // One root per mirror and set of suites: lists of different mirrors must not mix.
        let key = wire::digest_hex(&[mirror.main.as_bytes(), suites.join(" ").as_bytes()]);
        let root = cache.folder("apt")?.join(&key[..16]);
        for folder in ["lists/partial", "archives/partial", "sources"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).at("creating", &path)?;
        }
        if !Path::new(KEYRING).exists() {
            return Err(Error::ToolMissing {
                program: KEYRING.into(),
                purpose: "check the mirror's signatures",
            });
        }
        let sources: String = suites
            .iter()
            .map(|suite| {
                let site = if suite.ends_with("-security") {
                    &mirror.security
                } else {
                    &mirror.main
                };
                format!("deb [arch=amd64 signed-by={KEYRING}] {site} {suite} main\n")
            })
            .collect();
        let path = root.join("sources/probelab.list");
        fs::write(&path, sources).at("writing", &path)?;
        let apt = Self { root };
        apt.update()?;
        Ok(apt)
    }

    fn update(&self) -> Result<()> {
        let output =
            run(self
                .command("apt-get")
                .args(["-q", "-o", "APT::Update::Error-Mode=any", "update"]))?;
        if output.success {
            return Ok(());
        }
        // Lists that were read before are still signed and still name their digests.
        let has_lists = fs::read_dir(self.root.join("lists")).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().contains("Packages"))
            })
        });
        if has_lists {
            Ok(())
        } else {
            Err(Error::Network { reason: output.words })
        }
    }

    /// Versions on offer of packages whose name matches an extended regular expression, unsorted.
    pub fn candidates(&self, pattern: &str) -> Result<Vec<Candidate>> {
        let output = run(self
            .command("apt-cache")
            .args(["--names-only", "search", pattern]))?;
        let names: Vec<&str> = output
            .stdout
            .lines()
            .filter_map(|line| line.split_once(" - ").map(|(name, _)| name))
            .collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let output = run(self.command("apt-cache").arg("madison").args(&names))?;
        Ok(output
            .stdout
            .lines()
            .filter_map(|line| {
                let mut parts = line.split('|').map(str::trim);
                Some(Candidate {
                    package: parts.next()?.to_owned(),
                    version: parts.next()?.to_owned(),
                })
            })
            .collect())
    }

    /// The packages that hold the parts of a kernel: since 7.2 an image package is empty and depends on them by
    /// exact version. (`linux-base-*`, which older ones depend on too, holds scripts only.)
    pub fn kernel_parts(&self, candidate: &Candidate) -> Result<Vec<Candidate>> {
        let wanted = format!("{}={}", candidate.package, candidate.version);
        let output = run(self.command("apt-cache").args(["show", &wanted]))?;
        let depends = output
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("Depends: "))
            .unwrap_or_default();
        Ok(depends
            .split(", ")
            .filter_map(exact_dependency)
            .filter(|part| {
                ["linux-binary-", "linux-modules-"]
                    .iter()
                    .any(|kind| part.package.starts_with(kind))
            })
            .collect())
    }

    /// Downloads a package into `folder` and returns the file; apt has checked it against the signed lists.
    pub fn download(&self, candidate: &Candidate, folder: &Path) -> Result<Option<PathBuf>> {
        let wanted = format!("{}={}", candidate.package, candidate.version);
        let output = run(self
            .command("apt-get")
            .current_dir(folder)
            .args(["-q", "download", &wanted]))?;
        if !output.success {
            let gone = ["was not found", "Unable to locate", "404"];
            if gone.iter().any(|words| output.words.contains(words)) {
                return Ok(None);
            }
            return Err(Error::Network { reason: output.words });
        }
        let prefix = format!("{}_", candidate.package);
        for entry in fs::read_dir(folder).at("listing", folder)? {
            let path = entry.at("listing", folder)?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if name.starts_with(&prefix) && name.ends_with(".deb") {
                return Ok(Some(path));
            }
        }
        Err(Error::Network {
            reason: format!("apt-get downloaded no file for {wanted}"),
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let at = |folder: &str| self.root.join(folder).display().to_string();
        for option in [
            format!("Dir::State::Lists={}", at("lists")),
            format!("Dir::Cache::archives={}", at("archives")),
            format!("Dir::Cache::pkgcache={}", at("pkgcache.bin")),
            format!("Dir::Cache::srcpkgcache={}", at("srcpkgcache.bin")),
            format!("Dir::Etc::SourceParts={}", at("sources")),
            "Dir::Etc::SourceList=/dev/null".into(),
            "Dir::State::status=/dev/null".into(),
            "APT::Architecture=amd64".into(),
            "APT::Architectures=amd64".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=3".into(),
            // A download into the user's own cache needs no separate user, and root's could not write there.
            "APT::Sandbox::User=root".into(),
        ] {
            command.arg("-o").arg(option);
        }
        command.env("LC_ALL", "C.UTF-8");
        command
    }
}

/// `name (= version)` of a dependency list.
fn exact_dependency(text: &str) -> Option<Candidate> {
    let (package, rest) = text.split_once(" (= ")?;
    Some(Candidate {
        package: package.to_owned(),
        version: rest.strip_suffix(')')?.to_owned(),
    })
}

struct Output {
    success: bool,
    stdout: String,
    words: String,
}

fn run(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|_| Error::ToolMissing {
        program,
        purpose: "fetch packages",
    })?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("E:") || line.starts_with("Err"))
        .collect();
    Ok(Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        words: if lines.is_empty() {
            stderr.trim().to_owned()
        } else {
            lines.join(" ")
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_mirror_is_found_among_other_sources() {
        let text = "Other|Other|http://other.example/apt/\n\
                    Debian|Debian|http://mirror.example/debian/\n\
                    Debian|Debian-Security|http://mirror.example/security/\n";
        let mirror = Mirror::from_targets(text).unwrap();
        assert_eq!(mirror.main, "http://mirror.example/debian");
        assert_eq!(mirror.security, "http://mirror.example/security");
        assert!(Mirror::from_targets("Ubuntu|Ubuntu|http://mirror.example/ubuntu/\n").is_none());
    }

    #[test]
    fn only_exact_dependencies_belong_to_a_kernel() {
        assert_eq!(
            exact_dependency("linux-binary-7.2 (= 7.2-1)"),
            Some(Candidate {
                package: "linux-binary-7.2".into(),
                version: "7.2-1".into()
            })
        );
        assert_eq!(exact_dependency("kmod"), None);
        assert_eq!(exact_dependency("initramfs-tools (>= 0.120)"), None);
    }
}

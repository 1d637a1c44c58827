//! The lima templates: a strict reader of the part of lima's format that they use, and what it cannot know: that images
//! are pinned, and that all a machine needs is in its template. `ci/check-lima` asks lima itself where it is installed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{fs, path::PathBuf};

use common::root;
use serde::Deserialize;

/// A template. Keys and values are those of lima 2 (`pkg/limatype` of its source); others are refused here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Template {
    minimum_lima_version: String,
    base: Option<String>,
    vm_type: Option<VmType>,
    #[serde(default)]
    images: Vec<Image>,
    cpus: Option<u32>,
    memory: Option<String>,
    disk: Option<String>,
    #[serde(default)]
    mounts: Vec<String>,
    #[serde(default)]
    mount_types_unsupported: Vec<MountType>,
    containerd: Option<Containerd>,
    #[serde(default)]
    provision: Vec<Provision>,
    #[serde(default)]
    probes: Vec<Probe>,
    message: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum VmType {
    Qemu,
    Vz,
}

#[derive(Debug, Deserialize)]
enum MountType {
    #[serde(rename = "9p")]
    NineP,
    #[serde(rename = "reverse-sshfs")]
    ReverseSshfs,
    #[serde(rename = "virtiofs")]
    Virtiofs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    location: String,
    arch: Arch,
    digest: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
enum Arch {
    #[serde(rename = "aarch64")]
    Aarch64,
    #[serde(rename = "x86_64")]
    X86,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Containerd {
    system: bool,
    user: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Provision {
    mode: Mode,
    file: String,
    path: Option<PathBuf>,
    permissions: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Data,
    System,
    User,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    description: String,
    script: String,
    hint: String,
}

fn read(text: &str) -> Result<Template, String> {
    let template: Template = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    for image in &template.images {
        pinned(image)?;
    }
    Ok(template)
}

/// An image is one build for ever: its folder is dated, and its bytes have a digest.
fn pinned(image: &Image) -> Result<(), String> {
    let digest = image.digest.strip_prefix("sha512:").unwrap_or_default();
    if digest.len() != 128
        || !digest
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err(format!("{}: `{}` is no sha512", image.location, image.digest));
    }
    let dated = image.location.split('/').any(|part| {
        part.split_once('-').is_some_and(|(date, build)| {
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            date.len() == 8 && digits(date) && digits(build)
        })
    });
    if !image.location.starts_with("https://") || !dated {
        return Err(format!("{} is no dated image", image.location));
    }
    Ok(())
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join("lima").join(name)).unwrap()
}

#[test]
fn every_template_is_read_strictly() {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("lima")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".yaml") {
            let template = read(&text(&name)).unwrap_or_else(|error| panic!("lima/{name}: {error}"));
            assert_eq!(template.minimum_lima_version, "2.0.0");
            if let Some(base) = template.base {
                assert!(root().join("lima").join(base).is_file(), "lima/{name}");
            }
            names.push(name);
        }
    }
    names.sort();
    assert_eq!(names, ["probelab-qemu.yaml", "probelab.yaml"]);
}

#[test]
fn the_machine_has_an_image_for_each_kind_of_host_and_all_it_needs() {
    let template = read(&text("probelab.yaml")).unwrap();
    let mut machines: Vec<&Arch> = template.images.iter().map(|image| &image.arch).collect();
    machines.sort();
    assert_eq!(machines, [&Arch::Aarch64, &Arch::X86]);
    assert!(template.cpus.unwrap() >= 2);
    for size in [template.memory.unwrap(), template.disk.unwrap()] {
        let number = size.strip_suffix("GiB").unwrap();
        assert!(number.parse::<u32>().unwrap() >= 4, "{size}");
    }
    assert!(template.mounts.is_empty(), "the host's files are its own");
    assert!(!template.mount_types_unsupported.is_empty());
    let containerd = template.containerd.unwrap();
    assert!(!containerd.system && !containerd.user);
    assert!(template.vm_type.is_none(), "lima knows what suits the host");
    assert!(template.message.unwrap().contains("just lima-test-vm"));
}

#[test]
fn what_is_put_into_the_machine_is_what_provisioning_calls() {
    let template = read(&text("probelab.yaml")).unwrap();
    let mut placed = Vec::new();
    let mut scripts = Vec::new();
    for step in &template.provision {
        // lima refuses to look above the template's folder, and reads `{{` as its own language.
        assert!(!step.file.contains(".."), "{}", step.file);
        let content = text(&step.file);
        assert!(content.starts_with("#!/"), "{}", step.file);
        assert!(!content.contains("{{"), "{}", step.file);
        if step.mode == Mode::Data {
            placed.push(step.path.clone().unwrap().display().to_string());
            let permissions = u32::from_str_radix(step.permissions.as_ref().unwrap(), 8).unwrap();
            assert_eq!(permissions & 0o111, 0o111, "{} is run", step.file);
        } else {
            assert!(step.path.is_none() && step.permissions.is_none(), "{}", step.file);
            scripts.push(content);
        }
    }
    assert_eq!(
        fs::read(root().join("ci/bootstrap")).unwrap(),
        text("bootstrap").into_bytes()
    );
    assert_eq!(placed.len(), 1);
    assert!(scripts.iter().any(|script| script.contains(&placed[0])));
    for probe in &template.probes {
        assert!(probe.script.starts_with("#!/"), "{}", probe.description);
        assert!(probe.script.contains(&placed[0]) && !probe.hint.is_empty());
    }
    assert!(!template.probes.is_empty());
}

#[test]
fn mistakes_are_noticed() {
    let good = text("probelab.yaml");
    let after = |from: &str, to: &str| {
        assert!(good.contains(from), "the test replaces nothing");
        read(&good.replacen(from, to, 1))
            .err()
            .unwrap_or_else(|| panic!("{from} -> {to} went unnoticed"))
    };
    assert!(after("provision:", "provison:").contains("provison"));
    assert!(after("digest: \"sha512:7ae5", "digest: \"sha512:").contains("no sha512"));
    assert!(after("arch: \"x86_64\"", "arch: \"amd64\"").contains("amd64"));
    assert!(after("trixie/20260712-2537/", "trixie/daily/latest/").contains("no dated image"));
    assert!(after("mode: user", "mode: root").contains("root"));
}

//! From a container's number to its control group: runtimes name the group after the number, each in its own way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Letters of a number: SHA-256 in hexadecimal.
const LENGTH: usize = 64;

/// Whether this is a number as container runtimes give it.
pub fn is_container_id(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The number of the container whose group has this name.
///
/// The kubelet's cgroupfs driver takes the bare number. With systemd it is a scope: `cri-containerd-`, `docker-`,
/// `crio-` or `libpod-` comes before the number. CRI-O's `crio-conmon-` is the group of the monitor beside the container.
fn container_of(group: &str) -> Option<&str> {
    let name = group.strip_suffix(".scope").unwrap_or(group);
    let (prefix, id) = name.rsplit_once('-').unwrap_or(("", name));
    (is_container_id(id) && !prefix.ends_with("conmon")).then_some(id)
}

/// The control groups of all containers below a folder, by number. A container in a container is found as well.
pub fn groups(root: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    add(root, &mut found);
    found
}

fn add(folder: &Path, found: &mut BTreeMap<String, Vec<PathBuf>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let group = entry.path();
        add(&group, found);
        if let Some(id) = entry.file_name().to_str().and_then(container_of) {
            found.entry(id.to_owned()).or_default().push(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_is_understood_and_a_monitor_is_none() {
        let id = "5d".repeat(32);
        for name in [
            "ID",
            "cri-containerd-ID.scope",
            "docker-ID.scope",
            "crio-ID.scope",
            "libpod-ID.scope",
        ] {
            assert_eq!(
                container_of(&name.replace("ID", &id)),
                Some(id.as_str()),
                "{name}"
            );
        }
        for name in [
            "crio-conmon-ID.scope",
            "IDa",
            "kubepods-podID.slice",
            "ID.slice",
            "user.slice",
            "",
        ] {
            assert_eq!(container_of(&name.replace("ID", &id)), None, "{name}");
        }
    }

    #[test]
    fn groups_are_found_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let first = folder
            .path()
            .join(format!("kubepods.slice/pod.slice/crio-{one}.scope"));
        let second = first.join(&two);
        fs::create_dir_all(&second).unwrap();
        assert_eq!(
            groups(folder.path()),
            BTreeMap::from([(one, vec![first]), (two, vec![second])])
        );
    }
}

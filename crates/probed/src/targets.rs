//! From whom a manifest names to whom the kernel can find: control groups by number, and roots to look up programs in.
//!
//! Looked at again and again: containers come and go. Attaches nothing.

mod cluster;
mod heard;
pub mod identities;
mod ids;
pub mod inventory;

pub use cluster::Follower;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use probe::metrics::{Families, Value, labels};
use probe::select::{FileId, Targets};

use crate::selector::{Selector, all_in};
use identities::Identities;
use inventory::Container;

/// The daemon's own root directory.
const OWN_ROOT: &str = "/";

/// What is known of this machine and its containers.
pub struct Machine {
    cgroup_root: PathBuf,
    identities: Identities,
    /// Control groups of containers that are told by number, as of the last look.
    by_id: BTreeMap<String, Vec<PathBuf>>,
}

impl Machine {
    /// This machine, and its containers as something tells them.
    pub fn new(identities: Identities) -> Self {
        let mut machine = Self {
            cgroup_root: probe::cgroups::root(),
            identities,
            by_id: BTreeMap::new(),
        };
        machine.refresh();
        machine
    }

    /// Looks whether what tells of containers has changed, and where those are that are told by number.
    pub fn refresh(&mut self) {
        self.identities.refresh();
        if self.containers().iter().any(|container| container.id.is_some()) {
            self.by_id = ids::groups(&self.cgroup_root);
        }
    }

    /// What has to run in the event loop so that the cluster's word arrives. Once only.
    pub fn follower(&mut self) -> Option<Follower> {
        self.identities.follower()
    }

    /// Why it is not known who is to be watched, if it is not.
    pub fn missing(&self) -> Option<String> {
        self.identities.missing()
    }

    fn containers(&self) -> &[Container] {
        &self.identities.known().containers
    }

    /// Whom this selector means now.
    pub fn targets(&self, selector: &Selector) -> Targets {
        let groups = selector.selects_cgroups().then(|| self.groups(selector));
        let processes = match &groups {
            Some(groups) => groups.iter().flat_map(|group| processes_in(group)).collect(),
            None => all_processes(),
        };
        Targets {
            cgroups: groups.map(|groups| groups.iter().filter_map(|group| number(group)).collect()),
            program: selector.process.clone(),
            roots: roots(&processes),
        }
    }

    /// Folders of the control groups that a selector means, with those below.
    fn groups(&self, selector: &Selector) -> BTreeSet<PathBuf> {
        if !all_in(&selector.node_labels, &self.identities.known().node_labels) {
            return BTreeSet::new();
        }
        let by_path = (!selector.cgroups.is_empty()).then(|| self.below(&selector.cgroups));
        if !selector.needs_containers() {
            // Without either, the node alone decides.
            return by_path.unwrap_or_else(|| self.below(&["/".to_owned()]));
        }
        let meant = self
            .containers()
            .iter()
            .filter(|container| container.is_meant_by(selector));
        let of_containers = with_those_below(meant.flat_map(|container| self.groups_of(container)));
        match by_path {
            Some(by_path) => by_path.intersection(&of_containers).cloned().collect(),
            None => of_containers,
        }
    }

    fn below(&self, patterns: &[String]) -> BTreeSet<PathBuf> {
        with_those_below(patterns.iter().flat_map(|pattern| self.matching(pattern)))
    }

    /// The control groups of a container that are there now.
    fn groups_of(&self, container: &Container) -> Vec<PathBuf> {
        let by_id = container.id.as_ref().and_then(|id| self.by_id.get(id));
        match (&container.cgroup, by_id) {
            (Some(pattern), _) => self.matching(pattern),
            (None, Some(groups)) => groups.iter().filter(|group| group.is_dir()).cloned().collect(),
            (None, None) => Vec::new(),
        }
    }

    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        let root = glob::Pattern::escape(&self.cgroup_root.to_string_lossy());
        // A pattern that is none was refused when it was read; a group may go while it is looked for.
        glob::glob(&format!("{root}/{}", pattern.trim_start_matches('/')))
            .map(|paths| paths.flatten().filter(|path| path.is_dir()).collect())
            .unwrap_or_default()
    }

    /// Adds which containers are watched by any of these selectors, to be joined with series by control group.
    pub fn add(&self, families: &mut Families, selectors: &[&Selector]) {
        self.identities.add(families);
        for container in self.containers() {
            if !selectors.iter().any(|selector| container.is_meant_by(selector)) {
                continue;
            }
            for group in self.groups_of(container) {
                let path = group.strip_prefix(&self.cgroup_root).unwrap_or(&group);
                families.add(
                    "probelab_container",
                    "A container that is watched, by its control group.",
                    labels([
                        ("cgroup", &format!("/{}", path.display())),
                        ("container", &container.name),
                        ("pod", &container.pod),
                        ("namespace", &container.namespace),
                    ]),
                    Value::Info,
                );
            }
        }
    }
}

/// The number by which the kernel knows a control group.
fn number(group: &Path) -> Option<u64> {
    Some(fs::metadata(group).ok()?.ino())
}

fn with_those_below(groups: impl Iterator<Item = PathBuf>) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for group in groups {
        add_with_those_below(&group, &mut all);
    }
    all
}

fn add_with_those_below(group: &Path, groups: &mut BTreeSet<PathBuf>) {
    if !groups.insert(group.to_owned()) {
        return;
    }
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_with_those_below(&entry.path(), groups);
        }
    }
}

fn processes_in(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn all_processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The daemon's root and those of these processes, each once. A process that is gone, or may not be looked at, has none.
fn roots(processes: &[u32]) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let own = PathBuf::from(OWN_ROOT);
    let theirs = processes
        .iter()
        .map(|process| PathBuf::from(format!("/proc/{process}/root")));
    std::iter::once(own)
        .chain(theirs)
        .filter(|root| FileId::of(&root.join(".")).is_ok_and(|id| seen.insert(id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::Labels;

    fn inventory(folder: &Path) -> inventory::Inventory {
        let path = folder.join("inventory.yaml");
        let text = "apiVersion: probelab.dev/v1alpha1\nkind: Inventory\nnodeLabels: {zone: a}\ncontainers:\n\
                    - {name: area, cgroup: /pods/one, pod: area-1, podLabels: {component: area}, namespace: t, \
                    namespaceLabels: {project: area}}\n\
                    - {name: side, cgroup: /pods/two, pod: area-1, podLabels: {component: area}, namespace: t, \
                    namespaceLabels: {project: area}}\n\
                    - {name: area, cgroup: '/pods/th*', pod: other, podLabels: {component: web}}\n";
        fs::write(&path, text).unwrap();
        inventory::Inventory::read(&path).unwrap()
    }

    fn machine(folder: &Path) -> Machine {
        let cgroup_root = folder.join("cgroup[1]");
        for group in ["pods/one/inner", "pods/two", "pods/three", "system"] {
            fs::create_dir_all(cgroup_root.join(group)).unwrap();
        }
        Machine {
            identities: inventory(folder).into(),
            cgroup_root,
            by_id: BTreeMap::new(),
        }
    }

    fn labels(name: &str, value: &str) -> Labels {
        Labels::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn everything_that_is_said_must_be_true() {
        let folder = tempfile::tempdir().unwrap();
        let machine = machine(folder.path());
        let found = |selector: Selector| -> Vec<String> {
            let groups = machine.groups(&selector);
            let below = |group: &PathBuf| {
                group
                    .strip_prefix(&machine.cgroup_root)
                    .unwrap()
                    .display()
                    .to_string()
            };
            groups.iter().map(below).collect()
        };
        let area = Selector {
            container: Some("area".to_owned()),
            ..Selector::default()
        };
        assert_eq!(found(area.clone()), ["pods/one", "pods/one/inner", "pods/three"]);
        let of_pod = Selector {
            pod_labels: labels("component", "area"),
            ..area.clone()
        };
        assert_eq!(found(of_pod.clone()), ["pods/one", "pods/one/inner"]);
        let in_group = Selector {
            cgroups: vec!["/pods/*/inner".to_owned()],
            ..of_pod.clone()
        };
        assert_eq!(found(in_group), ["pods/one/inner"]);
        let elsewhere = Selector {
            node_labels: labels("zone", "b"),
            ..of_pod.clone()
        };
        assert!(found(elsewhere).is_empty());
        let of_project = Selector {
            namespace_labels: labels("project", "area"),
            node_labels: labels("zone", "a"),
            ..Selector::default()
        };
        assert_eq!(found(of_project), ["pods/one", "pods/one/inner", "pods/two"]);
        let by_path = Selector {
            cgroups: vec!["/system".to_owned(), "/pods/t*".to_owned()],
            ..Selector::default()
        };
        assert_eq!(found(by_path), ["pods/three", "pods/two", "system"]);
    }

    #[test]
    fn containers_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let machine = machine(folder.path());
        let web = Selector {
            pod_labels: labels("component", "web"),
            ..Selector::default()
        };
        let count = || machine.targets(&web).cgroups.unwrap().len();
        assert_eq!(count(), 1);
        fs::create_dir(machine.cgroup_root.join("pods/thirty")).unwrap();
        assert_eq!(count(), 2);
        let mut families = Families::default();
        machine.add(&mut families, &[&web]);
        assert_eq!(families.series("probelab_container").count(), 2);
        fs::remove_dir(machine.cgroup_root.join("pods/three")).unwrap();
        assert_eq!(count(), 1);
    }

    #[test]
    fn everybody_is_looked_up_where_no_group_is_said() {
        let targets = Machine::new(Identities::default()).targets(&Selector {
            process: Some("/test".into()),
            ..Selector::default()
        });
        assert_eq!(targets.cgroups, None);
        assert_eq!(targets.roots[0], Path::new(OWN_ROOT));
        assert_eq!(targets.program.as_deref(), Some(Path::new("/test")));
    }
}

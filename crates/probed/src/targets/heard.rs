//! What has been heard of the API server so far, between those who listen and those who ask.

use std::sync::{Mutex, MutexGuard, PoisonError};

use probe::causes::chain;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Pods of this node.
    Pods,
    /// All namespaces, for their labels.
    Namespaces,
    /// This node, for its labels.
    Nodes,
}

/// All of them.
pub const RESOURCES: [Resource; 3] = [Resource::Namespaces, Resource::Nodes, Resource::Pods];

impl Resource {
    /// As the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Namespaces => "namespaces",
            Self::Nodes => "nodes",
        }
    }
}

#[derive(Debug, Default)]
struct State {
    events: u64,
    has_all: [bool; RESOURCES.len()],
    errors: [u64; RESOURCES.len()],
    /// Of watches that have not worked since.
    last_errors: [Option<String>; RESOURCES.len()],
}

/// Counts and moments.
#[derive(Debug, Default)]
pub struct Heard(Mutex<State>);

impl Heard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was told; with it, all of a resource may have been.
    pub fn took(&self, resource: Resource, is_all: bool) {
        let mut state = self.state();
        state.events += 1;
        state.has_all[resource as usize] |= is_all;
        if state.last_errors[resource as usize].take().is_some() {
            tracing::info!("watching {}: it answers again", resource.name());
        }
    }

    /// A watch failed.
    pub fn failed(&self, resource: Resource, error: &dyn std::error::Error) {
        let text = format!("{}: {}", resource.name(), chain(error));
        let mut state = self.state();
        state.errors[resource as usize] += 1;
        let last = &mut state.last_errors[resource as usize];
        // While the API server is away it fails again and again, for the same reason.
        if last.as_ref() != Some(&text) {
            tracing::warn!("watching {text}");
        }
        *last = Some(text);
    }

    /// Rises with everything that is heard.
    pub fn so_far(&self) -> u64 {
        self.state().events
    }

    /// Whether all of a resource was told at least once.
    pub fn has_all(&self, resource: Resource) -> bool {
        self.state().has_all[resource as usize]
    }

    /// Whether everything was told at least once.
    pub fn is_whole(&self) -> bool {
        self.state().has_all.iter().all(|has_all| *has_all)
    }

    /// How often watches of a resource failed.
    pub fn errors(&self, resource: Resource) -> u64 {
        self.state().errors[resource as usize]
    }

    /// That not everything was told yet, and why.
    pub fn silence(&self) -> String {
        let state = self.state();
        let why = state.last_errors.iter().flatten().next();
        let why = why.map_or_else(String::new, |error| format!(": {error}"));
        format!("the cluster's API server has not told of all pods, namespaces and nodes yet{why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {0}")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn everything_is_heard_once_each_resource_was() {
        let heard = Heard::default();
        assert!(!heard.is_whole());
        heard.failed(Resource::Pods, &Outer(std::io::Error::other("refused")));
        assert!(
            heard.silence().ends_with("yet: pods: outer: refused"),
            "{}",
            heard.silence()
        );
        for resource in RESOURCES {
            heard.took(resource, true);
        }
        assert!(heard.is_whole() && heard.so_far() == 3);
        assert!(heard.silence().ends_with("yet"), "what works again is no reason");
        assert_eq!(heard.errors(Resource::Pods), 1);
        heard.took(Resource::Pods, false);
        assert!(heard.is_whole(), "a change takes nothing back");
    }
}

//! What happens while it happens. The command line decides how to show it.

use std::sync::Arc;

/// Something a waiting person wants to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A step began; it replaces the step before it.
    Step {
        /// Which piece of work it belongs to (a kernel, or the whole).
        subject: String,
        /// What is being done.
        what: String,
    },
    /// Something worth keeping: a drift, a rebuilt checkpoint.
    Notice {
        /// Which piece of work it belongs to.
        subject: String,
        /// What to know.
        what: String,
    },
}

/// Where events go.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(Event) + Send + Sync>);

impl Progress {
    /// Sends events to a function.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Drops all events.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// A step began.
    pub fn step(&self, subject: &str, what: impl Into<String>) {
        (self.0)(Event::Step {
            subject: subject.to_owned(),
            what: what.into(),
        });
    }

    /// Something worth keeping happened.
    pub fn notice(&self, subject: &str, what: impl Into<String>) {
        (self.0)(Event::Notice {
            subject: subject.to_owned(),
            what: what.into(),
        });
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

//! Service-level objectives over metrics that may have lost something: what an objective file says, what a window of
//! samples says of it, and the Prometheus rules that watch it. Pure: it reads the text it is handed, never a file, a
//! clock or a socket, and knows no probe but by the names of its metrics.
//!
//! ```text
//! objective file ─► Objective ─┐
//!                              ├─► Report ─► simple, tabbed, JSON, YAML, Markdown
//! expositions ───► History ────┘        Objective ─► Prometheus rules
//! ```
//! Every event is good, bad or unknown. What a probe lost or could not follow is unknown, so a ratio is an interval:
//! its lower bound takes every unknown event for a bad one, its upper bound for a good one.

mod alert;
mod counts;
mod duration;
mod evaluate;
mod file;
mod history;
mod indicator;
mod notes;
mod objective;
mod openslo;
mod reliably;
pub mod render;
mod report;
mod rules;
mod scrape;
mod selector;
mod sources;
mod target;
mod window;

pub use alert::{AlertRule, Severity};
pub use counts::{Counts, Interval};
pub use duration::{Milliseconds, parse as parse_duration, text as duration_text};
pub use evaluate::evaluate;
pub use file::{FileError, parse};
pub use history::{History, RecordingError};
pub use indicator::{Indicator, Measure};
pub use objective::{Budgeting, Objective, SliceTarget};
pub use report::{Bound, Budget, Burn, Evaluation, Fires, Report, Status};
pub use rules::{RuleOptions, prometheus_rules};
pub use scrape::{Names, Scrape};
pub use selector::Selector;
pub use sources::ClientErrors;
pub use target::Target;

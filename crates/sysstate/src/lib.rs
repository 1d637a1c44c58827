//! The state of a system, out of the metrics that its probes serve: is it good, is it bad, or is it like nothing seen
//! before; and where is its traffic going?
//!
//! ```text
//! scrape, scrape ─► Reading, Reading ─► Window ─┬─► learn (with labels) ─► Model ─► its file
//!                                               ├─► Model::classify ─► Verdict: state, distance, what moved it
//!                                               └─► Trend::observe  ─► Course: calm, warning, over
//! ```
//! This crate is pure: it reads the series and texts it is handed and never a file, a clock or the network. It knows no
//! probe but by the names of its series (`feature`).

mod agreement;
mod classify;
mod clusters;
mod drift;
mod feature;
mod labels;
mod learn;
mod model;
mod order;
mod recording;
mod scaling;
mod trend;
mod window;

pub use agreement::adjusted_rand_index;
pub use classify::{Classified, Mover, State, Verdict};
pub use clusters::{Partition, partition};
pub use drift::Drift;
pub use feature::{FEATURES, Feature};
pub use labels::{Label, LabelError, Schedule, Worth};
pub use learn::{LearnError, Learned, Options, learn};
pub use model::{Cluster, Model, ModelError};
pub use recording::{RecordingError, Scrape, heading, scrapes};
pub use scaling::Scaling;
pub use trend::{Course, Limit, Trend};
pub use window::{Gap, Reading, Window};

//! A scenario that is measured: made ready once, run on one kernel after another, judged.

use miette::Result;
use scenario::Verdict;
use vm::{
    kernels::Kernel,
    run::{Lab, Request},
    visit::Place,
};
use wire::{Lane, Loader, Record};

use super::{completed, load};
use crate::{
    build::Builder,
    cells::{Input, request},
    files::Loaded,
    open::{Context, PROBED_VARIABLE},
    oracle_tools::judge_record,
};

/// What is run on each kernel of a lane.
pub struct Subject {
    lab: Lab,
    loaded: Loaded,
    request: Request,
}

impl Subject {
    /// In the virtual lane, or on the machine of a place.
    pub async fn prepare(
        context: &Context,
        place: Option<&Place>,
        loader: Loader,
        scenario: &str,
    ) -> Result<Self> {
        let lane = place.map_or(Lane::Virtual, |_| Lane::Host);
        let loaded = load(context, scenario)?;
        let files = Builder::default().files(context, &loaded).await?;
        let probed = context.project.program("probed", PROBED_VARIABLE)?;
        let input = Input {
            seed: 1,
            lane,
            loader,
            probed: Some(&probed),
        };
        let request = request(&loaded, &files, &input)?;
        Ok(Self {
            lab: context.lab_at(lane, place).await?,
            request,
            loaded,
        })
    }

    /// What a run brought home.
    pub async fn record(&self, kernel: &Kernel) -> Result<Record> {
        completed(self.lab.run(kernel, &self.request).await?)
    }

    /// The same, and what the judge has against it; empty when nothing.
    pub async fn run(&self, kernel: &Kernel) -> Result<(Record, String)> {
        let record = self.record(kernel).await?;
        let complaint = match judge_record(&self.loaded, &record).await?.verdict {
            Verdict::Passed => String::new(),
            Verdict::Failed { reason }
            | Verdict::Infra { reason }
            | Verdict::Skipped { reason }
            | Verdict::Unsupported { reason, .. } => reason,
        };
        Ok((record, complaint))
    }

    /// Leaves the machine of the place.
    pub async fn close(self) {
        self.lab.close().await;
    }
}

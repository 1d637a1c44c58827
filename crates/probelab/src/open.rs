//! Opening the lab: cache, QEMU, root filesystem, guest program and kernels, as the options say.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::Result;
use tokio_util::sync::CancellationToken;
use vm::{
    Progress,
    cache::Cache,
    kernels::{self, Debian, Folder, Kernel, LockFile, Provider, Source, Wanted},
    qemu::Installed,
    rootfs::{self, Built, Rootfs, RootfsLock},
    run::{Lab, scratch},
    visit::{Place, Visit},
};
use wire::Lane;

use crate::{
    cli::{Common, OwnKernel},
    files::Project,
};

/// The environment variable that names another guest program.
pub const GUEST_VARIABLE: &str = "PROBELAB_GUEST";
/// The environment variable that names another probe daemon.
pub const PROBED_VARIABLE: &str = "PROBELAB_PROBED";

/// What most commands work with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The project's files.
    pub project: Project,
    /// The cache.
    pub cache: Cache,
    /// The options.
    pub common: Common,
    /// Where events go.
    pub progress: Progress,
    /// Ends everything when cancelled.
    pub cancel: CancellationToken,
}

impl Context {
    /// Finds the project and opens the cache.
    pub fn open(common: &Common, cancel: CancellationToken) -> Result<Self> {
        Ok(Self {
            project: Project::find(common.root.as_deref())?,
            cache: Cache::open()?,
            common: common.clone(),
            progress: crate::show::progress(common.quiet),
            cancel,
        })
    }

    /// `vm/kernels.toml`.
    pub fn wanted(&self) -> Result<Wanted> {
        Ok(Wanted::read(&self.project.path("vm/kernels.toml"))?)
    }

    /// Where `vm/kernels.lock` is.
    pub fn lock_path(&self) -> PathBuf {
        self.project.path("vm/kernels.lock")
    }

    /// `vm/kernels.lock`.
    pub fn lock(&self) -> Result<LockFile> {
        Ok(LockFile::read(&self.lock_path())?)
    }

    /// Who provides kernels: the archive that the lock pins, then the folder that `PROBELAB_KERNELS` names.
    fn providers(&self) -> Result<Vec<Arc<dyn Provider>>> {
        let mut providers: Vec<Arc<dyn Provider>> = vec![Arc::new(Debian {
            cache: self.cache.clone(),
            mirror: self.common.mirror.clone(),
            wanted: self.wanted()?,
            lock: self.lock()?,
            allow_drift: self.common.allow_drift,
        })];
        if let Some(folder) = std::env::var_os(kernels::VARIABLE) {
            providers.push(Arc::new(Folder::open(Path::new(&folder))?));
        }
        Ok(providers)
    }

    /// All kernels, not fetched yet.
    pub fn all_sources(&self) -> Result<Vec<Source>> {
        Ok(kernels::available(&self.providers()?)?)
    }

    /// The kernels that are meant, not fetched yet.
    pub fn sources(&self, patterns: &[String], own: Option<&OwnKernel>) -> Result<Vec<Source>> {
        if let Some(OwnKernel {
            kernel_image: Some(image),
            modules,
        }) = own
        {
            let one: Arc<dyn Provider> = Arc::new(Folder::one(image, modules.as_deref())?);
            return Ok(kernels::available(&[one])?);
        }
        Ok(kernels::select(&self.all_sources()?, patterns)?)
    }

    /// A kernel, fetched when it is not there.
    pub async fn fetch(&self, source: &Source) -> Result<Kernel> {
        let (source, progress) = (source.clone(), self.progress.clone());
        let fetching = tokio::task::spawn_blocking(move || source.kernel(&progress));
        tokio::select! {
            fetched = fetching => Ok(fetched.map_err(|error| miette::miette!("fetching was ended: {error}"))??),
            () = self.cancel.cancelled() => Err(vm::Error::Interrupted.into()),
        }
    }

    /// The root filesystem: the given one, else built when it is not there.
    pub async fn rootfs(&self) -> Result<Built> {
        let recipe = Rootfs::read(&self.project.path("vm/rootfs.toml"))?;
        if let Some(archive) = &self.common.rootfs {
            return Ok(rootfs::given(archive, &recipe)?);
        }
        let lock = RootfsLock::read(&self.project.path("vm/rootfs.lock"))?;
        let mirror = self.common.mirror.as_deref();
        let building = rootfs::get(
            &self.cache,
            &recipe,
            lock.as_ref(),
            mirror,
            self.common.allow_drift,
            &self.progress,
        );
        tokio::select! {
            built = building => Ok(built?),
            () = self.cancel.cancelled() => Err(vm::Error::Interrupted.into()),
        }
    }

    /// A folder with all files of a package that the root filesystem is made of, if it is.
    pub async fn package(&self, built: &Built, name: &str) -> Result<Option<PathBuf>> {
        let recipe = Rootfs::read(&self.project.path("vm/rootfs.toml"))?;
        let mirror = self.common.mirror.as_deref();
        let fetching = rootfs::package(&self.cache, built, &recipe.suite, mirror, name, &self.progress);
        tokio::select! {
            folder = fetching => Ok(folder?),
            () = self.cancel.cancelled() => Err(vm::Error::Interrupted.into()),
        }
    }

    /// The lab for a lane.
    pub async fn lab(&self, lane: Lane) -> Result<Lab> {
        let installed = match lane {
            lane if lane.is_shared() => None,
            _ => Some(Installed::find()?),
        };
        if let Some(warning) = installed.as_ref().and_then(Installed::warning) {
            self.progress.notice("qemu", warning);
        }
        let guest = self.project.program("guest", GUEST_VARIABLE)?;
        let rootfs = self.rootfs().await?;
        Ok(Lab {
            cache: self.cache.clone(),
            installed,
            rootfs,
            guest,
            visit: None,
            progress: self.progress.clone(),
            cancel: self.cancel.clone(),
        })
    }

    /// The lab for a lane, on the machine of a place where the lane is on a kernel that already runs. Whoever takes it
    /// must close it.
    pub async fn lab_at(&self, lane: Lane, place: Option<&Place>) -> Result<Lab> {
        let mut lab = self.lab(lane).await?;
        if let Some(place) = place {
            let (guest, archive) = (&lab.guest, &lab.rootfs.archive);
            let visit = Visit::open(
                place,
                guest,
                archive,
                scratch(&lab.cache)?,
                &lab.progress,
                &lab.cancel,
            );
            lab.visit = Some(Arc::new(visit.await?));
        }
        Ok(lab)
    }
}

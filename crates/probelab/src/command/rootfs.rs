//! `probelab rootfs`: building, packing and pinning the guest's root filesystem.

use miette::{IntoDiagnostic, Result};
use vm::rootfs::{self, Rootfs as Recipe, RootfsLock};

use crate::{cli::Rootfs, exit::Exit, open::Context, out::out, show::bytes};

/// Runs the command.
pub async fn run(context: &Context, command: Rootfs) -> Result<Exit> {
    match command {
        Rootfs::Build => {
            let built = context.rootfs().await?;
            let size = std::fs::metadata(&built.archive).into_diagnostic()?.len();
            out!(
                "sha256 {}\nsize   {}\nfrom   {} packages",
                built.sha256,
                bytes(size),
                built.packages.len()
            );
            Ok(Exit::Passed)
        }
        Rootfs::Verify => verify(context),
        Rootfs::Update => update(context).await,
        Rootfs::Pack { tree, archive } => {
            let recipe = recipe(context)?;
            rootfs::pack(&recipe, &tree, &archive)?;
            out!("sha256 {}", rootfs::given(&archive, &recipe)?.sha256);
            Ok(Exit::Passed)
        }
    }
}

fn recipe(context: &Context) -> Result<Recipe> {
    Ok(Recipe::read(&context.project.path("vm/rootfs.toml"))?)
}

fn verify(context: &Context) -> Result<Exit> {
    let mut digests = Vec::new();
    for name in ["first", "a-folder-with-another-name"] {
        let folder = tempfile::Builder::new()
            .prefix(".verify-")
            .tempdir_in(context.cache.root())
            .into_diagnostic()?;
        let cache = vm::cache::Cache::at(&folder.path().join(name))?;
        let target = cache.folder("rootfs")?.join("built");
        context.progress.step("rootfs", format!("building in {name}"));
        rootfs::build_in(
            &cache,
            &recipe(context)?,
            context.common.mirror.as_deref(),
            &target,
        )?;
        let lock = RootfsLock::read(&target.join("packages.toml"))?;
        let digest = lock.map(|lock| lock.sha256).unwrap_or_default();
        out!("sha256 {digest}");
        digests.push(digest);
    }
    Ok(if digests.windows(2).all(|pair| pair[0] == pair[1]) {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

async fn update(context: &Context) -> Result<Exit> {
    let recipe = recipe(context)?;
    let mirror = context.common.mirror.as_deref();
    let built = rootfs::get(&context.cache, &recipe, None, mirror, true, &context.progress).await?;
    let path = context.project.path("vm/rootfs.lock");
    std::fs::write(&path, RootfsLock::render(&built)).into_diagnostic()?;
    out!(
        "sha256 {}\nfrom   {} packages, pinned in {}",
        built.sha256,
        built.packages.len(),
        path.display()
    );
    Ok(Exit::Passed)
}

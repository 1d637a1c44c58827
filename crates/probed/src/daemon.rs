//! The daemon's life: attach, give up privileges, serve, and on a signal flush and detach. One thread.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use probe::loader::Loader;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::endpoints::{Shared, router};
use crate::manifest::Manifest;
use crate::privileges;
use crate::service::{Format, Service};
use crate::state::Live;

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")
}

fn lock(service: &Shared) -> MutexGuard<'_, Service> {
    service.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(manifests: &[Manifest], loader: Loader) -> anyhow::Result<Shared> {
    let mut service = Service::start(manifests, loader)?;
    let kept = privileges::drop_all(|| service.can_read()).context("cannot give up privileges")?;
    tracing::info!("attached; capabilities kept: {kept:?}");
    Ok(Arc::new(Mutex::new(service)))
}

/// Empties the ring buffers whenever the kernel says that there is something in one.
async fn follow(service: Shared, descriptor: OwnedFd) -> anyhow::Result<()> {
    // SAFETY: the descriptor is owned by the `AsyncFd`, so it stays open and the same until it is deregistered.
    let ready = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
    loop {
        let mut guard = ready.readable().await?;
        guard.clear_ready();
        lock(&service).drain()?;
    }
}

async fn sweep(service: Shared) -> anyhow::Result<()> {
    let Some(interval) = lock(&service).sweep_interval() else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(interval).await;
        lock(&service).sweep()?;
    }
}

/// Ends a window of the system's state every so often.
async fn look(service: Shared) -> anyhow::Result<()> {
    let Some(interval) = lock(&service).window_interval() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        lock(&service).look()?;
    }
}

/// Runs until a signal, or until `foreground` is done, or until something fails.
async fn attend(
    service: &Shared,
    foreground: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut tasks = tokio::task::JoinSet::new();
    let descriptors = lock(service).descriptors()?;
    for descriptor in descriptors {
        tasks.spawn(follow(Arc::clone(service), descriptor));
    }
    tasks.spawn(sweep(Arc::clone(service)));
    tasks.spawn(look(Arc::clone(service)));
    let result = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        result = foreground => result,
        Some(result) = tasks.join_next() => result.unwrap_or_else(|error| Err(error.into())),
    };
    tasks.shutdown().await;
    result
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When a probe cannot be attached, or serving fails.
pub fn run(
    manifests: Vec<Manifest>,
    loader: Loader,
    listen: SocketAddr,
    live: Option<Live>,
) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        // Before the privileges go: the port may be a low one.
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let service = start(&manifests, loader)?;
        lock(&service).watch_state(live);
        tracing::info!("serving http://{}/metrics", listener.local_addr()?);
        let serve = axum::serve(listener, router(Arc::clone(&service)));
        attend(&service, async { serve.await.context("serving failed") }).await?;
        lock(&service).drain()
    })
}

/// Watches for a while, prints all metrics, and is done.
///
/// # Errors
/// When a probe cannot be attached or is silent, or its counters cannot be read.
pub fn once(manifests: Vec<Manifest>, loader: Loader, watch: Duration, format: Format) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let service = start(&manifests, loader)?;
        attend(&service, async {
            tokio::time::sleep(watch).await;
            Ok(())
        })
        .await?;
        let mut service = lock(&service);
        print!("{}", service.scrape(format)?);
        if !service.unready().is_empty() {
            anyhow::bail!("{}", service.unready().join("; "));
        }
        Ok(())
    })
}

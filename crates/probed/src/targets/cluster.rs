//! The containers of this node as the cluster's API server tells them: watched, kept while it is away, and over restarts in
//! a file. It asks for this node's pods and for labels, and changes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::client::ConfigExt;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, Store, store::Writer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, ResourceExt};
use probe::metrics::{Families, Value, labels};

use crate::manifest::ManifestError;
use crate::replace::replace;
use crate::targets::heard::{Heard, RESOURCES, Resource};
use crate::targets::ids::is_container_id;
use crate::targets::inventory::{self, Container, InventoryFile};

/// The options.
#[derive(Debug, Args)]
pub struct ClusterArguments {
    /// Learn this node's pods from the API server of its Kubernetes cluster, for selectors: in a pod by its service account,
    /// elsewhere as KUBECONFIG or ~/.kube/config say.
    #[arg(long)]
    cluster: bool,
    /// What the cluster calls this node, for --cluster; its host name unless said.
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    node_name: Option<String>,
    /// Keep what the API server said in this file, an inventory, and go by it until the API server answers.
    #[arg(long, value_name = "FILE", requires = "cluster")]
    cluster_cache: Option<PathBuf>,
}

impl ClusterArguments {
    /// How the API server is reached, and what it said last time; nothing when it is not to be asked.
    ///
    /// # Errors
    /// When nothing tells where it is.
    pub fn read(&self) -> Result<Option<Cluster>, ManifestError> {
        if !self.cluster {
            return Ok(None);
        }
        let usage = |message: String| ManifestError::Usage(format!("--cluster: {message}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| usage(error.to_string()))?;
        let mut config = runtime.block_on(Config::infer()).map_err(|error| {
            usage(format!(
                "this is no pod with a service account, and no kubeconfig tells of a cluster: {error}"
            ))
        })?;
        // Without TLS no authorities are needed, and an image with one program in it has none.
        if config.cluster_url.scheme_str() == Some("http") {
            config.root_cert.get_or_insert_default();
        }
        // Said now rather than when everything is attached.
        config
            .rustls_client_config()
            .map_err(|error| usage(error.to_string()))?;
        let node = self.node_name.clone().unwrap_or_else(|| {
            let host = nix::unistd::gethostname().unwrap_or_default();
            host.to_string_lossy().into_owned()
        });
        Ok(Some(Cluster::new(config, node, self.cluster_cache.clone())))
    }
}

/// What the API server told, and what it told last time.
#[derive(Debug)]
pub struct Cluster {
    node: String,
    heard: Arc<Heard>,
    pods: Store<Pod>,
    namespaces: Store<PartialObjectMeta<Namespace>>,
    nodes: Store<PartialObjectMeta<Node>>,
    follower: Option<Follower>,
    cache: Option<PathBuf>,
    known: Option<InventoryFile>,
    /// How much had been heard when `known` was made.
    seen: u64,
}

impl Cluster {
    fn new(config: Config, node: String, cache: Option<PathBuf>) -> Self {
        let heard = Arc::new(Heard::default());
        let ((pods, pod_writer), (namespaces, namespace_writer), (nodes, node_writer)) =
            (reflector::store(), reflector::store(), reflector::store());
        let follower = Follower {
            config,
            node: node.clone(),
            heard: Arc::clone(&heard),
            pods: pod_writer,
            namespaces: namespace_writer,
            nodes: node_writer,
        };
        let known = cache.as_ref().filter(|path| path.exists()).and_then(|path| {
            inventory::read(path)
                .inspect_err(|error| tracing::warn!("--cluster-cache is not used: {error}"))
                .ok()
        });
        Self {
            node,
            heard,
            pods,
            namespaces,
            nodes,
            follower: Some(follower),
            cache,
            known,
            seen: 0,
        }
    }

    /// What has to run in the event loop. Once only.
    pub fn follower(&mut self) -> Option<Follower> {
        self.follower.take()
    }

    /// What the API server said last, in this life or an earlier one.
    pub fn known(&self) -> Option<&InventoryFile> {
        self.known.as_ref()
    }

    /// Why nothing is known, or not the right thing.
    pub fn missing(&self) -> Option<String> {
        if self.known.is_none() {
            return Some(self.heard.silence());
        }
        (self.heard.is_whole() && self.nodes.is_empty()).then(|| {
            format!(
                "the cluster has no node {:?}: say what it calls this one with --node-name",
                self.node
            )
        })
    }

    /// Takes what was heard since the last time, once all of it was heard at least once.
    pub fn refresh(&mut self) {
        let so_far = self.heard.so_far();
        if so_far == self.seen || !self.heard.is_whole() {
            return;
        }
        self.seen = so_far;
        let known = self.now();
        if self.known.as_ref() != Some(&known) {
            self.keep(&known);
            self.known = Some(known);
        }
    }

    fn now(&self) -> InventoryFile {
        let node = self.nodes.state();
        let node_labels = node.first().map(|node| node.labels().clone());
        let containers = containers(&self.pods.state(), &self.namespaces.state());
        InventoryFile::new(node_labels.unwrap_or_default(), containers)
    }

    /// Writes the file.
    fn keep(&self, known: &InventoryFile) {
        let Some(path) = &self.cache else {
            return;
        };
        // JSON, which is YAML as well.
        let text = serde_json::to_vec_pretty(known).context("no text can be made of it");
        if let Err(error) = text.and_then(|text| replace(path, &text)) {
            tracing::warn!("--cluster-cache is out of date: {error:#}");
        }
    }

    /// Adds how the API server is heard.
    pub fn add(&self, families: &mut Families) {
        for resource in RESOURCES {
            let name = [("resource", resource.name())];
            families.add(
                "probelab_cluster_synced",
                "Whether the cluster's API server has told of all of these at least once since the start.",
                labels(name),
                Value::Gauge(self.heard.has_all(resource).into()),
            );
            families.add(
                "probelab_cluster_watch_errors",
                "Times that a watch of the cluster's API server failed. It is tried again, later each time, up to 30 seconds.",
                labels(name),
                Value::Counter(self.heard.errors(resource)),
            );
        }
    }
}

/// All containers of these pods, in an order of their own: the stores have none, and the file is to change only when
/// something did.
fn containers(pods: &[Arc<Pod>], namespaces: &[Arc<PartialObjectMeta<Namespace>>]) -> Vec<Container> {
    let labels_of = |name: &str| {
        let namespace = namespaces.iter().find(|namespace| namespace.name_any() == name);
        namespace.map(|namespace| namespace.labels().clone())
    };
    let mut containers: Vec<Container> = Vec::new();
    for pod in pods {
        let namespace = pod.namespace().unwrap_or_default();
        containers.extend(ids(pod).map(|(name, id)| Container {
            name,
            cgroup: None,
            id: Some(id),
            pod: pod.name_any(),
            pod_labels: pod.labels().clone(),
            namespace_labels: labels_of(&namespace).unwrap_or_default(),
            namespace: namespace.clone(),
        }));
    }
    containers.sort_by(|one, other| place(one).cmp(&place(other)));
    containers
}

fn place(container: &Container) -> (&str, &str, &str, Option<&str>) {
    (
        &container.namespace,
        &container.pod,
        &container.name,
        container.id.as_deref(),
    )
}

/// Names and numbers of a pod's containers that were started at least once.
fn ids(pod: &Pod) -> impl Iterator<Item = (String, String)> + '_ {
    let statuses = pod.status.iter().flat_map(|status| {
        let lists = [
            &status.init_container_statuses,
            &status.container_statuses,
            &status.ephemeral_container_statuses,
        ];
        lists.into_iter().flatten().flatten()
    });
    statuses.filter_map(|status| {
        // Such as `containerd://…` (Kubernetes API, ContainerStatus.containerID).
        let (_, id) = status.container_id.as_ref()?.rsplit_once("//")?;
        is_container_id(id).then(|| (status.name.clone(), id.to_owned()))
    })
}

/// Keeps the stores up to date.
#[derive(Debug)]
pub struct Follower {
    config: Config,
    node: String,
    heard: Arc<Heard>,
    pods: Writer<Pod>,
    namespaces: Writer<PartialObjectMeta<Namespace>>,
    nodes: Writer<PartialObjectMeta<Node>>,
}

impl Follower {
    /// Runs for good: a watch that fails is tried again.
    ///
    /// # Errors
    /// When the certificates or tokens that the configuration names cannot be used.
    pub async fn follow(self) -> anyhow::Result<()> {
        let client = Client::try_from(self.config).context("--cluster")?;
        let everything = watcher::Config::default;
        let pods = watcher(
            Api::<Pod>::all(client.clone()),
            everything().fields(&format!("spec.nodeName={}", self.node)),
        );
        let namespaces = watcher(
            Api::<PartialObjectMeta<Namespace>>::all(client.clone()),
            everything(),
        );
        let nodes = watcher(
            Api::<PartialObjectMeta<Node>>::all(client),
            everything().fields(&format!("metadata.name={}", self.node)),
        );
        tokio::join!(
            follow(pods, forget_the_rest, self.pods, &self.heard, Resource::Pods),
            follow(
                namespaces,
                |_| (),
                self.namespaces,
                &self.heard,
                Resource::Namespaces
            ),
            follow(nodes, |_| (), self.nodes, &self.heard, Resource::Nodes),
        );
        Ok(())
    }
}

/// A node's pods would take some megabytes with all that is said of them.
fn forget_the_rest(pod: &mut Pod) {
    pod.spec = None;
    pod.metadata.managed_fields = None;
    pod.metadata.annotations = None;
}

async fn follow<K>(
    watch: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    forget: fn(&mut K),
    writer: Writer<K>,
    heard: &Heard,
    resource: Resource,
) where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    let events = watch
        .default_backoff()
        .modify(forget)
        .reflect(writer)
        .into_stream();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            // Said before the API server is asked.
            Ok(watcher::Event::Init) => {}
            Ok(event) => heard.took(resource, matches!(event, watcher::Event::InitDone)),
            Err(error) => heard.failed(resource, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(text: &str) -> Arc<Pod> {
        Arc::new(serde_saphyr::from_str(text).unwrap())
    }

    #[test]
    fn a_pod_tells_of_each_container_that_was_started() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let pod = pod(&format!(
            "metadata: {{name: shop-1, namespace: shop, labels: {{app: shop}}}}\nstatus:\n  initContainerStatuses:\n  \
             - {{name: init, image: i, imageID: i, ready: true, restartCount: 0, containerID: 'containerd://{two}'}}\n  \
             containerStatuses:\n  - {{name: web, image: i, imageID: i, ready: true, restartCount: 0, containerID: \
             'cri-o://{one}'}}\n  - {{name: waiting, image: i, imageID: i, ready: false, restartCount: 0}}\n  - {{name: \
             odd, image: i, imageID: i, ready: true, restartCount: 0, containerID: 'mystery'}}\n"
        ));
        let namespace: PartialObjectMeta<Namespace> =
            serde_saphyr::from_str("metadata: {name: shop, labels: {team: a}}").unwrap();
        let found = containers(&[pod], &[Arc::new(namespace)]);
        let told: Vec<_> = found
            .iter()
            .map(|container| (container.name.as_str(), container.id.as_deref().unwrap()))
            .collect();
        assert_eq!(told, [("init", two.as_str()), ("web", one.as_str())]);
        assert!(found.iter().all(|container| {
            container.pod == "shop-1"
                && container.pod_labels["app"] == "shop"
                && container.namespace == "shop"
                && container.namespace_labels["team"] == "a"
        }));
    }

    /// A watch begins with a word of its own, whether or not there is an API server.
    #[tokio::test(start_paused = true)]
    async fn what_the_client_says_by_itself_is_nothing_heard() {
        let (_, writer) = reflector::store::<Pod>();
        let heard = Heard::default();
        let failure = || Err(watcher::Error::NoResourceVersion);
        let watch = futures::stream::iter([
            Ok(watcher::Event::Init),
            failure(),
            Ok(watcher::Event::Init),
            failure(),
        ]);
        follow(watch, forget_the_rest, writer, &heard, Resource::Pods).await;
        assert_eq!((heard.so_far(), heard.errors(Resource::Pods)), (0, 2));
        assert!(heard.silence().contains("pods: "), "{}", heard.silence());
    }

    #[test]
    fn no_reply_is_a_panic_and_every_number_is_one() {
        bolero::check!().for_each(|bytes| {
            let Ok(pod) = serde_json::from_slice::<Pod>(bytes) else {
                return;
            };
            for container in containers(&[Arc::new(pod)], &[]) {
                assert!(container.id.is_some_and(|id| is_container_id(&id)));
            }
        });
    }
}

//! How the commands that look at a running daemon ask it: over HTTP, or over TLS and with a token where it wants both.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::access::{Token, certificates, provider};
use crate::manifest::ManifestError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a daemon wants of those that ask it.
#[derive(Debug, Default, Args)]
pub struct ClientArguments {
    /// Bring the daemon the token in this file.
    #[arg(long, value_name = "FILE", env = "PROBED_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Ask over TLS, and trust a certificate that one of these has signed, in PEM.
    #[arg(long, value_name = "FILE", env = "PROBED_CA_CERTIFICATE")]
    ca_certificate: Option<PathBuf>,
}

/// Asks.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    token: Option<Token>,
    scheme: &'static str,
}

impl ClientArguments {
    /// One that asks as these say.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it should be.
    pub fn client(&self) -> Result<Client, ManifestError> {
        let mut config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            // What is asked is this machine or its neighbour.
            .proxy(None);
        if let Some(path) = &self.ca_certificate {
            let roots: Vec<_> = certificates("ca-certificate", path)?
                .iter()
                .map(|certificate| Certificate::from_der(certificate).to_owned())
                .collect();
            let tls = TlsConfig::builder()
                .root_certs(RootCerts::new_with_certs(&roots))
                .unversioned_rustls_crypto_provider(provider());
            config = config.tls_config(tls.build());
        }
        Ok(Client {
            agent: config.build().new_agent(),
            token: self.token_file.as_deref().map(Token::read).transpose()?,
            scheme: if self.ca_certificate.is_some() {
                "https"
            } else {
                "http"
            },
        })
    }
}

impl Client {
    /// The URL of a path at `HOST:PORT`.
    pub fn url(&self, address: &str, path: &str) -> String {
        format!("{}://{address}{path}", self.scheme)
    }

    /// Asks for metrics, or what else there is at a URL. Any status is an answer.
    ///
    /// # Errors
    /// When there is none, or TLS is asked for and nobody is trusted.
    pub fn get(&self, url: &str) -> anyhow::Result<Response<Body>> {
        // The library panics where it has nobody to trust.
        if self.scheme == "http" && url.starts_with("https:") {
            bail!(ManifestError::Usage(
                "whom to trust over TLS is not known: --ca-certificate names a file that says it".to_owned()
            ));
        }
        let mut request = self
            .agent
            .get(url)
            .header("Accept", "application/openmetrics-text; version=1.0.0");
        if let Some(token) = &self.token {
            request = request.header("Authorization", token.header());
        }
        Ok(request.call()?)
    }
}

//! Who may read what is served: TLS and a token, each by option. Without them it is open to whoever can reach the
//! address, which is why that is the loopback unless another is asked for.
//!
//! Both are read once, before privileges are given up. A certificate that is renewed needs a restart.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum_server::tls_rustls::RustlsConfig;
use clap::Args;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use subtle::ConstantTimeEq;

use crate::manifest::ManifestError;

/// Paths that answer everybody: who looks after the daemon's life knows no token, and learns no number.
const OPEN: [&str; 2] = ["/healthz", "/ready"];

/// The options.
#[derive(Debug, Args)]
pub struct AccessArguments {
    /// Serve over TLS with this chain of certificates, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the first certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Answer only those that bring the token in this file (`Authorization: Bearer TOKEN`); /ready and /healthz answer
    /// everybody.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// What is asked of those that want to read.
#[derive(Debug, Clone, Default)]
pub struct Access {
    tls: Option<RustlsConfig>,
    token: Option<Token>,
}

impl AccessArguments {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, or is not what it should be.
    pub fn read(&self) -> Result<Access, ManifestError> {
        let tls = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(tls(certificate, key)?),
            _ => None,
        };
        let token = self.token_file.as_deref().map(Token::read).transpose()?;
        Ok(Access { tls, token })
    }
}

impl Access {
    /// The certificate to serve with; none for plain HTTP.
    pub fn tls(&self) -> Option<RustlsConfig> {
        self.tls.clone()
    }

    /// Asks for the token, if there is one, before a route is answered.
    pub fn guard(&self, routes: Router) -> Router {
        match &self.token {
            Some(token) => routes.layer(from_fn_with_state(token.clone(), ask)),
            None => routes,
        }
    }

    /// What is worth saying about an address that others can reach.
    pub fn warning(&self, address: SocketAddr) -> Option<&'static str> {
        if address.ip().is_loopback() {
            return None;
        }
        match (&self.tls, &self.token) {
            (Some(_), Some(_)) => None,
            (_, None) => {
                Some("anybody who reaches this address can read all metrics; --token-file asks for a token")
            }
            (None, Some(_)) => Some("the token travels in the open; --tls-certificate serves over TLS"),
        }
    }
}

/// A secret that both sides know.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// The only line of a file.
    ///
    /// # Errors
    /// When it cannot be read, or is empty or something else than visible ASCII (RFC 6750, 2.1 allows less).
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let usage = |what: &dyn std::fmt::Display| usage("token-file", path, what);
        let text = std::fs::read_to_string(path).map_err(|error| usage(&error))?;
        let token = text.trim_end_matches(['\r', '\n']);
        if token.is_empty() {
            return Err(usage(&"it is empty"));
        }
        if !token.chars().all(|character| character.is_ascii_graphic()) {
            return Err(usage(&"a token is one word of ASCII characters"));
        }
        Ok(Self(token.into()))
    }

    /// As it is sent.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether a request brings it. How long the comparison takes tells nothing about where they differ.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let brought = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        brought.is_some_and(|brought| brought.as_bytes().ct_eq(self.0.as_bytes()).into())
    }
}

async fn ask(State(token): State<Token>, request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) || token.is_in(request.headers()) {
        return next.run(request).await;
    }
    let headers = [(header::WWW_AUTHENTICATE, "Bearer")];
    (
        StatusCode::UNAUTHORIZED,
        headers,
        "bring the token: Authorization: Bearer …\n",
    )
        .into_response()
}

/// TLS 1.2 and 1.3 with the library's own choice of ciphers, without certificates of clients.
fn tls(certificate: &Path, key: &Path) -> Result<RustlsConfig, ManifestError> {
    let chain = certificates("tls-certificate", certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| usage("tls-key", key, &error))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| usage("tls-certificate", certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| usage("tls-key", key, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

fn usage(option: &str, path: &Path, what: &dyn std::fmt::Display) -> ManifestError {
    ManifestError::Usage(format!("--{option} {}: {what}", path.display()))
}

/// The certificates in a file that an option names, at least one.
///
/// # Errors
/// When the file cannot be read, or something in it is damaged.
pub fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ManifestError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| usage(option, path, &error))?;
    if certificates.is_empty() {
        return Err(usage(option, path, &"no certificate in it"));
    }
    Ok(certificates)
}

/// The cryptography of both sides: `ring`, which needs neither CMake nor Go to be built.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<Token, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        Token::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_token_itself_opens() {
        let secret = token("s3cret\n").unwrap();
        for (brought, opens) in [
            ("Bearer s3cret", true),
            ("bearer  s3cret", true),
            ("Bearer s3crets", false),
            ("Bearer s3cre", false),
            ("Basic s3cret", false),
            ("s3cret", false),
            ("Bearer ", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, brought.parse().unwrap());
            assert_eq!(secret.is_in(&headers), opens, "{brought}");
        }
        assert!(!secret.is_in(&HeaderMap::new()));
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    #[test]
    fn a_file_without_a_token_is_refused() {
        for (text, word) in [
            ("", "empty"),
            ("\n", "empty"),
            ("two words", "one word"),
            ("pässword", "one word"),
        ] {
            let error = token(text).unwrap_err();
            assert!(error.contains(word), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_others_can_reach_is_warned_of() {
        let open = Access::default();
        let guarded = Access {
            token: Some(token("x").unwrap()),
            ..Access::default()
        };
        let (here, everywhere) = ("127.0.0.1:1".parse().unwrap(), "0.0.0.0:1".parse().unwrap());
        assert_eq!(open.warning(here), None);
        assert!(open.warning(everywhere).unwrap().contains("--token-file"));
        assert!(guarded.warning(everywhere).unwrap().contains("--tls-certificate"));
    }
}

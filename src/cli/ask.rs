//! Asks a running process through its admin API.

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

/// How long a process may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than any status.
const LIMIT: usize = 1 << 30;

/// Which process to ask.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Admin {
    /// The admin API of the process to ask
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19000")]
    admin: String,
}

impl Admin {
    /// Gets one JSON document.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.fetch(path))
                .await
                .with_context(|| format!("{} did not answer within {} s", self.admin, PATIENCE.as_secs()))?
        })
    }

    async fn fetch(&self, path: &str) -> anyhow::Result<Value> {
        let base = self.admin.trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        let uri: http::Uri =
            format!("{base}{path}").parse().with_context(|| format!("--admin {} is no URL", self.admin))?;
        let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let response = client.get(uri).await.with_context(|| {
            format!("no argosy answers at {base}; start one with `argosy serve`, or name another with --admin URL")
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LIMIT).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer of {base} broke off: {error}"))?.to_bytes();
        if !status.is_success() {
            bail!("{base}{path} answered {status}: {}", String::from_utf8_lossy(&body).trim());
        }
        serde_json::from_slice(&body).with_context(|| format!("{base}{path} did not answer with JSON; is it argosy?"))
    }
}

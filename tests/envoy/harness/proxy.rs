//! One Envoy, as the list of proxies shows it, and its admin page.

use argosy::cli::demo::Fleet;
use argosy::cli::demo::client::Target;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// One Envoy.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// What the list says of it.
    pub(crate) fleet: Fleet,
}

impl Proxy {
    /// Where plain requests to a listener port go.
    #[track_caller]
    pub(crate) fn plain(&self, port: u16) -> Target {
        Target::plain(self.socket(port))
    }

    /// Where requests over TLS go, trusting one CA.
    #[track_caller]
    pub(crate) fn secure(&self, port: u16, ca: &str) -> Target {
        Target::secure(self.socket(port), ca).unwrap()
    }

    #[track_caller]
    fn socket(&self, port: u16) -> std::net::SocketAddr {
        self.fleet.socket(port).unwrap_or_else(|| panic!("port {port} is not bound: {:?}", self.fleet))
    }

    /// The process.
    #[track_caller]
    pub(crate) fn pid(&self) -> u64 {
        self.fleet.pid.unwrap_or_else(|| panic!("no process: {:?}", self.fleet))
    }

    /// A page of Envoy's admin interface, which listens on a unix socket or a loopback port.
    pub(crate) async fn admin(&self, path: &str) -> Result<String, String> {
        let admin = self.fleet.admin.clone().ok_or("the proxy has no admin interface")?;
        let place = admin.trim_start_matches("unix:").trim_start_matches("http://").trim_end_matches('/');
        let answer = if place.starts_with('/') {
            get(UnixStream::connect(place).await.map_err(|error| format!("{place}: {error}"))?, path).await
        } else {
            get(TcpStream::connect(place).await.map_err(|error| format!("{place}: {error}"))?, path).await
        };
        answer.map_err(|error| format!("{place}{path}: {error}"))
    }

    /// A counter or gauge of Envoy.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let text = self.admin(&format!("/stats?filter={}", encoded(&format!("^{}$", name.replace('.', "\\."))))).await;
        let text = text.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok());
        value.unwrap_or_else(|| panic!("Envoy has no stat {name}: {text}"))
    }

    /// All counters whose names fit an expression, added up.
    pub(crate) async fn stats(&self, expression: &str) -> u64 {
        let text = self.admin(&format!("/stats?filter={}", encoded(expression))).await.unwrap();
        text.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum()
    }

    /// The node that Envoy was started with.
    pub(crate) async fn node(&self) -> Result<Value, String> {
        let text = self.admin("/server_info").await?;
        let info: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(info["node"].clone())
    }
}

/// Percent-encoded, as a value in a query.
fn encoded(text: &str) -> String {
    let one =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

async fn get<S>(stream: S, path: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection);
    let request = http::Request::get(path).header("host", "localhost").body(Empty::<bytes::Bytes>::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

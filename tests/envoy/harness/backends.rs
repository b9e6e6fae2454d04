//! What stands behind the gateways, in this process.

use argosy::cli::demo::echo::{self, Role};
use axum::Json;
use axum::http::StatusCode;
use axum::routing::get;
use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse, HttpStatusCode};
use envoy_types::ext_authz::v3::{CheckRequestExt, CheckResponseExt, DeniedHttpResponseBuilder, OkHttpResponseBuilder};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Servers that end when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    tasks: JoinSet<io::Result<()>>,
}

impl Backends {
    /// An echo backend; its port.
    pub(crate) async fn echo(&mut self, name: &str) -> u16 {
        let (listener, port) = listen(0).await;
        self.tasks.spawn(echo::serve(listener, name.to_owned(), Role::Echo));
        port
    }

    /// A server for external authorization over HTTP: who has `x-user` may pass.
    pub(crate) async fn authorizer(&mut self) -> u16 {
        let (listener, port) = listen(0).await;
        self.tasks.spawn(echo::serve(listener, "authorizer", Role::Authorizer));
        port
    }

    /// The same over gRPC.
    pub(crate) async fn grpc_authorizer(&mut self) -> u16 {
        let (listener, port) = listen(0).await;
        let server = tonic::transport::Server::builder().add_service(AuthorizationServer::new(ByUser));
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        self.tasks.spawn(async move { serving.await.map_err(io::Error::other) });
        port
    }

    /// A server of a JSON Web Key Set at `/jwks`, on a port of the caller's choice or, with 0, any.
    pub(crate) async fn jwks(&mut self, port: u16, keys: Value) -> u16 {
        let (listener, port) = listen(port).await;
        let answer = move || {
            let keys = keys.clone();
            async move { (StatusCode::OK, Json(keys)) }
        };
        let app = axum::Router::new().route("/jwks", get(answer));
        self.tasks.spawn(async move { axum::serve(listener, app).await });
        port
    }
}

async fn listen(port: u16) -> (TcpListener, u16) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Lets those pass who have `x-user`, and tells the backend who that is.
struct ByUser;

#[tonic::async_trait]
impl Authorization for ByUser {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let request = request.into_inner();
        let user = request.get_client_headers().and_then(|headers| headers.get("x-user").cloned());
        let mut response = CheckResponse::with_status(match &user {
            Some(_) => Status::ok("known"),
            None => Status::unauthenticated("the header x-user is missing"),
        });
        match user {
            Some(user) => {
                let mut allowed = OkHttpResponseBuilder::new();
                allowed.add_header("x-authorized-as", user, None, false);
                response.set_http_response(allowed);
            }
            None => {
                let mut denied = DeniedHttpResponseBuilder::new();
                denied.set_http_status(HttpStatusCode::Forbidden);
                response.set_http_response(denied);
            }
        }
        Ok(Response::new(response))
    }
}

//! The user's scenario: everything that two gateways with TLS, routes, gRPC, tokens, patches and bootstraps are made of.

mod bootstrap;
mod classes;
mod ext_auth;
mod grpc;
mod jwt;
mod patches;
mod routes;
mod samples;
mod tls;

//! In: one route and the Gateway it may attach to.
//! Out: entries of virtual hosts, backends, filters, the route's status.
//! Never: other routes.

mod attach;
mod entries;
mod judged;
mod rules;
mod unit;

pub use unit::{RouteUnit, route};

//! Entries of virtual hosts, from judged rules and the listeners a route attaches to.

use super::attach::Hosts;
use super::judged::{Judged, Place};
use crate::model::{Gateway, Listener, ObjectKey, Order, RouteAction, RouteEntry, RouteSecurity};
use crate::translate::hostnames;
use crate::translate::matches::Ranked;
use crate::translate::security::Guard;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Parts of a million, in which shares of requests are counted.
const MILLION: u64 = 1_000_000;

/// What one rule is guarded by; the error closes it.
pub(super) type Guards<'a> = dyn Fn(&Listener, Option<&str>) -> Option<&'a Result<Guard, String>> + 'a;

/// What all entries of a route have in common.
pub(super) struct Route<'a> {
    pub(super) key: &'a ObjectKey,
    pub(super) created: &'a str,
    pub(super) gateway: &'a Gateway,
}

impl Route<'_> {
    /// The entries on one listener. Hosts that a narrower listener of the same table owns are left to that.
    pub(super) fn entries(
        &self,
        listener: &Listener,
        hosts: &[Hosts],
        rules: &[Judged<'_>],
        guards: &Guards<'_>,
        out: &mut Vec<RouteEntry>,
    ) {
        let Some(table) = &listener.table else { return };
        for (hostname, own) in most_specific(hosts) {
            if self.belongs_to_another(listener, table, hostname) {
                continue;
            }
            for rule in rules {
                let guard = guards(listener, rule.name);
                for (index, ranked) in rule.matches.iter().enumerate() {
                    let place = At { listener, table, hostname, own, index };
                    self.of_match(rule, ranked, &place, guard, out);
                }
            }
        }
    }

    /// Listener isolation (Gateway API, feature GatewayHTTPListenerIsolation).
    fn belongs_to_another(&self, listener: &Listener, table: &str, hostname: Option<&str>) -> bool {
        let mine = hostnames::specificity(listener.hostname.as_deref());
        self.gateway.listeners.iter().any(|other| {
            let theirs = other.hostname.as_deref();
            other.table.as_deref() == Some(table)
                && other.name != listener.name
                && hostnames::specificity(theirs) > mine
                && hostnames::covers(theirs, hostname)
        })
    }

    fn of_match(
        &self,
        rule: &Judged<'_>,
        ranked: &Ranked,
        at: &At<'_>,
        guard: Option<&Result<Guard, String>>,
        out: &mut Vec<RouteEntry>,
    ) {
        // The rule was tried with every match when it was judged.
        let Ok(actions) = rule.actions(ranked, &Place::from(at.listener)) else { return };
        let total: u64 = actions.iter().map(|(weight, _)| weight).sum();
        let (mut sum, count) = (0, actions.len());
        for (share, (weight, action)) in actions.into_iter().enumerate() {
            sum += weight;
            let mut matches = ranked.matches.clone();
            let limit = u32::try_from(sum * MILLION / total.max(1)).unwrap_or(u32::MAX);
            matches.share = (share + 1 < count).then_some(limit);
            let security = security(guard);
            let closed = guard.is_some_and(Result::is_err);
            let cors = action.own.and_then(|own| own.cors.clone()).or_else(|| rule.filters.cors.clone());
            out.push(RouteEntry {
                table: at.table.to_owned(),
                hostname: at.hostname.unwrap_or("*").to_owned(),
                order: self.order(rule, ranked, at, share),
                name: self.name(rule, at, share, count),
                matches,
                action: if closed { RouteAction::Respond { status: 500, body: String::new() } } else { action.action },
                request_headers: rule.filters.request_headers.clone(),
                response_headers: rule.filters.response_headers.clone(),
                security,
                cors,
                session: rule.session(self.key, ranked).unwrap_or_default(),
            });
        }
    }

    fn order(&self, rule: &Judged<'_>, ranked: &Ranked, at: &At<'_>, share: usize) -> Order {
        let (path_kind, path_length) = match ranked.grpc {
            // Service before method, by length; the kind of the match says nothing (GRPCRoute, "precedence").
            Some((0, 0)) => (2, 0),
            Some((service, method)) => (0, service * 4096 + method),
            None => (ranked.path_kind, ranked.path_length),
        };
        Order {
            hostname: Reverse(hostnames::specificity(at.own)),
            path_kind,
            path_length: Reverse(path_length),
            method: Reverse(ranked.matches.method.is_some()),
            headers: Reverse(ranked.matches.headers.len()),
            query_params: Reverse(ranked.matches.query_params.len()),
            created: self.created.to_owned(),
            route: (self.key.named().to_string(), self.key.kind.as_str().to_owned()),
            rule: rule.index,
            index: at.index,
            share,
        }
    }

    fn name(&self, rule: &Judged<'_>, at: &At<'_>, share: usize, shares: usize) -> String {
        let kind = self.key.kind.as_str().to_ascii_lowercase();
        let host = at.hostname.map_or_else(|| "*".to_owned(), |host| host.replace('.', "_"));
        let name = format!("{kind}/{}/rule/{}/match/{}/{host}", self.key.named(), rule.index, at.index);
        if shares > 1 { format!("{name}/share/{share}") } else { name }
    }
}

/// Where an entry stands.
struct At<'a> {
    listener: &'a Listener,
    table: &'a str,
    hostname: Option<&'a str>,
    /// The route's own hostname that led there.
    own: Option<&'a str>,
    /// The index of the match.
    index: usize,
}

/// One own hostname for each common one: `*.example.com` and `abc.example.com` of one route meet at a listener
/// `abc.example.com`, and the more specific one ranks.
fn most_specific(hosts: &[Hosts]) -> BTreeMap<Option<&str>, Option<&str>> {
    let mut found: BTreeMap<Option<&str>, Option<&str>> = BTreeMap::new();
    for host in hosts {
        let own = host.own.as_deref();
        let slot = found.entry(host.hostname.as_deref()).or_insert(own);
        if hostnames::specificity(own) > hostnames::specificity(*slot) {
            *slot = own;
        }
    }
    found
}

fn security(guard: Option<&Result<Guard, String>>) -> RouteSecurity {
    match guard {
        Some(Ok(guard)) => RouteSecurity {
            jwt: guard.jwt.as_ref().map(|jwt| jwt.key.clone()),
            ext_auth: guard.ext_auth.as_ref().map(|ext_auth| ext_auth.key.clone()),
        },
        _ => RouteSecurity::default(),
    }
}

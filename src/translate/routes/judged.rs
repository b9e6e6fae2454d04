//! Rules after everything they name was looked up.

use super::rules::{self, Rule, Source};
use crate::api::gateway_api::{BackendRef, Filter, MirrorFilter};
use crate::model::{
    Forward, Kind, Listener, Mirror, ObjectKey, PathMatch, Redirect, Retry, RouteAction, Session, WeightedBackend,
};
use crate::store::View;
use crate::translate::backends::{self, BackendProblem};
use crate::translate::filters::{self, Filters};
use crate::translate::grants::End;
use crate::translate::listeners::GROUP;
use crate::translate::matches::Ranked;
use crate::translate::texts;

/// A rule, ready to become entries.
pub(super) struct Judged<'a> {
    /// Its index in the route.
    pub(super) index: usize,
    pub(super) name: Option<&'a str>,
    pub(super) matches: Vec<Ranked>,
    pub(super) filters: Filters,
    pub(super) body: Body,
    timeouts: (Option<u64>, Option<u64>),
    retry: Option<Retry>,
    session: Option<&'a crate::api::gateway_api::SessionPersistence>,
}

/// What a rule does with requests.
pub(super) enum Body {
    /// It cannot be carried out as it is written: answered with 500, never served by halves.
    Closed,
    /// It redirects.
    Redirect,
    /// It spreads requests over shares; never empty.
    Shares(Vec<Share>),
}

/// A part of the requests of a rule.
pub(super) struct Share {
    /// Among the weights of all shares; at least 1.
    pub(super) weight: u64,
    pub(super) target: Target,
}

/// Where a share goes.
pub(super) enum Target {
    /// To a backend that cannot be had: answered with 500.
    Nowhere,
    /// To backends; the filters are those of a backend that needs an action of its own.
    Backends { backends: Vec<WeightedBackend>, own: Box<Filters>, mirrors: Vec<Mirror> },
}

/// What is wrong with a route's rules.
#[derive(Default)]
pub(super) struct Problems {
    /// One a bad rule: its index, (reason, message), and whether the rule is dropped (true) or closed.
    pub(super) rules: Vec<(usize, &'static str, String, bool)>,
    /// Backends that cannot be had.
    pub(super) backends: Vec<BackendProblem>,
}

/// Looks up everything that the rules of a route name.
pub(super) fn judge<'a>(
    view: &dyn View,
    route: &ObjectKey,
    source: &'a Source<'_>,
    problems: &mut Problems,
) -> Vec<Judged<'a>> {
    source
        .rules
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| one(view, route, source, index, rule, problems))
        .collect()
}

fn one<'a>(
    view: &dyn View,
    route: &ObjectKey,
    source: &'a Source<'_>,
    index: usize,
    rule: &'a Rule<'_>,
    problems: &mut Problems,
) -> Option<Judged<'a>> {
    let at = |message: &str| format!("rules[{index}]: {message}");
    let mut matches = Vec::new();
    for (number, found) in rule.matches.iter().enumerate() {
        match found {
            Ok(ranked) => matches.push(ranked.clone()),
            // Without its match nobody knows which requests the rule means.
            Err(problem) => {
                let message = format!("rules[{index}].matches[{number}]: {problem}");
                problems.rules.push((index, "UnsupportedValue", message, true));
                return None;
            }
        }
    }
    let mut judged = Judged {
        index,
        name: rule.name,
        matches,
        filters: Filters::default(),
        body: Body::Closed,
        timeouts: (None, None),
        retry: None,
        session: rule.session,
    };
    let resolver = Resolver { view, route, grpc: source.grpc };
    match resolver.fill(&mut judged, rule, &mut problems.backends) {
        Ok(()) => {}
        Err((reason, message)) => {
            judged.body = Body::Closed;
            problems.rules.push((index, reason, at(&message), false));
        }
    }
    Some(judged)
}

struct Resolver<'a> {
    view: &'a dyn View,
    route: &'a ObjectKey,
    grpc: bool,
}

type Refused = (&'static str, String);

fn unsupported(message: String) -> Refused {
    ("UnsupportedValue", message)
}

impl Resolver<'_> {
    fn fill(
        &self,
        judged: &mut Judged<'_>,
        rule: &Rule<'_>,
        problems: &mut Vec<BackendProblem>,
    ) -> Result<(), Refused> {
        judged.filters = filters::read(rule.filters, self.grpc)?;
        judged.timeouts = rule.timeouts.clone().map_err(unsupported)?;
        judged.retry = rule.retry.clone().map_err(unsupported)?;
        judged.body = if judged.filters.redirect.is_some() {
            if !rule.backends.is_empty() {
                return Err(("IncompatibleFilters", "RequestRedirect and backendRefs exclude each other".to_owned()));
            }
            Body::Redirect
        } else {
            Body::Shares(self.shares(&judged.filters, &rule.backends, problems)?)
        };
        // Whether a path can be rewritten depends on the match: every combination is tried once here, so that entries
        // cannot fail.
        for ranked in &judged.matches {
            judged.actions(ranked, &Place { https: false, port: 80 }).map_err(unsupported)?;
            judged.session(self.route, ranked).map_err(unsupported)?;
        }
        Ok(())
    }

    /// Backends by share. Those that need nothing of their own are one share, whose backends Envoy weighs itself.
    fn shares(
        &self,
        rule: &Filters,
        backends: &[(&BackendRef, &[Filter])],
        problems: &mut Vec<BackendProblem>,
    ) -> Result<Vec<Share>, Refused> {
        let mirrors = self.mirrors(&rule.mirrors, problems)?;
        let (mut nowhere, mut plain, mut shaped) = (0u64, Vec::new(), Vec::new());
        for (index, (reference, filters)) in backends.iter().enumerate() {
            let at = |message: String| format!("backendRefs[{index}]: {message}");
            let weight = u32::try_from(reference.weight.unwrap_or(1))
                .ok()
                .filter(|weight| *weight <= 1_000_000)
                .ok_or_else(|| unsupported(at("weight has to be between 0 and 1000000".to_owned())))?;
            let own = filters::read(filters, self.grpc).map_err(|(reason, message)| (reason, at(message)))?;
            let backend = match self.resolve(reference) {
                Ok(backend) => backend,
                Err(problem) => {
                    problems.push(problem);
                    nowhere += u64::from(weight);
                    continue;
                }
            };
            if weight == 0 {
                continue;
            }
            let (request_headers, response_headers) = (own.request_headers.clone(), own.response_headers.clone());
            let backend = WeightedBackend { backend, weight, request_headers, response_headers };
            if own.shapes_action() {
                let own_mirrors = self.mirrors(&own.mirrors, problems)?;
                let mirrors = mirrors.iter().cloned().chain(own_mirrors).collect();
                let target = Target::Backends { backends: vec![backend], own: Box::new(own), mirrors };
                shaped.push(Share { weight: u64::from(weight), target });
            } else {
                plain.push(backend);
            }
        }
        let mut shares = Vec::new();
        if nowhere > 0 {
            shares.push(Share { weight: nowhere, target: Target::Nowhere });
        }
        shares.extend(shaped);
        if !plain.is_empty() {
            let weight = plain.iter().map(|backend| u64::from(backend.weight)).sum();
            let target = Target::Backends { backends: plain, own: Box::default(), mirrors };
            shares.push(Share { weight, target });
        }
        if shares.is_empty() {
            // No backend, or only ones of weight 0: a 500 without anything being unresolved (HTTPRouteNoBackendRefs).
            shares.push(Share { weight: 1, target: Target::Nowhere });
        }
        Ok(shares)
    }

    fn mirrors(&self, specs: &[MirrorFilter], problems: &mut Vec<BackendProblem>) -> Result<Vec<Mirror>, Refused> {
        let mut found = Vec::new();
        for spec in specs {
            let share = filters::mirror_share(spec).map_err(unsupported)?;
            if spec.backend_ref.weight.is_some() {
                return Err(unsupported(
                    "requestMirror.backendRef.weight does not exist; use percent or fraction".to_owned(),
                ));
            }
            match self.resolve(&spec.backend_ref) {
                Ok(backend) => found.push(Mirror { backend, share }),
                // Requests go on without their copy; the status says so.
                Err(problem) => problems.push(problem),
            }
        }
        Ok(found)
    }

    fn resolve(&self, reference: &BackendRef) -> Result<crate::model::BackendKey, BackendProblem> {
        let kind = if self.route.kind == Kind::GRPCRoute { "GRPCRoute" } else { "HTTPRoute" };
        let from = End { group: GROUP, kind, namespace: &self.route.namespace };
        backends::resolve(self.view, from, reference, self.grpc)
    }
}

/// What of a listener reaches into an action.
pub(super) struct Place {
    pub(super) https: bool,
    pub(super) port: u16,
}

impl From<&Listener> for Place {
    fn from(listener: &Listener) -> Self {
        Self { https: listener.protocol == "HTTPS", port: listener.port }
    }
}

impl Judged<'_> {
    /// The actions of one match on one listener with their weights, in the order in which shares are tried.
    pub(super) fn actions(&self, ranked: &Ranked, place: &Place) -> Result<Vec<(u64, Action<'_>)>, String> {
        let closed = || RouteAction::Respond { status: 500, body: String::new() };
        match &self.body {
            Body::Closed => Ok(vec![(1, Action { action: closed(), own: None })]),
            Body::Redirect => {
                let action = RouteAction::Redirect(redirect(&self.filters, ranked, place)?);
                Ok(vec![(1, Action { action, own: None })])
            }
            Body::Shares(shares) => shares
                .iter()
                .map(|share| match &share.target {
                    Target::Nowhere => Ok((share.weight, Action { action: closed(), own: None })),
                    Target::Backends { own, .. } if own.redirect.is_some() => {
                        let action = RouteAction::Redirect(redirect(own, ranked, place)?);
                        Ok((share.weight, Action { action, own: Some(own) }))
                    }
                    Target::Backends { backends, own, mirrors } => {
                        let forward = self.forward(backends, own, mirrors, ranked)?;
                        Ok((share.weight, Action { action: RouteAction::Forward(Box::new(forward)), own: Some(own) }))
                    }
                })
                .collect(),
        }
    }

    fn forward(
        &self,
        backends: &[WeightedBackend],
        own: &Filters,
        mirrors: &[Mirror],
        ranked: &Ranked,
    ) -> Result<Forward, String> {
        let rewrites = [own.rewrite.as_ref(), self.filters.rewrite.as_ref()];
        let host_rewrite = rewrites.iter().flatten().find_map(|rewrite| rewrite.hostname.clone());
        host_rewrite.as_deref().map_or(Ok(()), texts::host).map_err(|e| format!("urlRewrite: {e}"))?;
        let path = rewrites.iter().flatten().find_map(|rewrite| rewrite.path.as_ref());
        Ok(Forward {
            backends: backends.to_vec(),
            timeout_ms: self.timeouts.0,
            try_timeout_ms: self.timeouts.1,
            retry: self.retry.clone(),
            mirrors: mirrors.to_vec(),
            host_rewrite,
            path_rewrite: path.map(|path| filters::path(path, prefix_of(ranked))).transpose()?,
        })
    }

    /// Session persistence of one match: its cookie belongs to the path that is matched.
    pub(super) fn session(&self, route: &ObjectKey, ranked: &Ranked) -> Result<Option<Session>, String> {
        let path = match &ranked.matches.path {
            PathMatch::Exact(path) | PathMatch::Prefix(path) => path.as_str(),
            PathMatch::Regex(_) => "/",
        };
        let rule = self.name.map_or_else(|| self.index.to_string(), str::to_owned);
        let rule = format!("{}-{}-{rule}", route.namespace, route.name);
        self.session.map(|spec| rules::session(spec, &rule, path)).transpose()
    }
}

/// One action, with the filters of the backend it belongs to.
pub(super) struct Action<'a> {
    pub(super) action: RouteAction,
    pub(super) own: Option<&'a Filters>,
}

fn prefix_of(ranked: &Ranked) -> Option<&str> {
    match &ranked.matches.path {
        PathMatch::Prefix(prefix) => Some(prefix),
        _ => None,
    }
}

fn redirect(filters: &Filters, ranked: &Ranked, place: &Place) -> Result<Redirect, String> {
    let spec = filters.redirect.as_ref().ok_or("no redirect")?;
    filters::redirect(spec, prefix_of(ranked), place.https, place.port)
}

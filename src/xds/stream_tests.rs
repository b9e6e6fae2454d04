//! One test for each rule of the stream; random lives are in `client_tests.rs`.

use super::stream::{Action, Request, Stream, mentions};
use crate::model::FleetKey;
use crate::runtime::clock::Clock;
use crate::snapshot::{Edit, Fleet, Registry, Resource, ResourceType, Stamps};
use ResourceType::{Cluster, Endpoints, Listener, Route, Secret};
use bytes::Bytes;
use std::sync::Arc;

fn resource(kind: ResourceType, name: &str, content: &'static str) -> Arc<Resource> {
    Resource::new(kind, name, vec![Bytes::from_static(content.as_bytes())])
}

/// A stream, the fleet it serves, and the answers of a client that is told what to say.
struct Talk {
    fleet: Arc<Fleet>,
    stream: Stream,
    nonces: [u64; 5],
}

impl Talk {
    fn new() -> Self {
        let fleet = Registry::default().fleet(&FleetKey::new("class", "namespace", "name"));
        Self { fleet, stream: Stream::new(Arc::default()), nonces: [0; 5] }
    }

    /// What was sent, one line a response: `cds: a@b c, -gone`; acknowledgements and the like as words.
    fn show(&mut self, actions: Vec<Action>) -> Vec<String> {
        let show = |action| match action {
            Action::Send { kind, nonce, resources, removed, .. } => {
                self.nonces[kind as usize] = nonce;
                let sent = resources.iter().map(|resource| resource.name().to_string());
                let names: Vec<_> = sent.chain(removed.iter().map(|name| format!("-{name}"))).collect();
                Some(format!("{}: {}", kind.label(), names.join(" ")))
            }
            Action::Refused(refusal) => {
                Some(format!("{} refused: {}", refusal.kind.label(), refusal.resources.join(" ")))
            }
            Action::Divided(kind) => Some(format!("{} divided", kind.label())),
            Action::Synced(_) => Some("synced".to_owned()),
            Action::Acked(_) => None,
        };
        actions.into_iter().filter_map(show).collect()
    }

    fn publish(&mut self, upserts: Vec<Arc<Resource>>, removals: &[(ResourceType, &str)]) -> Vec<String> {
        let removals = removals.iter().map(|(kind, name)| (*kind, Arc::from(*name))).collect();
        let now = Clock::manual().now();
        let stamps = Stamps { event: now, dequeued: now, translated: now };
        let published = self.fleet.publish(&Edit { upserts, removals }, stamps, now).expect("something changes");
        let actions = self.stream.published(published);
        self.show(actions)
    }

    fn request(&mut self, request: &Request) -> Vec<String> {
        let actions = self.stream.request(request);
        self.show(actions)
    }

    fn subscribe(&mut self, kind: ResourceType, names: &[&str]) -> Vec<String> {
        self.resume(kind, names, &[])
    }

    fn resume(&mut self, kind: ResourceType, names: &[&str], has: &[&Arc<Resource>]) -> Vec<String> {
        self.request(&Request {
            type_url: kind.type_url().to_owned(),
            subscribe: names.iter().map(ToString::to_string).collect(),
            initial_versions: has.iter().map(|r| (r.name().to_string(), r.version().to_string())).collect(),
            ..Request::default()
        })
    }

    fn answer(&mut self, kind: ResourceType, error: Option<&str>) -> Vec<String> {
        self.request(&Request {
            type_url: kind.type_url().to_owned(),
            nonce: self.nonces[kind as usize].to_string(),
            error: error.map(str::to_owned),
            ..Request::default()
        })
    }

    fn ack(&mut self, kind: ResourceType) -> Vec<String> {
        self.answer(kind, None)
    }

    /// A client with cluster and endpoints `c`, listener `l`, route table `r`, secret `s`, in step.
    fn in_step() -> Self {
        let mut talk = Self::new();
        talk.publish(
            ResourceType::ALL.into_iter().zip(["c", "c", "l", "r", "s"]).map(|(k, n)| resource(k, n, "1")).collect(),
            &[],
        );
        for (kind, names) in
            [(Cluster, vec![]), (Endpoints, vec!["c"]), (Listener, vec![]), (Route, vec!["r"]), (Secret, vec!["s"])]
        {
            talk.subscribe(kind, &names);
            talk.ack(kind);
        }
        ResourceType::ALL.into_iter().for_each(|kind| drop(talk.ack(kind)));
        talk
    }
}

#[test]
fn nothing_is_answered_before_the_first_publication() {
    let mut talk = Talk::new();
    assert!(talk.resume(Cluster, &[], &[&resource(Cluster, "c", "1")]).is_empty());
    assert_eq!(talk.publish(vec![resource(Cluster, "d", "1")], &[]), ["cds: d"]);
    // Known from the earlier stream, and nobody can need it any more once the client has answered.
    assert_eq!(talk.ack(Cluster), ["cds: -c"]);
    assert_eq!(talk.ack(Cluster), ["synced"]);
}

#[test]
fn routes_do_not_go_before_their_clusters_are_acknowledged_and_warm() {
    let mut talk = Talk::in_step();
    let new = vec![resource(Cluster, "d", "1"), resource(Endpoints, "d", "1"), resource(Route, "r", "2")];
    assert_eq!(talk.publish(new, &[]), ["cds: d"]);
    assert_eq!(talk.subscribe(Endpoints, &["d"]), ["eds: d"]);
    assert!(talk.ack(Cluster).is_empty(), "its endpoints are on their way");
    assert_eq!(talk.ack(Endpoints), ["rds: r"]);
    assert_eq!(talk.ack(Route), ["synced"]);
}

#[test]
fn a_client_without_endpoints_is_not_waited_for() {
    let mut talk = Talk::new();
    talk.publish(vec![resource(Listener, "l", "1")], &[]);
    talk.subscribe(Cluster, &[]);
    talk.ack(Cluster);
    talk.subscribe(Listener, &[]);
    talk.ack(Listener);
    let new = vec![resource(Cluster, "d", "1"), resource(Endpoints, "d", "1"), resource(Listener, "l", "2")];
    assert_eq!(talk.publish(new, &[]), ["cds: d"]);
    assert_eq!(talk.ack(Cluster), ["lds: l"]);
}

#[test]
fn clusters_do_not_go_before_the_routes_that_need_them() {
    let mut talk = Talk::in_step();
    let sent = talk.publish(vec![resource(Route, "r", "2")], &[(Cluster, "c"), (Endpoints, "c")]);
    assert_eq!(sent, ["rds: r"]);
    assert_eq!(talk.ack(Route), ["cds: -c"]);
    assert_eq!(talk.ack(Cluster), ["synced"]);
}

#[test]
fn clusters_do_not_go_with_the_listener_that_needs_them() {
    let mut talk = Talk::in_step();
    assert_eq!(talk.publish(Vec::new(), &[(Cluster, "c"), (Listener, "l")]), ["lds: -l"]);
    assert_eq!(talk.ack(Listener), ["cds: -c"]);
}

#[test]
fn clusters_do_not_go_before_the_routes_of_a_changed_listener_were_asked_for() {
    let mut talk = Talk::in_step();
    let new = vec![resource(Listener, "l", "2"), resource(Route, "q", "1")];
    assert_eq!(talk.publish(new, &[(Cluster, "c"), (Route, "r")]), ["lds: l", "sds: s", "rds: -r"]);
    talk.ack(Secret);
    talk.ack(Route);
    // These were sent after the listener, but a client that reads in order answers the listener first.
    assert_eq!(talk.ack(Listener), ["cds: "], "an empty response: its answer comes after the request for q");
    assert!(talk.subscribe(Route, &["q"]).is_empty(), "which is held by the clusters in flight");
    assert_eq!(talk.ack(Cluster), ["rds: q"]);
    assert_eq!(talk.ack(Route), ["cds: -c"]);
}

#[test]
fn clusters_do_not_go_right_after_a_reconnect() {
    let mut talk = Talk::new();
    let (old, listener) = (resource(Cluster, "old", "1"), resource(Listener, "l", "1"));
    talk.publish(vec![resource(Cluster, "c", "1"), resource(Listener, "l", "2")], &[]);
    assert_eq!(talk.resume(Cluster, &[], &[&old]), ["cds: c"]);
    assert!(talk.resume(Listener, &[], &[&listener]).is_empty());
    assert_eq!(talk.ack(Cluster), ["lds: l"]);
    assert_eq!(talk.ack(Listener), ["cds: "]);
    assert_eq!(talk.ack(Cluster), ["cds: -old"]);
}

#[test]
fn a_cluster_that_is_sent_again_gets_its_endpoints_again() {
    let mut talk = Talk::in_step();
    assert_eq!(talk.publish(vec![resource(Cluster, "c", "2")], &[]), ["cds: c", "eds: c"]);
    assert!(talk.ack(Endpoints).is_empty());
    assert_eq!(talk.ack(Cluster), ["synced"]);
}

#[test]
fn endpoints_from_before_their_cluster_do_not_make_it_warm() {
    let mut talk = Talk::in_step();
    assert_eq!(talk.publish(vec![resource(Endpoints, "c", "2")], &[]), ["eds: c"]);
    assert_eq!(talk.publish(vec![resource(Cluster, "c", "2"), resource(Route, "r", "2")], &[]), ["cds: c"]);
    assert!(talk.ack(Cluster).is_empty());
    assert_eq!(talk.ack(Endpoints), ["eds: c"], "of the endpoints from before");
    assert_eq!(talk.ack(Endpoints), ["rds: r"]);
}

#[test]
fn a_listener_that_is_sent_gets_its_routes_and_secrets_after_it() {
    let mut talk = Talk::in_step();
    assert_eq!(talk.publish(vec![resource(Listener, "l", "2")], &[]), ["lds: l", "sds: s", "rds: r"]);
}

#[test]
fn two_responses_of_a_type_are_never_in_flight_and_what_came_meanwhile_is_one() {
    let mut talk = Talk::in_step();
    assert_eq!(talk.publish(vec![resource(Cluster, "d", "1")], &[]), ["cds: d"]);
    assert!(talk.publish(vec![resource(Cluster, "e", "1")], &[]).is_empty());
    assert!(talk.publish(vec![resource(Cluster, "f", "1"), resource(Cluster, "e", "2")], &[]).is_empty());
    let old = Request { type_url: Cluster.type_url().to_owned(), nonce: "1".to_owned(), ..Request::default() };
    assert!(talk.request(&old).is_empty(), "the answer to an older response is none");
    assert_eq!(talk.ack(Cluster), ["cds: e f"]);
}

#[test]
fn coming_back_with_everything_costs_endpoints_and_secrets_and_gets_one_empty_response() {
    let mut talk = Talk::in_step();
    let snapshot = talk.fleet.current().expect("published").snapshot.clone();
    talk.stream = Stream::new(Arc::default());
    let actions = talk.stream.published(talk.fleet.current().expect("published"));
    assert!(talk.show(actions).is_empty());
    let has = |kind, name| snapshot.get(kind, name).expect("published");
    assert_eq!(talk.resume(Cluster, &[], &[has(Cluster, "c")]), ["cds: "]);
    assert_eq!(talk.resume(Endpoints, &["c"], &[has(Endpoints, "c")]), ["eds: c"]);
    assert!(talk.resume(Listener, &[], &[has(Listener, "l")]).is_empty());
    assert!(talk.resume(Route, &["r"], &[has(Route, "r")]).is_empty());
    assert_eq!(talk.resume(Secret, &["s"], &[has(Secret, "s")]), ["sds: s"]);
    assert_eq!(talk.ack(Cluster), ["lds: "]);
    talk.ack(Endpoints);
    talk.ack(Secret);
    assert_eq!(talk.ack(Listener), ["synced"]);
}

#[test]
fn endpoints_do_not_wait_for_a_cluster_request_and_listeners_do() {
    let mut talk = Talk::new();
    talk.publish(vec![resource(Cluster, "c", "1"), resource(Endpoints, "c", "1"), resource(Listener, "l", "1")], &[]);
    assert_eq!(talk.resume(Endpoints, &["c"], &[]), ["eds: c"]);
    assert!(talk.resume(Listener, &[], &[]).is_empty());
    assert!(talk.ack(Endpoints).is_empty());
    assert_eq!(talk.resume(Cluster, &[], &[]), ["cds: c", "eds: c"], "asked for by a client that is warm");
    talk.ack(Cluster);
    talk.ack(Endpoints);
    assert_eq!(talk.nonces[Listener as usize], 4, "the listener follows");
}

#[test]
fn a_name_that_does_not_exist_is_answered_and_one_that_is_asked_again_too() {
    let mut talk = Talk::in_step();
    assert_eq!(talk.subscribe(Secret, &["s", "none"]), ["sds: s -none"]);
    talk.ack(Secret);
    assert_eq!(talk.publish(vec![resource(Secret, "none", "1")], &[]), ["sds: none"]);
    assert_eq!(talk.subscribe(Cluster, &["c", "none"]), ["cds: c -none", "eds: c"]);
}

#[test]
fn what_is_not_subscribed_is_not_sent() {
    let mut talk = Talk::in_step();
    let gives_up =
        Request { type_url: Secret.type_url().to_owned(), unsubscribe: vec!["s".to_owned()], ..Request::default() };
    assert!(talk.request(&gives_up).is_empty());
    assert_eq!(talk.publish(vec![resource(Secret, "s", "2"), resource(Secret, "t", "1")], &[]), ["synced"]);
}

#[test]
fn a_refused_version_is_not_sent_again_until_it_changes() {
    let mut talk = Talk::in_step();
    assert_eq!(talk.publish(vec![resource(Route, "r", "bad")], &[]), ["rds: r"]);
    assert_eq!(talk.answer(Route, Some("bad")), ["rds refused: r"]);
    assert!(talk.stream.has_refusals());
    let sent = talk.publish(vec![resource(Listener, "l", "2")], &[(Cluster, "c")]);
    assert_eq!(
        sent,
        ["lds: l", "sds: s"],
        "neither the refused routes nor the end of a cluster that the old ones need"
    );
    talk.ack(Listener);
    talk.ack(Secret);
    assert_eq!(talk.publish(vec![resource(Route, "r", "good")], &[]), ["rds: r"]);
    assert_eq!(talk.ack(Route), ["cds: -c"]);
    assert!(!talk.stream.has_refusals());
}

#[test]
fn a_refused_resource_does_not_take_its_neighbours_along() {
    let mut talk = Talk::in_step();
    let new: Vec<_> = ["d", "e", "f"].into_iter().map(|name| resource(Cluster, name, "1")).collect();
    assert_eq!(talk.publish(new, &[]), ["cds: d e f"]);
    assert_eq!(talk.answer(Cluster, Some("cluster e: bad")), ["cds refused: e", "cds: d f"]);
    assert!(talk.ack(Cluster).is_empty());
}

#[test]
fn a_refusal_that_names_nobody_is_divided_until_the_culprit_stands_alone() {
    let mut talk = Talk::in_step();
    let new: Vec<_> = ["d", "e", "f", "g"].into_iter().map(|name| resource(Cluster, name, "1")).collect();
    assert_eq!(talk.publish(new, &[]), ["cds: d e f g"]);
    assert_eq!(talk.answer(Cluster, Some("?")), ["cds divided", "cds: d e"]);
    assert_eq!(talk.answer(Cluster, Some("?")), ["cds divided", "cds: d"]);
    assert_eq!(talk.ack(Cluster), ["cds: e"]);
    assert_eq!(talk.answer(Cluster, Some("?")), ["cds refused: e", "cds: f g"]);
    assert!(talk.ack(Cluster).is_empty());
}

#[test]
fn a_removal_in_a_refused_response_is_repeated() {
    let mut talk = Talk::in_step();
    assert_eq!(
        talk.publish(vec![resource(Listener, "m", "bad")], &[(Listener, "l")]),
        ["lds: m -l", "sds: s", "rds: r"]
    );
    assert_eq!(talk.answer(Listener, Some("m: bad")), ["lds refused: m", "lds: -l"]);
    assert!(talk.answer(Listener, Some("even that")).iter().all(|line| !line.starts_with("lds:")), "but not for ever");
}

#[test]
fn refused_endpoints_hold_no_routes_up() {
    let mut talk = Talk::in_step();
    assert_eq!(talk.publish(vec![resource(Endpoints, "c", "bad")], &[]), ["eds: c"]);
    assert_eq!(talk.answer(Endpoints, Some("bad")), ["eds refused: c"]);
    assert_eq!(talk.publish(vec![resource(Cluster, "c", "2"), resource(Route, "r", "2")], &[]), ["cds: c"]);
    assert_eq!(talk.ack(Cluster), ["rds: r"]);
}

#[test]
fn a_name_is_not_found_in_a_longer_one() {
    assert!(mentions("Error adding cluster(s) service/a/b/80: bad", "service/a/b/80"));
    assert!(mentions("bad service/a/b/80.", "service/a/b/80"));
    for longer in ["service/a/b/8080", "service/a/b/80/x", "service/a/b/80-x", "x.service/a/b/80", "service/a/b/80.x"] {
        assert!(!mentions(&format!("{longer}: bad"), "service/a/b/80"), "{longer}");
    }
}

//! How far a change reaches. What is done follows the references of what changed; nothing is searched.

use super::orphans::Orphans;
use super::references::References;
use super::shelves::Shelves;
use super::{Affected, Object, Unit};
use crate::api::gateway_api::ReferenceGrant;
use crate::model::{Kind, NamespacedName, ObjectKey};

const ROUTES: [Kind; 2] = [Kind::HTTPRoute, Kind::GRPCRoute];

/// The indexes as they are at one moment, and what has been reached so far. Gateways are named by reference, whether
/// they exist or not: one that was deleted and comes back before its turn must not miss what happened meanwhile.
pub(super) struct Wave<'a> {
    pub(super) shelves: &'a Shelves,
    pub(super) references: &'a References,
    pub(super) orphans: &'a Orphans,
    pub(super) affected: &'a mut Affected,
}

impl Wave<'_> {
    /// What an object reaches by the references that it has now. Called before and after a change of these.
    pub(super) fn by_own_references(&mut self, key: &ObjectKey) {
        match key.kind {
            Kind::HTTPRoute | Kind::GRPCRoute => self.route(key),
            Kind::EndpointSlice => {
                for service in self.references.targets(key, Kind::Service) {
                    self.service(&service.named(), Unit::Endpoints);
                }
            }
            Kind::SecurityPolicy => self.security_policy(key),
            Kind::EnvoyPatchPolicy => {
                for gateway in self.references.targets(key, Kind::Gateway) {
                    self.unit(&gateway.named(), Unit::Patches);
                }
            }
            _ => {}
        }
    }

    /// What an object reaches by the references of others to it, and by itself.
    pub(super) fn by_others(&mut self, key: &ObjectKey, before: Option<&Object>, after: Option<&Object>) {
        match key.kind {
            Kind::GatewayClass => self.class(key),
            Kind::Gateway => self.gateway(key, before, after),
            Kind::ReferenceGrant => {
                for object in before.into_iter().chain(after) {
                    if let Object::ReferenceGrant(grant) = object {
                        self.grant(grant);
                    }
                }
            }
            Kind::Service => self.backend(key),
            Kind::Secret => {
                for gateway in self.references.referrers(key, Kind::Gateway) {
                    // The listener's conditions say whether the certificate can be used; when they stay, so does the rest.
                    self.unit(&gateway.named(), Unit::Secret(key.named()));
                    self.unit(&gateway.named(), Unit::Gateway);
                }
            }
            Kind::ConfigMap => {
                for policy in self.references.referrers(key, Kind::SecurityPolicy) {
                    self.security_policy(policy);
                }
            }
            Kind::Namespace => self.namespace(&key.name),
            Kind::EnvoyProxy => self.proxy(key),
            Kind::SecurityPolicy | Kind::EnvoyPatchPolicy => {
                self.affected.policies.insert(key.clone());
            }
            Kind::HTTPRoute | Kind::GRPCRoute | Kind::EndpointSlice => {}
        }
    }

    /// Policies that hear of it when an object begins or ceases to be there.
    pub(super) fn presence(&mut self, key: &ObjectKey) {
        self.affected.policies.extend(self.references.policies_on(key).cloned());
        self.affected.policies.extend(self.orphans.told_of(key));
    }

    fn unit(&mut self, gateway: &NamespacedName, unit: Unit) {
        if let Some(units) = self.affected.gateways.get_mut(gateway) {
            units.insert(unit);
        } else {
            self.affected.gateways.insert(gateway.clone(), [unit].into());
        }
    }

    fn route(&mut self, route: &ObjectKey) {
        for gateway in self.references.targets(route, Kind::Gateway) {
            self.unit(&gateway.named(), Unit::Route(route.clone()));
        }
    }

    /// A Gateway. While it chose no namespaces by label, its routes were spared the changes of labels: they catch up, even
    /// if for those who look now and then only nothing about the Gateway changed.
    fn gateway(&mut self, gateway: &ObjectKey, before: Option<&Object>, after: Option<&Object>) {
        self.unit(&gateway.named(), Unit::Gateway);
        if after.is_some_and(selects) && !before.is_some_and(selects) {
            self.routes_of(gateway);
        }
    }

    fn routes_of(&mut self, gateway: &ObjectKey) {
        for route in ROUTES.into_iter().flat_map(|kind| self.references.referrers(gateway, kind)) {
            self.unit(&gateway.named(), Unit::Route(route.clone()));
        }
    }

    /// A class's status, its Gateways, and the policies for which some controller has to speak.
    fn class(&mut self, class: &ObjectKey) {
        self.affected.classes.insert(class.name.clone());
        for gateway in self.references.referrers(class, Kind::Gateway) {
            self.unit(&gateway.named(), Unit::Gateway);
        }
        self.affected.policies.extend(self.orphans.all().cloned());
    }

    fn proxy(&mut self, proxy: &ObjectKey) {
        for class in self.references.referrers(proxy, Kind::GatewayClass) {
            self.affected.classes.insert(class.name.clone());
            for gateway in self.references.referrers(class, Kind::Gateway) {
                self.unit(&gateway.named(), Unit::Gateway);
            }
        }
        for gateway in self.references.referrers(proxy, Kind::Gateway) {
            self.unit(&gateway.named(), Unit::Gateway);
        }
    }

    /// A unit of a Service at every Gateway where it is used.
    fn service(&mut self, service: &NamespacedName, unit: fn(NamespacedName) -> Unit) {
        for gateway in self.references.used_at(service) {
            self.unit(gateway, unit(service.clone()));
        }
    }

    /// A Service: its clusters, and those whose references to it may hold now or no longer.
    fn backend(&mut self, service: &ObjectKey) {
        self.service(&service.named(), Unit::Service);
        for route in ROUTES.into_iter().flat_map(|kind| self.references.referrers(service, kind)) {
            self.route(route);
        }
        for policy in self.references.referrers(service, Kind::SecurityPolicy) {
            self.security_policy(policy);
        }
    }

    /// Routes under a policy; when it is on a Gateway, that one (its report says what became of the policy) and all of
    /// its routes.
    fn security_policy(&mut self, policy: &ObjectKey) {
        for route in ROUTES.into_iter().flat_map(|kind| self.references.targets(policy, kind)) {
            self.route(route);
        }
        for gateway in self.references.targets(policy, Kind::Gateway) {
            self.unit(&gateway.named(), Unit::Gateway);
            self.routes_of(gateway);
        }
    }

    /// Routes of a namespace, at Gateways that choose namespaces by label.
    fn namespace(&mut self, namespace: &str) {
        let routes = ROUTES.into_iter().flat_map(|kind| self.shelves.in_namespace(kind, namespace));
        for route in routes {
            for gateway in self.references.targets(&route.key, Kind::Gateway) {
                if self.shelves.entry(gateway).is_some_and(|entry| selects(&entry.object)) {
                    self.unit(&gateway.named(), Unit::Route(route.key.clone()));
                }
            }
        }
    }

    /// Those that a grant is about: objects of its `from` that refer to something of its `to`.
    fn grant(&mut self, grant: &ReferenceGrant) {
        let namespace = &*grant.metadata.namespace;
        for from in &grant.spec.from {
            let kinds = Kind::ALL.into_iter().filter(|k| k.as_str() == from.kind && k.group() == from.group);
            for referrer in kinds.flat_map(|kind| self.references.across(kind, &from.namespace, namespace)) {
                if self.is_about(grant, referrer) {
                    self.referrer(referrer);
                }
            }
        }
    }

    fn is_about(&self, grant: &ReferenceGrant, referrer: &ObjectKey) -> bool {
        let kinds = [Kind::Secret, Kind::Service].into_iter();
        let mut targets = kinds.flat_map(|kind| self.references.targets(referrer, kind));
        targets.any(|target| {
            target.namespace == grant.metadata.namespace
                && grant.spec.to.iter().any(|to| {
                    to.kind == target.kind.as_str()
                        && to.group == target.kind.group()
                        && to.name.as_ref().is_none_or(|name| name.is_empty() || *name == target.name)
                })
        })
    }

    fn referrer(&mut self, referrer: &ObjectKey) {
        match referrer.kind {
            Kind::Gateway => self.unit(&referrer.named(), Unit::Gateway),
            Kind::SecurityPolicy => self.security_policy(referrer),
            _ => self.route(referrer),
        }
    }
}

/// Whether a Gateway has a listener that chooses namespaces by their labels.
fn selects(object: &Object) -> bool {
    let Object::Gateway(gateway) = object else { return false };
    let allowed = gateway.spec.listeners.iter().filter_map(|listener| listener.allowed_routes.as_ref());
    let mut namespaces = allowed.filter_map(|allowed| allowed.namespaces.as_ref());
    namespaces.any(|namespaces| namespaces.from.as_deref() == Some("Selector"))
}

#[cfg(test)]
mod tests {
    use crate::model::{Kind, ObjectKey};
    use crate::store::samples::*;
    use crate::store::{Change, Object, Store};
    use serde_json::json;

    /// Two classes, a Gateway of each, a third with certificates; routes, Services and policies of all sorts.
    fn world() -> Vec<Object> {
        let parameters = json!({"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "own"});
        let with_proxy =
            json!({"gatewayClassName": "inner", "listeners": [], "infrastructure": {"parametersRef": parameters}});
        let mirror = json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copy", "port": 80}}});
        let mirrored = json!({"name": "web", "port": 80, "filters": [mirror]});
        vec![
            class("outer", "example.com/outer"),
            class("inner", "example.com/inner"),
            object(Kind::EnvoyProxy, "system", "outer", json!({"spec": {}})),
            object(Kind::EnvoyProxy, "a", "own", json!({"spec": {}})),
            gateway("a", "front", "outer"),
            tls_gateway("a", "tls", "outer", &["a/cert", "b/cert"]),
            object(Kind::Gateway, "a", "back", json!({"spec": with_proxy})),
            choosy_gateway("b", "choosy", "inner"),
            route(Kind::HTTPRoute, "a", "web", &["a/front"], &["a/web"]),
            route(Kind::HTTPRoute, "a", "far", &["a/front", "b/choosy"], &["b/web"]),
            route(Kind::GRPCRoute, "a", "grpc", &["a/back"], &["a/web"]),
            object(
                Kind::HTTPRoute,
                "a",
                "copied",
                json!({"spec": {"parentRefs": [{"name": "back"}], "rules": [{"backendRefs": [mirrored]}]}}),
            ),
            service("a", "web", 80),
            service("b", "web", 80),
            service("a", "copy", 80),
            service("a", "unused", 80),
            slice("a", "web-1", "web", "10.0.0.1"),
            slice("a", "unused-1", "unused", "10.0.0.2"),
            security_policy("a", "on-web", &[("HTTPRoute", "web")], Some("a/auth"), Some("keys")),
            security_policy("a", "on-back", &[("Gateway", "back")], Some("b/auth"), None),
            patch_policy("a", "patch", ("Gateway", "front")),
            grant("b", "routes", (Kind::HTTPRoute, "a"), (Kind::Service, Some("web"))),
        ]
    }

    fn store(objects: Vec<Object>) -> Store {
        let mut store = Store::default();
        store.apply(objects.into_iter().map(put).collect());
        store
    }

    fn check(change: Change, expected: &[&str]) {
        let what = format!("{} {}", change.key, if change.object.is_some() { "put" } else { "gone" });
        let (mut found, mut expected) = (lines(&store(world()).apply(vec![change])), expected.to_vec());
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{what}");
    }

    fn key(kind: Kind, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey::new(kind, namespace, name)
    }

    #[test]
    fn a_class_reaches_its_gateways() {
        check(put(class("outer", "example.com/other")), &["a/front: gateway", "a/tls: gateway", "class outer"]);
        let deleted = ["a/front: gateway", "a/tls: gateway", "class outer", "deleted GatewayClass outer"];
        check(gone(key(Kind::GatewayClass, "", "outer")), &deleted);
        check(put(class("new", "example.com/new")), &["class new"]);
    }

    #[test]
    fn an_envoy_proxy_reaches_classes_and_gateways() {
        let changed =
            |namespace, name| put(object(Kind::EnvoyProxy, namespace, name, json!({"spec": {"concurrency": 2}})));
        check(changed("system", "outer"), &["a/front: gateway", "a/tls: gateway", "class outer"]);
        check(changed("system", "inner"), &["a/back: gateway", "b/choosy: gateway", "class inner"]);
        check(changed("a", "own"), &["a/back: gateway"]);
        check(changed("b", "own"), &[]);
    }

    #[test]
    fn a_gateway_reaches_itself_and_policies_hear_when_it_comes_or_goes() {
        check(put(gateway("a", "front", "inner")), &["a/front: gateway"]);
        let deleted = ["a/back: gateway", "policy SecurityPolicy a/on-back", "deleted Gateway a/back"];
        check(gone(key(Kind::Gateway, "a", "back")), &deleted);
        let deleted = ["a/front: gateway", "policy EnvoyPatchPolicy a/patch", "deleted Gateway a/front"];
        check(gone(key(Kind::Gateway, "a", "front")), &deleted);
    }

    #[test]
    fn a_route_reaches_the_gateways_of_its_old_and_new_parents() {
        let far = "HTTPRoute a/far";
        let moved = put(route(Kind::HTTPRoute, "a", "far", &["a/back", "b/choosy"], &["b/web"]));
        check(moved, &[&format!("a/back: {far}"), &format!("a/front: {far}"), &format!("b/choosy: {far}")]);
        check(
            gone(key(Kind::HTTPRoute, "a", "web")),
            &["a/front: HTTPRoute a/web", "policy SecurityPolicy a/on-web", "deleted HTTPRoute a/web"],
        );
        let to_nobody = put(route(Kind::GRPCRoute, "a", "new", &["c/missing"], &[]));
        check(to_nobody, &["c/missing: GRPCRoute a/new"]);
        let service = json!({"group": "", "kind": "Service", "name": "web"});
        check(put(object(Kind::HTTPRoute, "a", "mesh", json!({"spec": {"parentRefs": [service]}}))), &[]);
    }

    #[test]
    fn a_service_reaches_routes_that_refer_to_it() {
        let back = ["a/back: GRPCRoute a/grpc", "a/back: HTTPRoute a/copied", "a/back: service a/web"];
        let all = [&back[..], &["a/front: HTTPRoute a/web", "a/front: service a/web"]].concat();
        check(put(service("a", "web", 81)), &all);
        check(gone(key(Kind::Service, "a", "web")), &[&all[..], &["deleted Service a/web"]].concat());
        check(put(service("a", "copy", 81)), &["a/back: HTTPRoute a/copied", "a/back: service a/copy"]);
        check(put(service("a", "unused", 81)), &[]);
    }

    #[test]
    fn a_service_reaches_routes_whose_policy_refers_to_it() {
        check(put(service("a", "auth", 80)), &["a/front: HTTPRoute a/web", "a/front: service a/auth"]);
        let all =
            ["a/back: gateway", "a/back: HTTPRoute a/copied", "a/back: GRPCRoute a/grpc", "a/back: service b/auth"];
        check(put(service("b", "auth", 80)), &all);
    }

    #[test]
    fn endpoints_reach_gateways_where_the_service_is_used_and_nothing_else() {
        let both = ["a/back: endpoints a/web", "a/front: endpoints a/web"];
        check(put(slice("a", "web-1", "web", "10.0.0.9")), &both);
        check(put(slice("a", "web-2", "web", "10.0.0.9")), &both);
        check(put(slice("a", "unused-1", "web", "10.0.0.2")), &both);
        let moved = put(slice("a", "web-1", "copy", "10.0.0.1"));
        check(moved, &["a/back: endpoints a/copy", "a/back: endpoints a/web", "a/front: endpoints a/web"]);
        check(put(slice("a", "unused-1", "unused", "10.0.0.9")), &[]);
        check(put(slice("a", "auth-1", "auth", "10.0.0.9")), &["a/front: endpoints a/auth"]);
        check(put(slice("b", "auth-1", "auth", "10.0.0.9")), &["a/back: endpoints b/auth"]);
    }

    #[test]
    fn a_secret_reaches_gateways_that_refer_to_it() {
        let secret = |namespace| put(object(Kind::Secret, namespace, "cert", json!({"data": {"tls.crt": "eA=="}})));
        check(secret("a"), &["a/tls: gateway", "a/tls: secret a/cert"]);
        check(secret("b"), &["a/tls: gateway", "a/tls: secret b/cert"]);
        check(secret("c"), &[]);
    }

    #[test]
    fn a_config_map_reaches_routes_of_policies_that_use_it() {
        let keys = |namespace| put(object(Kind::ConfigMap, namespace, "keys", json!({"data": {"jwks": "{}"}})));
        check(keys("a"), &["a/front: HTTPRoute a/web"]);
        check(keys("b"), &[]);
    }

    #[test]
    fn labels_of_a_namespace_reach_its_routes_where_they_are_asked_for() {
        let labelled = |name| put(object(Kind::Namespace, "", name, json!({"metadata": {"labels": {"team": "blue"}}})));
        check(labelled("a"), &["b/choosy: HTTPRoute a/far"]);
        check(labelled("b"), &[]);
        let mut store = store(world());
        store.apply(vec![labelled("a")]);
        let annotated = json!({"metadata": {"labels": {"team": "blue"}, "annotations": {"x": "y"}}});
        assert!(lines(&store.apply(vec![put(object(Kind::Namespace, "", "a", annotated))])).is_empty());
    }

    #[test]
    fn a_gateway_that_begins_to_ask_for_labels_makes_its_routes_again() {
        let expected = ["a/front: gateway", "a/front: HTTPRoute a/far", "a/front: HTTPRoute a/web"];
        check(put(choosy_gateway("a", "front", "outer")), &expected);
        check(put(choosy_gateway("b", "choosy", "outer")), &["b/choosy: gateway"]);
    }

    #[test]
    fn a_grant_reaches_those_it_is_about() {
        let far = ["a/front: HTTPRoute a/far", "b/choosy: HTTPRoute a/far"];
        check(put(grant("b", "more", (Kind::HTTPRoute, "a"), (Kind::Service, None))), &far);
        check(put(grant("b", "more", (Kind::HTTPRoute, "a"), (Kind::Service, Some("other")))), &[]);
        check(put(grant("b", "more", (Kind::HTTPRoute, "c"), (Kind::Service, None))), &[]);
        check(put(grant("b", "more", (Kind::GRPCRoute, "a"), (Kind::Service, None))), &[]);
        check(put(grant("b", "more", (Kind::Gateway, "a"), (Kind::Secret, None))), &["a/tls: gateway"]);
        let policy = ["a/back: gateway", "a/back: HTTPRoute a/copied", "a/back: GRPCRoute a/grpc"];
        check(put(grant("b", "more", (Kind::SecurityPolicy, "a"), (Kind::Service, None))), &policy);
        let emptied = put(object(Kind::ReferenceGrant, "b", "routes", json!({"spec": {"from": [], "to": []}})));
        check(emptied, &far);
        check(gone(key(Kind::ReferenceGrant, "b", "routes")), &[far[0], far[1], "deleted ReferenceGrant b/routes"]);
    }

    #[test]
    fn a_security_policy_reaches_its_old_and_new_targets() {
        let moved = security_policy("a", "on-web", &[("HTTPRoute", "far")], None, None);
        let routes = ["a/front: HTTPRoute a/far", "a/front: HTTPRoute a/web", "b/choosy: HTTPRoute a/far"];
        check(put(moved), &[&routes[..], &["policy SecurityPolicy a/on-web"]].concat());
        let back = ["a/back: gateway", "a/back: HTTPRoute a/copied", "a/back: GRPCRoute a/grpc"];
        let deleted = gone(key(Kind::SecurityPolicy, "a", "on-back"));
        check(deleted, &[&back[..], &["deleted SecurityPolicy a/on-back"]].concat());
        let new = security_policy("b", "new", &[("HTTPRoute", "web")], None, None);
        check(put(new), &["policy SecurityPolicy b/new"]);
    }

    #[test]
    fn a_patch_policy_reaches_its_old_and_new_gateway() {
        let moved = put(patch_policy("a", "patch", ("Gateway", "back")));
        check(moved, &["a/back: patches", "a/front: patches", "policy EnvoyPatchPolicy a/patch"]);
        let deleted = gone(key(Kind::EnvoyPatchPolicy, "a", "patch"));
        check(deleted, &["a/front: patches", "deleted EnvoyPatchPolicy a/patch"]);
        check(put(patch_policy("a", "new", ("GatewayClass", "outer"))), &["policy EnvoyPatchPolicy a/new"]);
    }

    #[test]
    fn a_policy_with_a_missing_target_hears_of_what_changes_its_hint() {
        let mut store = store(world());
        store.apply(vec![put(security_policy("c", "lost", &[("HTTPRoute", "checkout")], None, None))]);
        let mut add = |namespace, name| {
            let affected = store.apply(vec![put(route(Kind::HTTPRoute, namespace, name, &[], &[]))]);
            let policies = affected.policies.iter().map(ToString::to_string).collect::<Vec<_>>();
            policies.join(", ")
        };
        assert_eq!(add("d", "checkout"), "SecurityPolicy c/lost", "the name exists elsewhere");
        assert_eq!(add("c", "check-out"), "SecurityPolicy c/lost", "nearly the name exists here");
        assert_eq!(add("c", "other"), "");
        assert_eq!(add("c", "checkout"), "SecurityPolicy c/lost", "the target exists");
        assert_eq!(add("e", "checkout"), "", "the target is there: no hint is needed");
        let affected = store.apply(vec![gone(key(Kind::HTTPRoute, "c", "checkout"))]);
        assert_eq!(lines(&affected), ["policy SecurityPolicy c/lost", "deleted HTTPRoute c/checkout"]);
        let class = store.apply(vec![put(class("outer", "example.com/other"))]);
        assert!(class.policies.contains(&key(Kind::SecurityPolicy, "c", "lost")), "another controller may speak");
    }

    #[test]
    fn what_came_before_what_it_refers_to_is_found_when_that_comes() {
        let mut store = Store::default();
        let parent = ["a/front"];
        store.apply(vec![
            put(route(Kind::HTTPRoute, "a", "web", &parent, &["b/web"])),
            put(gateway("a", "front", "outer")),
        ]);
        let affected = store.apply(vec![put(class("outer", "example.com/outer"))]);
        assert_eq!(lines(&affected), ["a/front: gateway", "class outer"]);
        let affected = store.apply(vec![put(service("b", "web", 80))]);
        assert_eq!(lines(&affected), ["a/front: HTTPRoute a/web", "a/front: service b/web"]);
        let affected = store.apply(vec![put(slice("b", "web-1", "web", "10.0.0.1"))]);
        assert_eq!(lines(&affected), ["a/front: endpoints b/web"]);
    }
}

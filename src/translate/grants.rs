//! ReferenceGrants: who may refer to objects of another namespace.

use crate::store::View;

/// One end of a reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    /// The API group.
    pub(super) group: &'a str,
    /// The kind.
    pub(super) kind: &'a str,
    /// The namespace.
    pub(super) namespace: &'a str,
}

/// Whether a reference is allowed: within a namespace always, across namespaces by a grant in the target's.
pub(super) fn allowed(view: &dyn View, from: End<'_>, to: End<'_>, name: &str) -> bool {
    from.namespace == to.namespace
        || view.grants(to.namespace).iter().any(|grant| {
            let from_fits = |f: &crate::api::gateway_api::ReferenceGrantFrom| {
                f.group == from.group && f.kind == from.kind && f.namespace == from.namespace
            };
            let to_fits = |t: &crate::api::gateway_api::ReferenceGrantTo| {
                t.group == to.group && t.kind == to.kind && t.name.as_deref().is_none_or(|n| n.is_empty() || n == name)
            };
            grant.spec.from.iter().any(from_fits) && grant.spec.to.iter().any(to_fits)
        })
}

/// What is wrong, and the grant that mends it.
pub(super) fn missing(from: End<'_>, to: End<'_>, name: &str) -> (String, String) {
    let message = format!(
        "{} {}/{name} is in another namespace and no ReferenceGrant in {} allows {}s of {} to refer to it",
        to.kind, to.namespace, to.namespace, from.kind, from.namespace
    );
    let fix = format!(
        "apply {{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {{name: {}-{}, namespace: {}}}, \
         spec: {{from: [{{group: {:?}, kind: {}, namespace: {}}}], to: [{{group: {:?}, kind: {}, name: {name}}}]}}}}",
        from.namespace, name, to.namespace, from.group, from.kind, from.namespace, to.group, to.kind
    );
    (message, fix)
}

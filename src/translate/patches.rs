//! EnvoyPatchPolicies of a Gateway.

use super::policies;
use crate::api::v1alpha1::EnvoyPatchPolicy;
use crate::model::{
    Condition, JsonPatchOperation, Kind, NamespacedName, ObjectKey, PatchSet, PolicyReport, ResourcePatch,
};
use crate::store::View;

/// The policies in the order in which they are applied (priority, age, name), and reports of those that are refused
/// before that.
pub fn patches(view: &dyn View, gateway: &NamespacedName, controller_name: &str) -> (Vec<PatchSet>, Vec<PolicyReport>) {
    let target = ObjectKey::new(Kind::Gateway, &*gateway.namespace, &*gateway.name);
    let mut policies = view.patch_policies_of(&target);
    policies.sort_by_key(|policy| policy.spec.priority);
    let (mut sets, mut refused) = (Vec::new(), Vec::new());
    for policy in
        policies.into_iter().filter(|policy| policies::names(&policy.spec.target_ref, &policy.metadata.namespace))
    {
        let key = ObjectKey::new(Kind::EnvoyPatchPolicy, &*policy.metadata.namespace, &*policy.metadata.name);
        match check(policy) {
            Ok(()) => {
                sets.push(PatchSet { policy: key, patches: policy.spec.json_patches.iter().map(patch).collect() })
            }
            Err(problem) => refused.push(PolicyReport {
                policy: key,
                ancestor: target.clone(),
                section: None,
                controller_name: controller_name.to_owned(),
                conditions: vec![Condition::no("Accepted", "Invalid", problem)],
            }),
        }
    }
    (sets, refused)
}

fn check(policy: &EnvoyPatchPolicy) -> Result<(), String> {
    let spec = &policy.spec;
    if spec.kind != "JSONPatch" {
        return Err(format!("spec.type {:?} is not JSONPatch", spec.kind));
    }
    if spec.target_ref.section_name.is_some() {
        return Err("spec.targetRef.sectionName is not built: patches are for whole Gateways".to_owned());
    }
    for (index, patch) in spec.json_patches.iter().enumerate() {
        let known = ["add", "remove", "replace", "move", "copy", "test"];
        if !known.contains(&patch.operation.op.as_str()) {
            return Err(format!(
                "spec.jsonPatches[{index}].operation.op {:?} is none of {}",
                patch.operation.op,
                known.join(", ")
            ));
        }
    }
    Ok(())
}

fn patch(config: &crate::api::v1alpha1::JsonPatchConfig) -> ResourcePatch {
    let operation = &config.operation;
    ResourcePatch {
        type_url: config.kind.clone(),
        name: config.name.clone(),
        operation: JsonPatchOperation {
            op: operation.op.clone(),
            path: operation.path.clone(),
            json_path: operation.json_path.clone(),
            from: operation.from.clone(),
            value: operation.value.clone(),
        },
    }
}

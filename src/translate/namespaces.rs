//! `allowedRoutes.namespaces`.

use crate::api::LabelSelector;
use crate::api::gateway_api::AllowedRoutes;
use crate::model::AllowedNamespaces;
use crate::store::View;

/// Reads the rule; an unknown `from` or operator is an error.
pub(super) fn read(allowed: Option<&AllowedRoutes>) -> Result<AllowedNamespaces, String> {
    let Some(namespaces) = allowed.and_then(|allowed| allowed.namespaces.as_ref()) else {
        return Ok(AllowedNamespaces::Same);
    };
    match namespaces.from.as_deref().unwrap_or("Same") {
        "All" => Ok(AllowedNamespaces::All),
        "Same" => Ok(AllowedNamespaces::Same),
        "None" => Ok(AllowedNamespaces::None),
        "Selector" => match &namespaces.selector {
            Some(selector) => self::selector(selector),
            None => Err("allowedRoutes.namespaces.selector is required with from: Selector".to_owned()),
        },
        other => Err(format!("allowedRoutes.namespaces.from {other:?} is none of All, Same, Selector, None")),
    }
}

fn selector(selector: &LabelSelector) -> Result<AllowedNamespaces, String> {
    let mut requirements: Vec<_> =
        selector.match_labels.iter().map(|(key, value)| (key.clone(), "In".to_owned(), vec![value.clone()])).collect();
    for expression in &selector.match_expressions {
        if !["In", "NotIn", "Exists", "DoesNotExist"].contains(&expression.operator.as_str()) {
            return Err(format!("operator {:?} is none of In, NotIn, Exists, DoesNotExist", expression.operator));
        }
        requirements.push((expression.key.clone(), expression.operator.clone(), expression.values.clone()));
    }
    Ok(AllowedNamespaces::Selector(requirements))
}

/// Whether routes of a namespace may attach.
pub(super) fn allows(view: &dyn View, allowed: &AllowedNamespaces, gateway: &str, route: &str) -> bool {
    match allowed {
        AllowedNamespaces::All => true,
        AllowedNamespaces::Same => gateway == route,
        AllowedNamespaces::None => false,
        AllowedNamespaces::Selector(requirements) => {
            let labels = view.namespace_labels(route);
            requirements.iter().all(|(key, operator, values)| {
                let label = labels.get(key);
                match operator.as_str() {
                    "In" => label.is_some_and(|label| values.contains(label)),
                    "NotIn" => label.is_none_or(|label| !values.contains(label)),
                    "Exists" => label.is_some(),
                    _ => label.is_none(),
                }
            })
        }
    }
}

/// The rule in words, and the change that would let routes of a namespace in.
pub(super) fn describe(allowed: &AllowedNamespaces, namespace: &str) -> (String, String) {
    let open = "set allowedRoutes.namespaces.from to All, or to Selector with a label of the namespace".to_owned();
    match allowed {
        AllowedNamespaces::All => ("from: All".to_owned(), String::new()),
        AllowedNamespaces::Same => ("from: Same, its own namespace only".to_owned(), open),
        AllowedNamespaces::None => ("from: None".to_owned(), open),
        AllowedNamespaces::Selector(requirements) => {
            let one = |(key, operator, values): &(String, String, Vec<String>)| match operator.as_str() {
                "In" => format!("{key}={}", values.join("|")),
                "NotIn" => format!("{key}!={}", values.join("|")),
                "Exists" => key.clone(),
                _ => format!("!{key}"),
            };
            let all: Vec<String> = requirements.iter().map(one).collect();
            let all = all.join(",");
            (format!("from: Selector {all}"), format!("give namespace {namespace} labels that match {all}"))
        }
    }
}

//! Finding one's way in `kind: List` documents.

use serde_json::Value;

/// One object of a `kind: List`.
pub(crate) fn object<'a>(list: &'a Value, kind: &str, namespace: &str, name: &str) -> Option<&'a Value> {
    list["items"].as_array()?.iter().find(|item| {
        let metadata = &item["metadata"];
        // Cluster-scoped objects have no namespace.
        let there = metadata["namespace"].as_str().unwrap_or_default();
        item["kind"] == kind && there == namespace && metadata["name"] == name
    })
}

/// All lists of conditions of an object's status: its own, and those of parents, ancestors and listeners.
pub(crate) fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    let status = &object["status"];
    let inner = ["parents", "ancestors", "listeners"].into_iter().filter_map(|list| status[list].as_array()).flatten();
    let lists = std::iter::once(status).chain(inner).filter_map(|holder| holder["conditions"].as_array());
    lists.flatten()
}

/// A condition of a holder of conditions (a status, a parent, a listener) as `Type=Status/Reason`, and its message.
pub(crate) fn condition(holder: &Value, kind: &str) -> Option<(String, String)> {
    let all = holder["conditions"].as_array()?;
    all.iter().find(|condition| condition["type"] == kind).map(shown)
}

/// `Type=Status/Reason` and the message.
pub(crate) fn shown(condition: &Value) -> (String, String) {
    let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    (format!("{}={}/{}", text("type"), text("status"), text("reason")), text("message"))
}

//! Which controller names are ours.

use super::names::{derived, is_controller_name, is_label};
use super::settings::ClassSettings;
use std::collections::BTreeMap;

/// Why a `classes:` map cannot be used: every problem, each as a sentence that names the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct ClassesError {
    /// The problems, in the order of the classes.
    pub problems: Vec<String>,
}

/// The classes of this installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Every controllerName counts as ours.
    Any,
    /// controllerName by class.
    Named(BTreeMap<String, String>),
}

impl Classes {
    /// The classes of a `classes:` map; refused with all that is wrong with it.
    pub fn new(settings: &BTreeMap<String, ClassSettings>) -> Result<Self, ClassesError> {
        let mut problems = Vec::new();
        let mut classes = BTreeMap::new();
        let mut by_controller: BTreeMap<String, &str> = BTreeMap::new();
        if settings.is_empty() {
            problems.push("classes: there is no entry, so no GatewayClass would be served; add one".to_owned());
        }
        for (class, settings) in settings {
            let controller = settings.controller_name(class);
            if !is_label(class) {
                problems.push(format!(
                    "classes.{class}: a class is named with lower-case letters, digits and `-`, at most 63, \
                     because its name stands in certificates and metrics; rename it"
                ));
            } else if !is_controller_name(&controller) {
                problems.push(format!(
                    "classes.{class}.controllerName: {controller:?} is no controller name; \
                     write a domain and a path, such as argosy.dev/{class}"
                ));
            } else if let Some(other) = by_controller.get(&controller) {
                problems.push(format!(
                    "classes.{other} and classes.{class} have the same controllerName {controller}; \
                     give each its own, since it alone says whose a GatewayClass is"
                ));
            } else {
                by_controller.insert(controller.clone(), class);
                classes.insert(class.clone(), controller);
            }
        }
        if problems.is_empty() { Ok(Self(Kind::Named(classes))) } else { Err(ClassesError { problems }) }
    }

    /// Every controllerName is ours: for commands that are given manifests and no settings. The class name is made of
    /// the controllerName alone, so it is the same whatever else is read.
    pub fn any() -> Self {
        Self(Kind::Any)
    }

    /// The class of a controllerName; `None` when it is not ours.
    pub fn class_of(&self, controller_name: &str) -> Option<String> {
        match &self.0 {
            Kind::Any => Some(derived(controller_name)),
            Kind::Named(classes) => {
                classes.iter().find(|(_, controller)| *controller == controller_name).map(|(class, _)| class.clone())
            }
        }
    }

    /// Class and controllerName, by class; nothing for [`Classes::any`].
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = match &self.0 {
            Kind::Any => None,
            Kind::Named(classes) => Some(classes),
        };
        named.into_iter().flatten().map(|(class, controller)| (class.as_str(), controller.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::default_classes;

    fn map(entries: &[(&str, Option<&str>)]) -> BTreeMap<String, ClassSettings> {
        let entry = |(class, name): &(&str, Option<&str>)| {
            ((*class).to_owned(), ClassSettings { controller_name: name.map(str::to_owned) })
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn a_class_without_a_controller_name_has_its_own() {
        let classes = Classes::new(&map(&[("internal", None), ("public", Some("example.com/public"))])).unwrap();
        assert_eq!(classes.class_of("argosy.dev/internal").as_deref(), Some("internal"));
        assert_eq!(classes.class_of("example.com/public").as_deref(), Some("public"));
        assert_eq!(classes.class_of("argosy.dev/public"), None);
        let shown: Vec<_> = classes.iter().collect();
        assert_eq!(shown, [("internal", "argosy.dev/internal"), ("public", "example.com/public")]);
    }

    #[test]
    fn the_default_serves_manifests_of_envoy_gateway() {
        let classes = Classes::new(&default_classes()).unwrap();
        assert_eq!(classes.class_of("gateway.envoyproxy.io/gatewayclass-controller").as_deref(), Some("default"));
    }

    #[test]
    fn two_classes_with_one_controller_name_are_refused_by_name() {
        let error = Classes::new(&map(&[("a", Some("x.y/z")), ("b", Some("x.y/z"))])).unwrap_err();
        assert_eq!(error.problems.len(), 1);
        let text = error.to_string();
        assert!(text.contains("classes.a and classes.b have the same controllerName x.y/z"), "{text}");
        // The default of one may be what the other was given.
        let error = Classes::new(&map(&[("a", None), ("b", Some("argosy.dev/a"))])).unwrap_err();
        assert!(error.to_string().contains("classes.a and classes.b"), "{error}");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let error = Classes::new(&map(&[("Public", None), ("a", Some("nothing")), ("b", None)])).unwrap_err();
        assert_eq!(error.problems.len(), 2, "{error}");
        assert!(error.problems[0].starts_with("classes.Public: "), "{error}");
        assert!(
            error.problems[1].starts_with("classes.a.controllerName: \"nothing\" is no controller name"),
            "{error}"
        );
        assert!(Classes::new(&map(&[])).unwrap_err().to_string().contains("no GatewayClass would be served"));
    }

    #[test]
    fn without_settings_every_controller_is_ours_and_has_its_own_class() {
        let classes = Classes::any();
        let one = classes.class_of("a.example/gateway-controller").unwrap();
        let other = classes.class_of("b.example/gateway-controller").unwrap();
        assert_ne!(one, other);
        assert_eq!(Classes::any().class_of("a.example/gateway-controller"), Some(one));
        assert_eq!(classes.iter().count(), 0);
    }
}

//! Which resources of a type a stream wants (xDS protocol, "Client Behavior" and "Wildcard subscriptions").

use crate::snapshot::{NameSet, SharedNames};
use std::sync::Arc;

/// A subscription to one type.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscription {
    /// A request for the type has arrived.
    pub(super) started: bool,
    /// Everything there is.
    pub(super) wildcard: bool,
    /// Single resources.
    pub(super) names: NameSet,
}

impl Subscription {
    /// Takes in a request; returns the names that are asked for. `known` makes the name that is kept,
    /// `sets` the set.
    pub(super) fn update(
        &mut self,
        subscribe: &[String],
        unsubscribe: &[String],
        known: impl Fn(&str) -> Arc<str>,
        sets: &SharedNames,
    ) -> Vec<Arc<str>> {
        if !self.started && subscribe.is_empty() {
            // The first request of a type without names asks for everything, as in the protocol's older form.
            self.wildcard = true;
        }
        self.started = true;
        let mut new = Vec::new();
        for name in subscribe {
            if name == "*" {
                self.wildcard = true;
            } else {
                new.push(known(name));
            }
        }
        if unsubscribe.iter().any(|name| name == "*") {
            self.wildcard = false;
        }
        if !new.is_empty() || !unsubscribe.is_empty() {
            self.names = sets.edit(&self.names, unsubscribe, &new);
        }
        new
    }

    /// Whether a resource is wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_first_request_is_a_wildcard_and_later_ones_are_not() {
        let mut subscription = Subscription::default();
        subscription.update(&[], &[], |name| Arc::from(name), &SharedNames::default());
        assert!(subscription.wants("anything"));
        let mut subscription = Subscription::default();
        assert_eq!(subscription.update(&names(&["a"]), &[], |name| Arc::from(name), &SharedNames::default()).len(), 1);
        subscription.update(&[], &[], |name| Arc::from(name), &SharedNames::default());
        assert!(subscription.wants("a") && !subscription.wants("b"));
    }

    #[test]
    fn names_and_the_wildcard_can_be_given_up() {
        let mut subscription = Subscription::default();
        subscription.update(&names(&["*", "a"]), &[], |name| Arc::from(name), &SharedNames::default());
        subscription.update(&[], &names(&["*"]), |name| Arc::from(name), &SharedNames::default());
        assert!(subscription.wants("a") && !subscription.wants("b"));
        subscription.update(&[], &names(&["a"]), |name| Arc::from(name), &SharedNames::default());
        assert!(!subscription.wants("a"));
    }
}

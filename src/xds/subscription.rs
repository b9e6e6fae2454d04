//! Which resources of a type a stream wants (xDS protocol, "Client Behavior" and "Wildcard subscriptions").

use std::collections::BTreeSet;
use std::sync::Arc;

/// A subscription to one type.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscription {
    /// A request for the type has arrived.
    pub(super) started: bool,
    /// Everything there is.
    pub(super) wildcard: bool,
    /// Single resources. Shared, so that streams of one fleet with equal names can hold one set.
    pub(super) names: Arc<BTreeSet<Arc<str>>>,
}

impl Subscription {
    /// Takes in a request; returns the names that are new.
    pub(super) fn update(&mut self, subscribe: &[String], unsubscribe: &[String]) -> Vec<Arc<str>> {
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
                new.push(Arc::from(name.as_str()));
            }
        }
        if unsubscribe.iter().any(|name| name == "*") {
            self.wildcard = false;
        }
        if !new.is_empty() || !unsubscribe.is_empty() {
            let names = Arc::make_mut(&mut self.names);
            unsubscribe.iter().for_each(|name| {
                names.remove(name.as_str());
            });
            names.extend(new.iter().cloned());
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
        subscription.update(&[], &[]);
        assert!(subscription.wants("anything"));
        let mut subscription = Subscription::default();
        assert_eq!(subscription.update(&names(&["a"]), &[]).len(), 1);
        subscription.update(&[], &[]);
        assert!(subscription.wants("a") && !subscription.wants("b"));
    }

    #[test]
    fn names_and_the_wildcard_can_be_given_up() {
        let mut subscription = Subscription::default();
        subscription.update(&names(&["*", "a"]), &[]);
        subscription.update(&[], &names(&["*"]));
        assert!(subscription.wants("a") && !subscription.wants("b"));
        subscription.update(&[], &names(&["a"]));
        assert!(!subscription.wants("a"));
    }
}

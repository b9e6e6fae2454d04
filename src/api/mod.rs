//! In: YAML or JSON of the outside world.
//! Out: typed outside objects: Gateway API, core Kubernetes, `gateway.envoyproxy.io/v1alpha1`.
//! Never: types of our own rooms, behaviour.

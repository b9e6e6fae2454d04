//! In: a state directory.
//! Out: a CA, server and fleet certificates, verified identities.
//! Never: knowledge of gateways beyond a name.

//! The manifests of `config/samples` with what only this run knows: ports, a certificate, a key set.

use super::{DemoIdentity, TokenSigner};

/// Where the parts of the echo backend listen.
#[derive(Clone, Copy, Debug)]
pub struct BackendPorts {
    /// The test application.
    pub backend: u16,
    /// What the regular expression leads to.
    pub user_send: u16,
    /// The gRPC service.
    pub grpc_api: u16,
    /// What external authorization asks.
    pub authorizer: u16,
}

/// The path that the live edit adds a rule for.
pub const LIVE_PATH: &str = "/live";

/// The file that the live edit and the bad edit rewrite.
pub(super) const ROUTES_FILE: &str = "04-http-routes.yaml";

pub(super) const ISSUER: &str = "https://id.mydomain.com/";
pub(super) const AUDIENCE: &str = "https://myorg.us.auth0.com/userinfo";

/// The broken expression of the bad edit: its bracket is never closed.
pub(super) const BROKEN_EXPRESSION: &str = r"\/report\/([0-9a-f";

const SAMPLES: [(&str, &str); 8] = [
    ("01-public-gateway.yaml", include_str!("../../../config/samples/01-public-gateway.yaml")),
    ("02-internal-gateway.yaml", include_str!("../../../config/samples/02-internal-gateway.yaml")),
    ("03-backends.yaml", include_str!("../../../config/samples/03-backends.yaml")),
    (ROUTES_FILE, include_str!("../../../config/samples/04-http-routes.yaml")),
    ("05-grpc-route.yaml", include_str!("../../../config/samples/05-grpc-route.yaml")),
    ("06-internal-route.yaml", include_str!("../../../config/samples/06-internal-route.yaml")),
    ("07-jwt.yaml", include_str!("../../../config/samples/07-jwt.yaml")),
    ("08-ext-auth.yaml", include_str!("../../../config/samples/08-ext-auth.yaml")),
];

/// Every file of the scenario: name and content. The Secret is the one that must not be readable for others.
pub fn manifests(ports: BackendPorts, identity: &DemoIdentity, signer: &TokenSigner) -> Vec<(&'static str, String)> {
    let mut files: Vec<(&'static str, String)> = SAMPLES
        .iter()
        .map(|(name, content)| {
            let content = match *name {
                "03-backends.yaml" => with_ports(content, ports),
                "07-jwt.yaml" => with_keys(content, &signer.jwks().to_string()),
                _ => (*content).to_owned(),
            };
            (*name, content)
        })
        .collect();
    files.push(("tls-certificate.yaml", identity.secret("envoy-gateway-system", "tls-certificate")));
    files
}

/// The ports of the EndpointSlices; the Services keep theirs.
fn with_ports(backends: &str, ports: BackendPorts) -> String {
    let own = [(3000, ports.backend), (8080, ports.user_send), (9000, ports.grpc_api), (9002, ports.authorizer)];
    own.into_iter().fold(backends.to_owned(), |text, (sample, port)| {
        text.replace(&format!("  port: {sample}\n  protocol: TCP"), &format!("  port: {port}\n  protocol: TCP"))
    })
}

fn with_keys(policy: &str, jwks: &str) -> String {
    let mut text = String::with_capacity(policy.len() + jwks.len());
    for line in policy.lines() {
        match line.find("inline: '") {
            Some(start) => text.push_str(&format!("{}inline: '{jwks}'", &line[..start])),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// The routes with one more rule in the first route: `/live` goes to another backend.
pub fn with_live_rule(routes: &str) -> String {
    with_rule(routes, "PathPrefix", LIVE_PATH, "user-send", 8080)
}

/// The routes with one more rule in the first route, whose regular expression is broken.
pub fn with_broken_rule(routes: &str) -> String {
    with_rule(routes, "RegularExpression", BROKEN_EXPRESSION, "backend", 3000)
}

fn with_rule(routes: &str, kind: &str, path: &str, service: &str, port: u16) -> String {
    let rule = format!(
        "  - backendRefs:\n    - group: \"\"\n      kind: Service\n      name: {service}\n      port: {port}\n    matches:\n    \
         - path:\n        type: {kind}\n        value: {path}\n---\n"
    );
    routes.replacen("---\n", &rule, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn documents(text: &str) -> Vec<Value> {
        yaml_serde::Deserializer::from_str(text)
            .map(|document| serde::Deserialize::deserialize(document).unwrap())
            .collect()
    }

    fn rendered() -> Vec<(&'static str, String)> {
        let identity = DemoIdentity::generate(&["*.mydomain.tld"]).unwrap();
        let signer = TokenSigner::generate().unwrap();
        manifests(BackendPorts { backend: 11, user_send: 12, grpc_api: 13, authorizer: 14 }, &identity, &signer)
    }

    #[test]
    fn ports_and_keys_of_this_run_stand_in_the_manifests() {
        let files = rendered();
        let content = |name: &str| files.iter().find(|(file, _)| *file == name).unwrap().1.clone();
        let mut ports: Vec<_> = documents(&content("03-backends.yaml"))
            .iter()
            .filter(|object| object["kind"] == "EndpointSlice")
            .map(|object| object["ports"][0]["port"].as_u64().unwrap())
            .collect();
        ports.sort_unstable();
        assert_eq!(ports, [11, 12, 13, 14]);
        let policy = &documents(&content("07-jwt.yaml"))[0];
        let keys = policy["spec"]["jwt"]["providers"][0]["localJWKS"]["inline"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(keys).unwrap()["keys"][0]["kid"], "demo");
        assert_eq!(documents(&content("tls-certificate.yaml"))[0]["type"], "kubernetes.io/tls");
    }

    #[test]
    fn an_edit_adds_one_rule_to_the_first_route_only() {
        let routes = SAMPLES[3].1;
        for (edited, path) in [(with_live_rule(routes), LIVE_PATH), (with_broken_rule(routes), BROKEN_EXPRESSION)] {
            let (before, after) = (documents(routes), documents(&edited));
            assert_eq!(before[1], after[1]);
            assert_eq!(after[0]["spec"]["rules"].as_array().unwrap().len(), 2);
            assert_eq!(after[0]["spec"]["rules"][0], before[0]["spec"]["rules"][0]);
            assert_eq!(after[0]["spec"]["rules"][1]["matches"][0]["path"]["value"], path);
        }
        assert!(BROKEN_EXPRESSION.parse::<regex::Regex>().is_err());
    }
}

//! What a type cannot say about settings.

use super::values::Settings;
use crate::infra::{HostSettings, InfraKind};
use crate::telemetry::logs;
use crate::tenant::Classes;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

impl Settings {
    /// Everything that is wrong with values that are right by their type, each as a sentence that begins with the key;
    /// empty when there is nothing.
    pub fn check(&self) -> Vec<String> {
        let mut problems = Classes::new(&self.classes).err().map(|error| error.problems).unwrap_or_default();
        self.files(&mut problems);
        self.xds(&mut problems);
        if self.infra.kind == InfraKind::Host {
            problems.extend(pool(&self.infra.host));
        }
        self.addresses(&mut problems);
        problems.extend(logs::filter(&self.log.level).err().map(|error| error.to_string()));
        if self.state_dir.as_os_str().is_empty() {
            problems.push("stateDir: is empty; name a folder that only this user may read".to_owned());
        }
        problems
    }

    fn files(&self, problems: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for folder in self.files.folders.iter().filter(|folder| !seen.insert(*folder)) {
            problems.push(format!("files.folders: {} is there twice; remove one", folder.display()));
        }
    }

    fn xds(&self, problems: &mut Vec<String>) {
        let xds = &self.xds;
        let zero = [
            ("maxStreams", xds.max_streams == 0, "no Envoy could connect"),
            ("newStreamsPerSecond", xds.new_streams_per_second == 0, "no Envoy could connect"),
            ("maxRequestBytes", xds.max_request_bytes == 0, "every request would be refused"),
            ("certificateHours", xds.certificate_hours == 0, "a certificate would be over when it is made"),
        ];
        let zero = zero.iter().filter(|(_, is, _)| *is);
        problems.extend(zero.map(|(key, _, effect)| format!("xds.{key}: with 0 {effect}; give 1 or more")));
        let inside = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(byte);
        let domain = xds.trust_domain.as_bytes();
        if domain.is_empty() || domain.len() > 255 || !domain.iter().all(inside) {
            problems.push(format!(
                "xds.trustDomain: {:?} is no SPIFFE trust domain; use 1 to 255 lower-case letters, digits, `.`, `-`, `_`",
                xds.trust_domain
            ));
        }
    }

    fn addresses(&self, problems: &mut Vec<String>) {
        let all = [
            ("xds.address", self.xds.address),
            ("admin.address", self.admin.address),
            ("metrics.address", self.metrics.address),
            ("health.address", self.health.address),
        ];
        for (index, (key, address)) in all.iter().enumerate() {
            for (other, taken) in all[..index].iter().filter(|(_, taken)| clash(*taken, *address)) {
                problems
                    .push(format!("{key}: {address} clashes with {other}, which is {taken}; change one of the ports"));
            }
        }
    }
}

/// Whether only one of two can be bound. Port 0 is another one each time.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    // `::` is bound for IPv4 too where the system does not say otherwise.
    let same_family =
        one.is_ipv4() == other.is_ipv4() || [one, other].iter().any(|a| a.is_ipv6() && a.ip().is_unspecified());
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || everywhere && same_family)
}

/// What is wrong with the pool of addresses for Gateways that name none.
fn pool(host: &HostSettings) -> Option<String> {
    let network = host.addresses;
    let loopback = network.network().is_loopback() && network.broadcast().is_loopback();
    if !loopback {
        return Some(format!(
            "infra.host.addresses: {network} is not all loopback, so that others could reach a gateway that asked for no \
             address; use 127.0.0.0/8 or a part of it"
        ));
    }
    let bits = match network.network() {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    (bits - network.prefix_len() < 2).then(|| {
        format!(
            "infra.host.addresses: of {network} no address is left besides the first two and the last; use a larger one"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::ClassSettings;
    use std::path::PathBuf;

    fn checked(change: impl FnOnce(&mut Settings)) -> Vec<String> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check()
    }

    #[track_caller]
    fn one(change: impl FnOnce(&mut Settings), begin: &str) {
        let said = checked(change);
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].starts_with(begin), "{}", said[0]);
    }

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(checked(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn two_classes_with_one_controller_name_are_refused() {
        let class = || ClassSettings { controller_name: Some("a.b/c".to_owned()) };
        let change = |settings: &mut Settings| {
            settings.classes = [("a".to_owned(), class()), ("b".to_owned(), class())].into();
        };
        one(change, "classes.a and classes.b have the same controllerName a.b/c; ");
    }

    #[test]
    fn numbers_that_stop_everything_are_refused() {
        one(|settings| settings.xds.max_streams = 0, "xds.maxStreams: with 0 no Envoy could connect");
        one(|settings| settings.xds.new_streams_per_second = 0, "xds.newStreamsPerSecond: ");
        one(|settings| settings.xds.max_request_bytes = 0, "xds.maxRequestBytes: ");
        one(|settings| settings.xds.certificate_hours = 0, "xds.certificateHours: ");
        one(|settings| settings.xds.trust_domain = "Argosy/x".to_owned(), "xds.trustDomain: \"Argosy/x\" is no SPIFFE");
        one(|settings| settings.log.level = "a=loud".to_owned(), "log.level: \"a=loud\" cannot be read");
        one(|settings| settings.state_dir = PathBuf::new(), "stateDir: is empty");
        one(
            |settings| settings.files.folders = vec!["a".into(), "b".into(), "a".into()],
            "files.folders: a is there twice",
        );
    }

    #[test]
    fn addresses_that_clash_are_named() {
        let set = |xds: &str, admin: &str| {
            let (xds, admin) = (xds.parse().unwrap(), admin.parse().unwrap());
            checked(move |settings| (settings.xds.address, settings.admin.address) = (xds, admin))
        };
        assert_eq!(
            set("127.0.0.1:5000", "127.0.0.1:5000"),
            [
                "admin.address: 127.0.0.1:5000 clashes with xds.address, which is 127.0.0.1:5000; change one of the ports"
            ]
        );
        for (xds, admin, clashes) in [
            ("0.0.0.0:5000", "127.0.0.1:5000", 1),
            ("[::]:5000", "127.0.0.1:5000", 1),
            ("0.0.0.0:5000", "[::1]:5000", 0),
            ("127.0.0.2:5000", "127.0.0.1:5000", 0),
            ("127.0.0.1:0", "127.0.0.1:0", 0),
        ] {
            assert_eq!(set(xds, admin).len(), clashes, "{xds} {admin}");
        }
    }

    #[test]
    fn the_pool_is_loopback_and_has_an_address_to_give() {
        for (network, begin) in [
            ("10.0.0.0/8", "infra.host.addresses: 10.0.0.0/8 is not all loopback"),
            ("126.0.0.0/7", "infra.host.addresses: 126.0.0.0/7 is not all loopback"),
            ("127.0.0.4/31", "infra.host.addresses: of 127.0.0.4/31 no address is left"),
            ("::1/128", "infra.host.addresses: of ::1/128 no address is left"),
        ] {
            one(|settings| settings.infra.host.addresses = network.parse().unwrap(), begin);
        }
        assert_eq!(checked(|settings| settings.infra.host.addresses = "127.0.0.4/30".parse().unwrap()).len(), 0);
        let elsewhere = checked(|settings| {
            settings.infra.kind = InfraKind::None;
            settings.infra.host.addresses = "10.0.0.0/8".parse().unwrap();
        });
        assert_eq!(elsewhere.len(), 0, "nobody is given an address then");
    }
}

//! Who listens where: one address a fleet, and its ports.

use super::addresses::{candidates, overlap};
use crate::model::{Binding, FleetKey};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Ports that cannot be bound as they are move up by this.
const MOVED: u16 = 10_000;
/// How many addresses of the pool are tried: a pool that is not on this machine has to be noticed soon.
const TRIED: usize = 256;

/// Tries to bind a TCP address, and lets go of it.
pub(super) type Probe<'a> = &'a dyn Fn(SocketAddr) -> io::Result<()>;

/// Where one fleet listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Given to it from the pool, and kept for it while its Gateway names another.
    pub(super) pooled: Option<IpAddr>,
    /// Where its listeners are bound.
    pub(super) address: IpAddr,
    /// Listener port → bound port.
    pub(super) ports: BTreeMap<u16, u16>,
    /// Ports it had before at this address. Its own Envoy may still be closing them, so they are not tried again.
    pub(super) former: BTreeMap<u16, u16>,
    /// How firmly the place is its.
    pub(super) standing: Standing,
}

/// How firmly a place belongs to a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It had it last time: the address is kept, the ports are looked at again.
    Remembered,
    /// An Envoy of last time holds it.
    Held,
    /// Asked for since this process started.
    Asked,
}

impl Place {
    fn is_firm(&self) -> bool {
        self.standing != Standing::Remembered
    }
}

/// All places.
#[derive(Debug)]
pub(super) struct Bindings {
    pool: IpNet,
    places: BTreeMap<FleetKey, Place>,
    changed: bool,
}

impl Bindings {
    /// The places of last time. `running` are fleets whose Envoys are still there: they keep their ports, others get the
    /// ports that can be had now.
    pub(super) fn new(pool: IpNet, mut places: BTreeMap<FleetKey, Place>, running: &BTreeSet<FleetKey>) -> Self {
        for (fleet, place) in &mut places {
            place.standing = if running.contains(fleet) { Standing::Held } else { Standing::Remembered };
        }
        Self { pool, places, changed: false }
    }

    /// Where a fleet listens.
    pub(super) fn get(&self, fleet: &FleetKey) -> Option<Binding> {
        self.places.get(fleet).map(binding)
    }

    /// All places, if they have changed since the last call.
    pub(super) fn take_changed(&mut self) -> Option<BTreeMap<FleetKey, Place>> {
        std::mem::take(&mut self.changed).then(|| self.places.clone())
    }

    /// The places have to be written again.
    pub(super) fn set_changed(&mut self) {
        self.changed = true;
    }

    /// Forgets a fleet.
    pub(super) fn release(&mut self, fleet: &FleetKey) {
        self.changed |= self.places.remove(fleet).is_some();
    }

    /// Forgets all fleets but those that `keep` accepts, which is also told how firm their places are.
    pub(super) fn retain(&mut self, keep: impl Fn(&FleetKey, Standing) -> bool) {
        let before = self.places.len();
        self.places.retain(|fleet, place| keep(fleet, place.standing));
        self.changed |= self.places.len() != before;
    }

    /// A place for a fleet; the same question has the same answer. The error says what cannot be had and what mends it.
    pub(super) fn bind(
        &mut self,
        fleet: &FleetKey,
        requested: &[IpAddr],
        ports: &[u16],
        probe: Probe<'_>,
    ) -> Result<Binding, String> {
        let before = self.places.get(fleet).cloned();
        let kept = before.as_ref().and_then(|place| place.pooled);
        let (address, pooled) = match requested {
            [] => {
                let address = match kept {
                    Some(address) if self.pool.contains(&address) => address,
                    _ => self.allocate(fleet, ports, probe)?,
                };
                (address, Some(address))
            }
            [address] => {
                let held = before.as_ref().is_some_and(|place| place.is_firm() && place.address == *address);
                if !held && let Err(error) = probe(SocketAddr::new(*address, 0)) {
                    return Err(self.unusable(*address, &error));
                }
                (*address, kept)
            }
            [first, ..] => {
                return Err(format!(
                    "spec.addresses names {} addresses, and one Envoy on this machine binds one: keep one, for example {first}",
                    requested.len()
                ));
            }
        };
        let known = before.as_ref().filter(|place| place.is_firm() && place.address == address);
        let ports = self.ports(fleet, address, ports, known, probe)?;
        let former = known.map(|place| {
            let all = place.former.iter().chain(&place.ports).map(|(port, bound)| (*port, *bound));
            all.filter(|(port, _)| !ports.contains_key(port)).collect()
        });
        let place = Place { pooled, address, ports, former: former.unwrap_or_default(), standing: Standing::Asked };
        let result = binding(&place);
        if before.as_ref() != Some(&place) {
            self.changed = true;
            self.places.insert(fleet.clone(), place);
        }
        Ok(result)
    }

    fn unusable(&self, address: IpAddr, error: &io::Error) -> String {
        let why = match error.kind() {
            io::ErrorKind::AddrNotAvailable => "is not an address of this machine".to_owned(),
            _ => format!("cannot be bound ({error})"),
        };
        format!(
            "spec.addresses: {address} {why}: name one that `ip address` shows or one of 127.0.0.0/8, or leave \
             spec.addresses out to get one from the pool {}",
            self.pool
        )
    }

    /// The lowest free address of the pool where all ports are free too; else the lowest free one.
    fn allocate(&self, fleet: &FleetKey, ports: &[u16], probe: Probe<'_>) -> Result<IpAddr, String> {
        let taken: BTreeSet<IpAddr> = self
            .places
            .iter()
            .filter(|(other, _)| *other != fleet)
            .flat_map(|(_, place)| [Some(place.address), place.pooled])
            .flatten()
            .collect();
        let mut first = None;
        let mut refused = None;
        for address in candidates(self.pool, &taken).take(TRIED) {
            if let Err(error) = probe(SocketAddr::new(address, 0)) {
                refused.get_or_insert((address, error));
                continue;
            }
            let used = |port: &u16| {
                let result = probe(SocketAddr::new(address, *port));
                result.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
            };
            if !ports.iter().any(used) {
                return Ok(address);
            }
            first.get_or_insert(address);
        }
        let pool = self.pool;
        first.ok_or_else(|| match refused {
            Some((address, error)) => format!(
                "no address of the pool {pool} can be bound, {address} for example: {error}. Set infra.host.addresses to a \
                 network of this machine, such as 127.0.0.0/8"
            ),
            None => format!("the pool {pool} has no free address left: set infra.host.addresses to a larger network"),
        })
    }

    fn ports(
        &self,
        fleet: &FleetKey,
        address: IpAddr,
        ports: &[u16],
        known: Option<&Place>,
        probe: Probe<'_>,
    ) -> Result<BTreeMap<u16, u16>, String> {
        let known = |port: u16| known.and_then(|place| place.ports.get(&port).or_else(|| place.former.get(&port)));
        let mut result: BTreeMap<u16, u16> = BTreeMap::new();
        for port in ports {
            if let Some(bound) = known(*port) {
                self.check(fleet, address, *bound)?;
                result.insert(*port, *bound);
            }
        }
        for port in ports {
            if !result.contains_key(port) {
                let bound = self.choose(fleet, address, *port, ports, probe)?;
                result.insert(*port, bound);
            }
        }
        let mut seen = BTreeMap::new();
        for (port, bound) in &result {
            if let Some(other) = seen.insert(*bound, *port) {
                return Err(format!(
                    "the listeners on ports {other} and {port} would both be bound to {bound} at {address}, since port \
                     {} cannot be bound as it is: give one of them another port",
                    if other == *bound { port } else { &other }
                ));
            }
        }
        Ok(result)
    }

    fn choose(
        &self,
        fleet: &FleetKey,
        address: IpAddr,
        port: u16,
        ports: &[u16],
        probe: Probe<'_>,
    ) -> Result<u16, String> {
        // The Gateway of before a change of class hands its ports over: its Envoy holds them, and shares them.
        let shared = self.holders(fleet, address, port).any(|other| other.gateway() == fleet.gateway());
        self.check(fleet, address, port)?;
        let error = match probe(SocketAddr::new(address, port)) {
            Ok(()) => return Ok(port),
            Err(_) if shared => return Ok(port),
            Err(error) => error,
        };
        let why = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "not permitted; run as root, or allow it with `sysctl net.ipv4.ip_unprivileged_port_start=0`".to_owned()
            }
            io::ErrorKind::AddrInUse => {
                format!("in use by another process; `ss -ltnp 'sport = :{port}'` shows which")
            }
            _ => error.to_string(),
        };
        let problem = format!("port {port} at {address} cannot be bound ({why})");
        let Some(moved) = port.checked_add(MOVED) else {
            return Err(format!("{problem}, and {port} + {MOVED} is no port: choose another port"));
        };
        if !ports.contains(&moved) {
            self.check(fleet, address, moved).map_err(|other| format!("{problem}, and {other}"))?;
            if let Err(error) = probe(SocketAddr::new(address, moved)) {
                return Err(format!(
                    "{problem}, and port {moved} cannot be bound either ({error}): choose another port"
                ));
            }
        }
        tracing::info!(%fleet, %address, port, bound = moved, "a listener port is moved: {problem}");
        Ok(moved)
    }

    fn holders(&self, fleet: &FleetKey, address: IpAddr, bound: u16) -> impl Iterator<Item = &FleetKey> {
        let holds = move |place: &Place| {
            place.is_firm() && overlap(place.address, address) && place.ports.values().any(|port| *port == bound)
        };
        let others = self.places.iter().filter({
            let fleet = fleet.clone();
            move |(other, _)| **other != fleet
        });
        others.filter(move |(_, place)| holds(place)).map(|(other, _)| other)
    }

    fn check(&self, fleet: &FleetKey, address: IpAddr, bound: u16) -> Result<(), String> {
        match self.holders(fleet, address, bound).find(|other| other.gateway() != fleet.gateway()) {
            Some(other) => Err(format!(
                "port {bound} at {address} belongs to Gateway {}: choose another port or another address",
                other.gateway()
            )),
            None => Ok(()),
        }
    }
}

fn binding(place: &Place) -> Binding {
    Binding { address: place.address, ports: place.ports.clone() }
}

#[cfg(test)]
mod tests {
    //! A machine where ports below 1024 are not permitted and some are in use.

    use super::*;
    use proptest::prelude::*;

    fn fleet(name: &str) -> FleetKey {
        FleetKey::new("class", "ns", name)
    }

    fn empty() -> Bindings {
        Bindings::new("127.0.0.0/8".parse().unwrap(), BTreeMap::new(), &BTreeSet::new())
    }

    fn machine(used: &'static [&'static str]) -> impl Fn(SocketAddr) -> io::Result<()> {
        move |address| {
            if !address.ip().is_loopback() && !address.ip().is_unspecified() {
                Err(io::ErrorKind::AddrNotAvailable.into())
            } else if (1..1024).contains(&address.port()) {
                Err(io::ErrorKind::PermissionDenied.into())
            } else if used.contains(&address.to_string().as_str()) {
                Err(io::ErrorKind::AddrInUse.into())
            } else {
                Ok(())
            }
        }
    }

    fn nothing_may_be_tried(address: SocketAddr) -> io::Result<()> {
        panic!("{address} was tried, although the fleet's own Envoy may hold it")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn fleets_get_addresses_in_order_and_privileged_ports_move() {
        let mut bindings = empty();
        let a = bindings.bind(&fleet("a"), &[], &[80, 8080], &machine(&[])).unwrap();
        assert_eq!(a, Binding { address: address("127.0.0.2"), ports: BTreeMap::from([(80, 10080), (8080, 8080)]) });
        let b = bindings.bind(&fleet("b"), &[], &[80], &machine(&[])).unwrap();
        assert_eq!((b.address, b.bound(80)), (address("127.0.0.3"), 10080));
    }

    #[test]
    fn a_bound_fleet_keeps_its_answer_and_only_new_ports_are_tried() {
        let mut bindings = empty();
        let first = bindings.bind(&fleet("a"), &[], &[80, 8080], &machine(&[])).unwrap();
        assert_eq!(bindings.bind(&fleet("a"), &[], &[80, 8080], &nothing_may_be_tried).unwrap(), first);
        let more =
            bindings.bind(&fleet("a"), &[], &[80, 9090], &machine(&["127.0.0.2:10080", "127.0.0.2:9090"])).unwrap();
        assert_eq!(more.ports, BTreeMap::from([(80, 10080), (9090, 19090)]));
        let back = bindings.bind(&fleet("a"), &[], &[80, 8080], &nothing_may_be_tried).unwrap();
        assert_eq!(back, first, "a port that comes back is not tried: the Envoy may still be closing it");
    }

    #[test]
    fn a_new_process_keeps_addresses_and_the_ports_of_running_envoys() {
        let mut bindings = empty();
        let a = bindings.bind(&fleet("a"), &[], &[80], &machine(&[])).unwrap();
        let b = bindings.bind(&fleet("b"), &[], &[80], &machine(&[])).unwrap();
        let places = bindings.take_changed().unwrap();
        assert_eq!(bindings.take_changed(), None);
        let running = BTreeSet::from([fleet("a")]);
        let mut bindings = Bindings::new("127.0.0.0/8".parse().unwrap(), places, &running);
        let permitted = |_: SocketAddr| Ok(());
        assert_eq!(bindings.bind(&fleet("b"), &[], &[80], &permitted).unwrap().ports, BTreeMap::from([(80, 80)]));
        assert_eq!(bindings.get(&fleet("b")).unwrap().address, b.address);
        assert_eq!(bindings.bind(&fleet("a"), &[], &[80], &nothing_may_be_tried).unwrap(), a);
        bindings.release(&fleet("a"));
        assert_eq!(bindings.bind(&fleet("c"), &[], &[80], &permitted).unwrap().address, a.address);
    }

    #[test]
    fn an_address_where_a_port_is_in_use_is_passed_over() {
        let used = &["127.0.0.2:8080", "127.0.0.3:8080"];
        let binding = empty().bind(&fleet("a"), &[], &[8080], &machine(used)).unwrap();
        assert_eq!((binding.address, binding.bound(8080)), (address("127.0.0.4"), 8080));
    }

    #[test]
    fn a_gateway_may_name_an_address_of_this_machine_and_gets_its_old_one_back() {
        let mut bindings = empty();
        bindings.bind(&fleet("a"), &[], &[8080], &machine(&[])).unwrap();
        let named =
            bindings.bind(&fleet("a"), &[address("127.0.0.9")], &[8080], &machine(&["127.0.0.9:8080"])).unwrap();
        assert_eq!((named.address, named.bound(8080)), (address("127.0.0.9"), 18080));
        assert_eq!(bindings.bind(&fleet("a"), &[], &[8080], &machine(&[])).unwrap().address, address("127.0.0.2"));
    }

    #[test]
    fn what_cannot_be_had_is_said_with_what_mends_it() {
        let mut bindings = empty();
        let mut bind = |name: &str, requested: &[&str], ports: &[u16]| {
            let requested: Vec<IpAddr> = requested.iter().map(|text| address(text)).collect();
            bindings.bind(&fleet(name), &requested, ports, &machine(&["127.0.0.5:60000", "127.0.0.5:18080"]))
        };
        bind("a", &["127.0.0.5"], &[80, 443]).unwrap();
        let cases = [
            (bind("b", &["203.0.113.7"], &[80]), "203.0.113.7 is not an address of this machine"),
            (bind("b", &["127.0.0.5", "127.0.0.6"], &[80]), "keep one, for example 127.0.0.5"),
            (bind("b", &["127.0.0.5"], &[10443]), "port 10443 at 127.0.0.5 belongs to Gateway ns/a"),
            (bind("b", &["0.0.0.0"], &[10443]), "port 10443 at 0.0.0.0 belongs to Gateway ns/a"),
            (bind("b", &["127.0.0.5"], &[443]), "port 10443 at 127.0.0.5 belongs to Gateway ns/a"),
            (bind("b", &["127.0.0.5"], &[60000]), "60000 + 10000 is no port"),
            (bind("c", &[], &[80, 10080]), "ports 80 and 10080 would both be bound to 10080"),
        ];
        for (result, expected) in cases {
            let problem = result.unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn a_pool_that_is_empty_or_elsewhere_is_said() {
        let bind = |pool: &str, count: usize| {
            let mut bindings = Bindings::new(pool.parse().unwrap(), BTreeMap::new(), &BTreeSet::new());
            let names = (0..count).map(|index| index.to_string());
            let all: Vec<_> = names.map(|name| bindings.bind(&fleet(&name), &[], &[], &machine(&[]))).collect();
            all.into_iter().next_back().unwrap()
        };
        assert!(bind("127.0.0.0/30", 1).is_ok());
        assert!(bind("127.0.0.0/30", 2).unwrap_err().contains("no free address left"));
        assert!(bind("10.0.0.0/8", 1).unwrap_err().contains("10.0.0.2 for example"));
    }

    #[test]
    fn a_gateway_that_changes_its_class_takes_its_ports_along() {
        let mut bindings = empty();
        let (before, after) = (FleetKey::new("one", "ns", "a"), FleetKey::new("two", "ns", "a"));
        bindings.bind(&before, &[address("127.0.0.5")], &[8080], &machine(&[])).unwrap();
        let moved = bindings.bind(&after, &[address("127.0.0.5")], &[8080], &machine(&["127.0.0.5:8080"])).unwrap();
        assert_eq!(moved.bound(8080), 8080);
    }

    proptest! {
        #[test]
        fn no_two_fleets_ever_hold_the_same_port(steps in prop::collection::vec(
            (0u8..5, prop::option::of(0u8..3), prop::collection::btree_set(prop::sample::select(vec![80u16, 443, 8080, 10080]), 0..4), any::<bool>()),
            1..40,
        )) {
            let mut bindings = empty();
            for (name, requested, ports, release) in steps {
                let fleet = fleet(&name.to_string());
                if release {
                    bindings.release(&fleet);
                    continue;
                }
                let requested: Vec<IpAddr> = requested.iter().map(|last| IpAddr::from([127, 0, 0, 2 + last])).collect();
                let ports: Vec<u16> = ports.into_iter().collect();
                if let Ok(binding) = bindings.bind(&fleet, &requested, &ports, &machine(&[])) {
                    prop_assert_eq!(binding.ports.keys().copied().collect::<Vec<_>>(), ports.clone());
                    prop_assert_eq!(bindings.bind(&fleet, &requested, &ports, &nothing_may_be_tried), Ok(binding));
                }
                let mut seen = BTreeSet::new();
                for place in bindings.places.values() {
                    for bound in place.ports.values() {
                        prop_assert!(seen.insert((place.address, *bound)));
                    }
                }
            }
        }
    }
}

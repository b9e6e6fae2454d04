//! The pool of addresses for Gateways that name none.

use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The addresses of a pool that may be given away, lowest first: not the first two (the network, and what everything else
/// on the machine uses) and not the last (broadcast).
pub(super) fn candidates(pool: IpNet, taken: &BTreeSet<IpAddr>) -> impl Iterator<Item = IpAddr> {
    let last = pool.broadcast();
    pool_from(pool).filter(move |address| *address != last && !taken.contains(address))
}

fn pool_from(pool: IpNet) -> Box<dyn Iterator<Item = IpAddr>> {
    match pool {
        IpNet::V4(net) => {
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            Box::new((first.saturating_add(2)..=last).map(|bits| IpAddr::from(bits.to_be_bytes())))
        }
        IpNet::V6(net) => {
            let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
            Box::new((first.saturating_add(2)..=last).map(|bits| IpAddr::from(bits.to_be_bytes())))
        }
    }
}

/// Whether listeners on the two addresses can be in each other's way.
pub(super) fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a == b || a.is_unspecified() || b.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(pool: &str, taken: &[&str], count: usize) -> Vec<String> {
        let taken = taken.iter().map(|address| address.parse().unwrap()).collect();
        candidates(pool.parse().unwrap(), &taken).take(count).map(|address| address.to_string()).collect()
    }

    #[test]
    fn the_lowest_free_address_comes_first() {
        assert_eq!(first("127.0.0.0/8", &[], 2), ["127.0.0.2", "127.0.0.3"]);
        assert_eq!(first("127.0.0.0/8", &["127.0.0.2", "127.0.0.4"], 2), ["127.0.0.3", "127.0.0.5"]);
        assert_eq!(first("fd00::/64", &[], 1), ["fd00::2"]);
    }

    #[test]
    fn the_edges_of_a_network_are_never_used() {
        assert_eq!(first("10.0.0.0/29", &[], 9), ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        assert_eq!(first("10.0.0.0/31", &[], 9), [""; 0]);
        assert_eq!(first("255.255.255.255/32", &[], 9), [""; 0]);
    }
}

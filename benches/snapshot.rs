//! Encoding of single resources, and edits and differences of whole snapshots.

use argosy::envoy;
use argosy::model::{BackendKey, Endpoint, Endpoints, NamespacedName};
use argosy::snapshot::{Edit, Group, Resource, ResourceType, Snapshot};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion};
use std::hint::black_box;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 2] = [1_000, 10_000];

fn backend(index: usize) -> BackendKey {
    BackendKey::Service { service: NamespacedName::new("bench", format!("service-{index}")), port: 80, http2: false }
}

fn endpoints(count: u16) -> Endpoints {
    let endpoint = |port| Endpoint { address: "127.1.2.3".to_owned(), port, zone: String::new() };
    Endpoints { endpoints: (1..=count).map(endpoint).collect() }
}

/// The endpoints of one backend; `count` is what differs between an old and a new one.
fn resource(index: usize, count: u16) -> Arc<Resource> {
    let key = backend(index);
    let body = envoy::endpoints(&key, &endpoints(count));
    Resource::new(ResourceType::Endpoints, &key.cluster_name(), vec![body])
}

fn snapshot(size: usize) -> Snapshot {
    let upserts = (0..size).map(|index| resource(index, 1)).collect();
    Snapshot::empty().apply(&Edit { upserts, removals: Vec::new() })
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let key = backend(1);
    group.bench_function("cluster", |bencher| {
        bencher.iter(|| Resource::new(ResourceType::Cluster, "c", vec![envoy::cluster(black_box(&key))]));
    });
    for count in [10, 1_000] {
        let endpoints = endpoints(count);
        group.bench_with_input(BenchmarkId::new("endpoints", count), &endpoints, |bencher, endpoints| {
            bencher.iter(|| Resource::new(ResourceType::Endpoints, "c", vec![envoy::endpoints(&key, endpoints)]));
        });
    }
    for hosts in SIZES {
        // What a route table costs when one of its virtual hosts was made again: the other groups are kept.
        let host = |index: usize| envoy::virtual_host(&format!("host-{index}.example.com"), &[]);
        let kept: Vec<(Bytes, u128)> = (0..hosts).map(host).map(|record| (record.clone(), xxh3_128(&record))).collect();
        let mut kept: Vec<_> = kept.chunks(hosts.isqrt()).map(<[_]>::to_vec).collect();
        let one = kept.pop().expect("there are hosts");
        let kept: Vec<_> = kept.into_iter().map(Group::new).collect();
        group.bench_function(BenchmarkId::new("route table of kept groups", hosts), |bencher| {
            bencher.iter(|| {
                let mut groups = kept.clone();
                groups.push(Group::new(one.clone()));
                Resource::from_groups(ResourceType::Route, "t", black_box(groups))
            });
        });
    }
    group.finish();
}

fn edits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    for size in SIZES {
        let old = snapshot(size);
        let edit = Edit { upserts: vec![resource(size / 2, 2)], removals: Vec::new() };
        let new = old.apply(&edit);
        // Equal content, but built from nothing: nothing of it is shared with the old one.
        let (stranger, whole) = (snapshot(size), old.diff(&Snapshot::empty()));
        group.bench_function(BenchmarkId::new("apply one change", size), |b| b.iter(|| old.apply(black_box(&edit))));
        group.bench_function(BenchmarkId::new("apply the removal of all", size), |b| {
            b.iter(|| old.apply(black_box(&whole)));
        });
        group.bench_function(BenchmarkId::new("diff of one change", size), |b| b.iter(|| old.diff(black_box(&new))));
        group.bench_function(BenchmarkId::new("diff of nothing shared", size), |b| {
            b.iter(|| old.diff(black_box(&stranger)));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    encode(&mut criterion);
    edits(&mut criterion);
    criterion.final_summary();
}

//! Who may read what over xDS: the certificate decides, and nothing that a client says of itself.

use crate::harness::manifests::{base, file, gateway, http_route, https, prefix, secret, service};
use crate::harness::{Ads, Argosy, Run, Types, run};
use argosy::cli::demo::DemoIdentity;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use std::os::unix::fs::PermissionsExt;

/// What `argosy cert` writes.
struct Fleet {
    ca: String,
    certificate: String,
    key: String,
}

impl Fleet {
    fn pair(&self) -> Option<(&str, &str)> {
        Some((&self.certificate, &self.key))
    }
}

/// Two Gateways, `default/s` and `default/t`, each with a certificate, a route and a backend of its own; no Envoys.
async fn start() -> (Argosy, Run) {
    let mut argosy = Argosy::prepare();
    let identity = DemoIdentity::generate(&["*.example.com"]).unwrap();
    let mut objects = base(1);
    for name in ["s", "t"] {
        objects.push(gateway(name, "c", &[https("https", 8443, "a.example.com", &format!("secret-of-{name}"))]));
        objects.push(http_route(&format!("route-of-{name}"), name, &[], &[prefix("/", &format!("backend-of-{name}"))]));
        objects.extend(service(&format!("backend-of-{name}"), 1));
        argosy.write(&format!("secret-{name}.yaml"), secret(&format!("secret-of-{name}"), &identity));
    }
    argosy.write("base.yaml", file(&objects));
    let run = argosy.start_with(&["--infra", "none"]).await;
    for name in ["s", "t"] {
        argosy.condition(["Gateway", "default", name], "Accepted=True/Accepted").await;
    }
    (argosy, run)
}

fn certificate(argosy: &Argosy, gateway: &str) -> Fleet {
    let out = argosy.path(&gateway.replace('/', "-"));
    let folder = out.display().to_string();
    let config = argosy.path("argosy.yaml").display().to_string();
    let which = ["--config", &config, "--class", "public", "--gateway", gateway];
    run(&[&["cert", "--state-dir", &argosy.state_dir(), "--out", &folder][..], &which].concat()).success();
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let mode = std::fs::metadata(out.join("tls.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "the key is for nobody else");
    Fleet { ca: read("ca.crt"), certificate: read("tls.crt"), key: read("tls.key") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_gets_its_own_configuration_whatever_it_calls_itself() {
    let (argosy, run) = start().await;
    for (own, other) in [("s", "t"), ("t", "s")] {
        let fleet = certificate(&argosy, &format!("default/{own}"));
        for node in [format!("default/{other}"), format!("public/default/{other}"), String::new(), "x".repeat(4000)] {
            let mut ads = Ads::open(run.xds, &fleet.ca, fleet.pair(), &node).await.unwrap();
            reads_only_its_own(&mut ads, own, other).await.unwrap();
        }
    }
}

/// Asks for everything of both fleets by name.
async fn reads_only_its_own(ads: &mut Ads, own: &str, other: &str) -> Result<(), String> {
    let table = |name: &str| format!("default/{name}/https");
    let secret = |name: &str| format!("default/secret-of-{name}");
    let cluster = |name: &str| format!("service/default/backend-of-{name}/80");
    ads.until(Types::CDS, &cluster(own)).await?;
    ads.subscribe(Types::LDS, &[]).await?;
    ads.until(Types::LDS, &table(own)).await?;
    // All of what is subscribed by name otherwise, and names of what comes without.
    ads.subscribe(Types::SDS, &["*"]).await?;
    ads.subscribe(Types::LDS, &[&table(other)]).await?;
    ads.subscribe(Types::CDS, &[&cluster(other)]).await?;
    // The other's names come first, so that they would have been answered by the time one's own are.
    // Endpoints before routes, as Envoy does: routes wait for warm clusters.
    for (kind, mine, theirs) in [
        (Types::EDS, cluster(own), cluster(other)),
        (Types::SDS, secret(own), secret(other)),
        (Types::RDS, table(own), table(other)),
    ] {
        ads.subscribe(kind, &[&theirs]).await?;
        ads.subscribe(kind, &[&mine]).await?;
        ads.until(kind, &mine).await?;
    }
    let all: Vec<&(String, String)> = ads.seen.iter().collect();
    let stranger = all.iter().find(|(_, name)| name.contains(&format!("of-{other}")) || *name == table(other));
    assert!(stranger.is_none(), "{own} got {stranger:?} of {other}");
    assert_eq!(ads.names(Types::SDS), [secret(own)]);
    assert_eq!(ads.names(Types::LDS), [table(own)]);
    Ok(())
}

/// A certificate made by a test: signed by `issuer`, with a URI, valid for the years given.
fn forge(issuer: &Issuer<'_, KeyPair>, uri: &str, years: (i32, i32)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

/// Argosy's own CA, with which a test can sign what Argosy never would.
fn own_authority(argosy: &Argosy) -> Issuer<'static, KeyPair> {
    let read = |name: &str| std::fs::read_to_string(argosy.path("state/pki").join(name)).unwrap();
    Issuer::from_ca_cert_pem(&read("ca.crt"), KeyPair::from_pem(&read("ca.key")).unwrap()).unwrap()
}

fn foreign_authority() -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Called as the real one: a name proves nothing.
    params.distinguished_name.push(DnType::CommonName, "argosy CA");
    Issuer::new(params, KeyPair::generate().unwrap())
}

/// Whether a client gets a stream, and something over it.
async fn gets_something(run: Run, ca: &str, pair: Option<(&str, &str)>) -> Result<(), String> {
    let mut ads = Ads::open(run.xds, ca, pair, "default/s").await?;
    ads.until(Types::CDS, "service/default/backend-of-s/80").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_expired_foreign_or_missing_gets_nothing() {
    let (argosy, run) = start().await;
    let good = certificate(&argosy, "default/s");
    let uri = "spiffe://argosy.local/class/public/ns/default/gateway/s";
    let now = (2020, 2090);
    let (own, foreign) = (own_authority(&argosy), foreign_authority());
    // The forgery as such is good: what refuses the others is what is wrong with them.
    let control = forge(&own, uri, now);
    gets_something(run, &good.ca, Some((&control.0, &control.1))).await.unwrap();
    let cases = [
        ("expired", forge(&own, uri, (2020, 2021))),
        ("not yet valid", forge(&own, uri, (2090, 2091))),
        ("of a foreign CA", forge(&foreign, uri, now)),
        ("of another trust domain", forge(&own, "spiffe://elsewhere/class/public/ns/default/gateway/s", now)),
        ("without a fleet", forge(&own, "spiffe://argosy.local/nobody", now)),
    ];
    for (what, (certificate, key)) in &cases {
        let got = gets_something(run, &good.ca, Some((certificate, key))).await;
        assert!(got.is_err(), "a certificate {what} got configuration");
    }
    assert!(gets_something(run, &good.ca, None).await.is_err(), "without a certificate there is nothing");
    gets_something(run, &good.ca, good.pair()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_another_server_is_not_taken_in() {
    let (argosy, run) = start().await;
    let fleet = certificate(&argosy, "default/s");
    let stranger = DemoIdentity::generate(&["argosy"]).unwrap();
    let got = gets_something(run, &stranger.ca, fleet.pair()).await;
    assert!(got.is_err(), "the server's certificate is of Argosy's own CA");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_folder_is_for_nobody_else() {
    let (argosy, _) = start().await;
    let mode = |path: &str| std::fs::metadata(argosy.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state/pki"), 0o700);
    assert_eq!(mode("state/pki/ca.key"), 0o600);
}

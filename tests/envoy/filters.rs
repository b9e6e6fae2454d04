//! What rules do with requests on their way, through a real Envoy.

use crate::harness::manifests::{self, backend, base, file, gateway, http_route, prefix, service};
use crate::harness::{Argosy, Proxy};
use argosy::cli::demo::client::{Answer, Target};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const ROUTE: [&str; 3] = ["HTTPRoute", "default", "r"];

/// A running gateway `default/g` with the Services `one`, `two` and what else is given, and the route `r`.
async fn start(more: &[Value], rules: &[Value]) -> (Argosy, Proxy, Target) {
    let mut argosy = Argosy::prepare();
    let (one, two) = (argosy.backends.echo("one").await, argosy.backends.echo("two").await);
    let mut objects = base(one);
    objects.extend(service("two", two));
    objects.extend(more.iter().cloned());
    objects.push(http_route("r", "g", &[], rules));
    argosy.write("base.yaml", file(&objects));
    argosy.start().await;
    argosy.condition(ROUTE, "Accepted=True/Accepted").await;
    argosy.condition(ROUTE, "ResolvedRefs=True/ResolvedRefs").await;
    let proxy = argosy.proxy("default/g").await;
    let target = proxy.plain(8080);
    (argosy, proxy, target)
}

/// A rule for a path prefix, with further fields; without backends when it redirects.
fn with(path: &str, service: Option<&str>, fields: &Value) -> Value {
    let mut rule = json!({"matches": [{"path": {"type": "PathPrefix", "value": path}}]});
    if let Some(service) = service {
        rule["backendRefs"] = json!([backend(service)]);
    }
    for (field, value) in fields.as_object().unwrap() {
        rule[field] = value.clone();
    }
    rule
}

fn filter(kind: &str, field: &str, settings: &Value) -> Value {
    json!({"type": kind, field: settings})
}

async fn get(target: &Target, path: &str, headers: &[(&str, &str)]) -> Answer {
    target.get("h.example.com", path, headers).await.unwrap()
}

fn header(answer: &Answer, name: &str) -> Option<String> {
    Some(answer.headers.get(name)?.to_str().unwrap().to_owned())
}

/// A Service whose endpoints have a port each.
fn spread(name: &str, ports: &[u16]) -> Vec<Value> {
    let [head, slice] = service(name, ports[0]);
    let slices = ports.iter().enumerate().map(|(index, port)| {
        let mut slice = slice.clone();
        slice["metadata"]["name"] = json!(format!("{name}-{index}"));
        slice["ports"][0]["port"] = json!(port);
        slice
    });
    std::iter::once(head).chain(slices).collect()
}

/// A port where nobody listens: it was free a moment ago.
fn nobody() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Writes to a connection of its own and reads until the other side is done.
async fn raw(target: &Target, request: &str) -> String {
    let mut stream = TcpStream::connect(target.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_say_where_to_go() {
    let redirect = |path: &str, settings: &Value| {
        with(path, None, &json!({"filters": [filter("RequestRedirect", "requestRedirect", settings)]}))
    };
    let rules = [
        redirect("/bare", &json!({})),
        redirect("/https", &json!({"scheme": "https", "statusCode": 301})),
        redirect("/port", &json!({"port": 8443, "scheme": "https", "statusCode": 308})),
        redirect("/there", &json!({"scheme": "https", "hostname": "other.example.com"})),
        redirect("/host", &json!({"hostname": "other.example.com"})),
        redirect("/full", &json!({"path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}})),
        redirect("/old", &json!({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}})),
        redirect("/strip", &json!({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}})),
    ];
    let (_argosy, _proxy, target) = start(&[], &rules).await;
    for (path, status, location) in [
        ("/bare", 302, "http://h.example.com:8080/bare"),
        ("/https/x?q=1", 301, "https://h.example.com:443/https/x?q=1"),
        ("/there/x", 302, "https://other.example.com/there/x"),
        ("/port", 308, "https://h.example.com:8443/port"),
        ("/host/x", 302, "http://other.example.com:8080/host/x"),
        ("/full/x", 302, "http://h.example.com:8080/new"),
        ("/old/x", 302, "http://h.example.com:8080/new/x"),
        ("/strip", 302, "http://h.example.com:8080/"),
        ("/strip/three", 302, "http://h.example.com:8080/three"),
    ] {
        let answer = get(&target, path, &[]).await;
        assert_eq!((answer.status, header(&answer, "location").as_deref()), (status, Some(location)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rewrites_and_headers_reach_the_backend_they_are_for() {
    let rewrite = |settings: &Value| filter("URLRewrite", "urlRewrite", settings);
    let replace = |prefix: &str| json!({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": prefix}});
    let set = |value: &str| {
        filter("RequestHeaderModifier", "requestHeaderModifier", &json!({"set": [{"name": "x-by", "value": value}]}))
    };
    let own = |service: &str, filters: Value| json!({"name": service, "port": 80, "filters": filters});
    let mut rules = vec![
        with("/prefix", Some("one"), &json!({"filters": [rewrite(&replace("/new"))]})),
        with("/strip", Some("one"), &json!({"filters": [rewrite(&replace("/"))]})),
        with(
            "/full",
            Some("one"),
            &json!({"filters": [rewrite(&json!({"hostname": "inner.example.com",
                "path": {"type": "ReplaceFullPath", "replaceFullPath": "/all"}})), set("rule")]}),
        ),
        with(
            "/each",
            None,
            &json!({"backendRefs": [own("one", json!([set("one")])), own("two", json!([set("two")]))]}),
        ),
        with(
            "/some",
            None,
            &json!({"backendRefs": [own("one", json!([rewrite(&json!({"hostname": "one.example.com"}))])), backend("two")]}),
        ),
    ];
    rules.push(with(
        "/back",
        Some("one"),
        &json!({"filters": [filter("ResponseHeaderModifier", "responseHeaderModifier",
            &json!({"add": [{"name": "x-back", "value": "100%"}], "remove": ["content-type"]}))]}),
    ));
    let (_argosy, _proxy, target) = start(&[], &rules).await;
    for (path, seen, host) in [
        ("/prefix", "/new", "h.example.com"),
        ("/prefix/x?q=1", "/new/x?q=1", "h.example.com"),
        ("/strip", "/", "h.example.com"),
        ("/strip/three", "/three", "h.example.com"),
        ("/full/x?q=1", "/all?q=1", "inner.example.com"),
    ] {
        let json = get(&target, path, &[]).await.json();
        assert_eq!((&json["path"], &json["host"]), (&json!(seen), &json!(host)), "{path}");
    }
    assert_eq!(get(&target, "/full", &[("x-by", "client")]).await.received("x-by").as_deref(), Some("rule"));
    let (mut each, mut some) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..40 {
        let answer = get(&target, "/each", &[]).await;
        each.insert((answer.backend().unwrap(), answer.received("x-by").unwrap()));
        let answer = get(&target, "/some", &[]).await;
        some.insert((answer.backend().unwrap(), answer.json()["host"].as_str().unwrap().to_owned()));
    }
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(each, BTreeSet::from([pair("one", "one"), pair("two", "two")]));
    assert_eq!(some, BTreeSet::from([pair("one", "one.example.com"), pair("two", "h.example.com")]));
    let back = get(&target, "/back", &[]).await;
    assert_eq!((header(&back, "x-back").as_deref(), header(&back, "content-type")), (Some("100%"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_to_mirrors_all_or_a_share_of_them() {
    let mirror = |fields: Value| {
        let mut settings = json!({"backendRef": backend("two")});
        settings.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"filters": [filter("RequestMirror", "requestMirror", &settings)]})
    };
    let rules = [
        with("/all", Some("one"), &mirror(json!({}))),
        with("/half", Some("one"), &mirror(json!({"fraction": {"numerator": 25, "denominator": 50}}))),
        with("/none", Some("one"), &mirror(json!({"percent": 0}))),
    ];
    let (argosy, proxy, target) = start(&[], &rules).await;
    let copies = async || proxy.stats("^cluster\\.service/default/two/80\\.upstream_rq_total$").await;
    let mut session = target.session("h.example.com").await.unwrap();
    let mut send = async |path: &str, count: u32| {
        for _ in 0..count {
            assert!(session.usable().await, "the connection stays open");
            assert_eq!(session.get(path, &[]).await.unwrap().backend().as_deref(), Some("one"));
        }
    };
    send("/none", 20).await;
    send("/all", 20).await;
    let at_least = async |wanted: u64| {
        argosy
            .wait(&format!("{wanted} copies"), async || {
                let found = copies().await;
                if found >= wanted { Ok(()) } else { Err(found.to_string()) }
            })
            .await;
    };
    at_least(20).await;
    assert_eq!(copies().await, 20);
    send("/half", 400).await;
    send("/all", 1).await;
    // 400 draws at 1/2 have a standard deviation of 10: these bounds are 7 of them away.
    at_least(20 + 130).await;
    let half = copies().await - 20;
    assert!((130..=271).contains(&half), "{half}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_answers_for_origins_itself() {
    let cors = |settings: &Value| json!({"filters": [filter("CORS", "cors", settings)]});
    let named = json!({"allowOrigins": ["https://a.example.com", "https://*.bar.com"], "allowMethods": ["GET", "PUT"],
        "allowHeaders": ["x-one"], "exposeHeaders": ["x-two"], "maxAge": 7, "allowCredentials": true});
    let rules = [
        with("/named", Some("one"), &cors(&named)),
        with(
            "/any",
            Some("one"),
            &cors(&json!({"allowOrigins": ["*"], "allowMethods": ["*"], "allowHeaders": ["*"],
            "allowCredentials": true})),
        ),
    ];
    let (_argosy, _proxy, target) = start(&[], &rules).await;
    let preflight = async |path: &str, origin: &str| {
        raw(
            &target,
            &format!(
                "OPTIONS {path} HTTP/1.1\r\nhost: h.example.com\r\norigin: {origin}\r\nconnection: close\r\n\
                 access-control-request-method: PUT\r\naccess-control-request-headers: x-one\r\n\r\n"
            ),
        )
        .await
    };
    for origin in ["https://a.example.com", "https://x.y.bar.com"] {
        let answer = preflight("/named", origin).await;
        for part in [
            "http/1.1 200",
            &format!("access-control-allow-origin: {origin}\r\n"),
            "access-control-allow-methods: get,put\r\n",
            "access-control-allow-headers: x-one\r\n",
            "access-control-max-age: 7\r\n",
            "access-control-allow-credentials: true\r\n",
        ] {
            assert!(answer.contains(part), "{part:?} is not in {answer}");
        }
    }
    for origin in ["https://b.example.com", "https://bar.com", "http://x.bar.com", "https://x.bar.com.evil.com"] {
        let answer = preflight("/named", origin).await;
        assert!(answer.starts_with("http/1.1 200") && !answer.contains("access-control-allow-origin"), "{answer}");
    }
    let any = preflight("/any", "https://z.example.com").await;
    for part in ["-allow-origin: https://z.example.com\r\n", "-allow-methods: put\r\n", "-allow-headers: x-one\r\n"] {
        assert!(any.contains(part), "with credentials nothing may be *: {part:?} is not in {any}");
    }
    let answer = get(&target, "/named", &[("origin", "https://a.example.com")]).await;
    assert_eq!(answer.backend().as_deref(), Some("one"));
    assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some("https://a.example.com"));
    assert_eq!(header(&answer, "access-control-expose-headers").as_deref(), Some("x-two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_stays_with_its_endpoint() {
    let mut backends = crate::harness::Backends::default();
    let ports = [backends.echo("a").await, backends.echo("b").await, backends.echo("c").await];
    let session = |settings: Value| json!({"sessionPersistence": settings});
    let permanent = json!({"type": "Cookie", "absoluteTimeout": "1h",
        "cookie": {"name": "stick", "lifetimeType": "Permanent"}});
    let rules = [
        with("/cookie", Some("many"), &session(permanent)),
        with("/header", Some("many"), &session(json!({"type": "Header", "header": {"name": "x-session"}}))),
    ];
    let (_argosy, _proxy, target) = start(&spread("many", &ports), &rules).await;
    let first = get(&target, "/cookie", &[]).await;
    let cookie = header(&first, "set-cookie").expect("a cookie is set");
    assert!(cookie.contains("Max-Age=3600") && cookie.contains("Path=/"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert!(cookie.starts_with("stick="), "{cookie}");
    let first_by_header = get(&target, "/header", &[]).await;
    let token = header(&first_by_header, "x-session").expect("a header is set");
    let mut without = BTreeSet::new();
    for _ in 0..30 {
        assert_eq!(get(&target, "/cookie", &[("cookie", cookie)]).await.backend(), first.backend());
        assert_eq!(get(&target, "/header", &[("x-session", &token)]).await.backend(), first_by_header.backend());
        without.insert(get(&target, "/cookie", &[]).await.backend());
    }
    assert!(without.len() > 1, "without the cookie requests spread: {without:?}");
}

/// Answers 503 to the first requests for a path, then 200.
async fn failing(first: usize) -> (u16, Arc<AtomicUsize>, JoinSet<()>) {
    let (listener, port) = listen().await;
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let answer = move || {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        async move { if number < first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK } }
    };
    let app = axum::Router::new().fallback(answer);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (port, count, tasks)
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_are_repeated_and_end_in_time() {
    let (silent, silent_port) = listen().await;
    let (twice, twice_count, _tasks) = failing(2).await;
    let (other, other_count, _more) = failing(2).await;
    let mut backends = crate::harness::Backends::default();
    let mut more: Vec<Value> = Vec::new();
    more.extend(service("silent", silent_port));
    more.extend(service("twice", twice));
    more.extend(service("other", other));
    more.extend(spread("half", &[nobody(), backends.echo("alive").await]));
    let rules = [
        with("/late", Some("silent"), &json!({"timeouts": {"request": "200ms"}})),
        with("/try", Some("silent"), &json!({"timeouts": {"backendRequest": "100ms"}, "retry": {"attempts": 1}})),
        with("/both", Some("silent"), &json!({"timeouts": {"request": "300ms", "backendRequest": "200ms"}})),
        with("/twice", Some("twice"), &json!({"retry": {"codes": [503], "attempts": 2, "backoff": "1ms"}})),
        with("/other", Some("other"), &json!({"retry": {"codes": [500], "attempts": 2, "backoff": "1ms"}})),
        with("/half", Some("half"), &json!({"retry": {"attempts": 10, "backoff": "1ms"}})),
    ];
    let (_argosy, _proxy, target) = start(&more, &rules).await;
    for path in ["/late", "/try", "/both"] {
        assert_eq!(get(&target, path, &[]).await.status, 504, "{path}");
    }
    drop(silent);
    assert_eq!(get(&target, "/twice", &[]).await.status, 200);
    assert_eq!(twice_count.load(Ordering::SeqCst), 3, "one try and two repetitions");
    assert_eq!(get(&target, "/other", &[]).await.status, 503, "a code that is not listed is the answer");
    assert_eq!(other_count.load(Ordering::SeqCst), 1);
    for _ in 0..20 {
        assert_eq!(get(&target, "/half", &[]).await.backend().as_deref(), Some("alive"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_belongs_to_the_narrowest_listener_alone() {
    let mut argosy = Argosy::prepare();
    let mut objects = base(argosy.backends.echo("one").await);
    let listener = |name: &str, hostname: &str| {
        let mut listener = manifests::http(name, 8081);
        if !hostname.is_empty() {
            listener["hostname"] = json!(hostname);
        }
        listener
    };
    let hosts =
        [("all", ""), ("wide", "*.example.com"), ("narrow", "*.foo.example.com"), ("exact", "abc.foo.example.com")];
    objects.push(gateway("i", "c", &hosts.map(|(name, host)| listener(name, host))));
    for (name, _) in hosts {
        let mut route = http_route(name, "i", &[], &[prefix(&format!("/{name}"), "one")]);
        route["spec"]["parentRefs"][0]["sectionName"] = json!(name);
        objects.push(route);
    }
    argosy.write("base.yaml", file(&objects));
    argosy.start().await;
    let target = argosy.proxy("default/i").await.plain(8081);
    for (host, owner) in [
        ("bar.com", "all"),
        ("bar.example.com", "wide"),
        ("bar.foo.example.com", "narrow"),
        ("abc.foo.example.com", "exact"),
    ] {
        argosy.answers(&target, host, &format!("/{owner}"), "200 one").await;
        for (other, _) in hosts.into_iter().filter(|(other, _)| *other != owner) {
            assert_eq!(target.get(host, &format!("/{other}"), &[]).await.unwrap().status, 404, "{host}/{other}");
        }
    }
}

/// Takes every request as one for an upgrade, then sends back what comes.
async fn upgraded(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket"), "{head}");
    let answer = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    tokio::io::copy(&mut read, &mut write).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_are_spoken_to_in_their_protocol() {
    let mut backends = crate::harness::Backends::default();
    let of = |name: &str, port: u16, protocol: &str| {
        let [mut head, slice] = service(name, port);
        head["spec"]["ports"][0]["appProtocol"] = json!(protocol);
        [head, slice]
    };
    let (listener, port) = listen().await;
    let mut more = Vec::new();
    more.extend(of("h2c", backends.echo("h2c").await, "kubernetes.io/h2c"));
    more.extend(of("odd", backends.echo("odd").await, "HTTPS"));
    more.extend(of("ws", port, "kubernetes.io/ws"));
    let rules = [prefix("/h2c", "h2c"), prefix("/odd", "odd"), prefix("/ws", "ws")];
    let (_argosy, _proxy, target) = start(&more, &rules).await;
    assert_eq!(get(&target, "/h2c", &[]).await.json()["protocol"], "HTTP/2.0");
    assert_eq!(get(&target, "/odd", &[]).await.json()["protocol"], "HTTP/1.1");

    let mut tasks = JoinSet::new();
    tasks.spawn(upgraded(listener));
    let mut stream = TcpStream::connect(target.address()).await.unwrap();
    let request = "GET /ws HTTP/1.1\r\nhost: h.example.com\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    for text in ["ping", "again"] {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, text.as_bytes());
    }
}

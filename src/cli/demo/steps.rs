//! The three things that are shown: requests, a live edit, a bad edit.

use super::client::{Answer, ClientError, Target};
use super::identity::TokenSigner;
use super::plane::{Fleet, Plane};
use super::report::{Check, Report, shown};
use super::scenario::{AUDIENCE, BROKEN_EXPRESSION, ISSUER, LIVE_PATH, ROUTES_FILE, with_broken_rule, with_live_rule};
use super::traffic::Traffic;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The public gateway.
pub(super) const PUBLIC: &str = "envoy-gateway-system/eg";
/// The internal gateway.
pub(super) const INTERNAL: &str = "envoy-gateway-system/eg-internal";
/// The host of the prefix and the regular expression.
pub(super) const API: &str = "api.mydomain.tld";
const GRPC: &str = "grpc-api.mydomain.tld";
const ADMIN: &str = "admin.mydomain.tld";
/// The host on the internal gateway.
pub(super) const MYAPI: &str = "myapi.myproject.svc.cluster.local";
const USER_PATH: &str = "/user/0f8fad5b-d9cb-469f-a165-70867728950e/send";

/// The longest an edit may take to show before the demo calls it failed.
const EDIT_PATIENCE: Duration = Duration::from_secs(10);

/// Where the two gateways answer.
#[derive(Clone, Debug)]
pub(super) struct Gateways {
    pub(super) public: Target,
    pub(super) internal: Target,
}

/// Sends one request for every kind of route and shows what came back.
pub(super) async fn requests(gateways: &Gateways, signer: &TokenSigner, report: &mut Report) -> Result<()> {
    report.title("requests through the two Envoys");
    let claims = |audience: &str| json!({"iss": ISSUER, "aud": audience, "sub": "ada", "azp": "demo-client"});
    let bearer = |audience: &str| -> Result<String> {
        Ok(format!("Bearer {}", signer.token(claims(audience)).ok().context("the token cannot be signed")?))
    };
    let (good, foreign) = (bearer(AUDIENCE)?, bearer("https://somebody.else/")?);
    let (public, internal) = (&gateways.public, &gateways.internal);

    let prefix = public.get(API, "/any/path", &[]).await;
    let no_token = public.get(API, USER_PATH, &[]).await;
    let with_token = public.get(API, USER_PATH, &[("authorization", &good)]).await;
    let wrong_audience = public.get(API, USER_PATH, &[("authorization", &foreign)]).await;
    let no_match = public.get(API, "/user/no-uuid/send", &[]).await;
    let unknown_host = public.get("unknown.mydomain.tld", "/", &[]).await;
    let refused = public.get(ADMIN, "/", &[]).await;
    let allowed = public.get(ADMIN, "/", &[("x-user", "ada")]).await;
    let inside = internal.get(MYAPI, "/", &[]).await;
    let other_side = internal.get(API, "/", &[]).await;
    let message = b"\x0a\x0dhello, argosy";
    let call = public.grpc(GRPC, "/argosy.demo.Echo/Say", message).await;
    let no_call = public.grpc(GRPC, "/other.Service/Call", message).await;

    let authorized = |answer: &Answer| with(answer, "x-authorized-as");
    report.table(&[
        check("https://api…/any/path (prefix)", "200 from backend", &prefix, from),
        check("https://api…/user/<uuid>/send, no token", "401", &no_token, status),
        check("the same with a token", "200 from user-send, client_id: demo-client", &with_token, |a| {
            with(a, "client_id")
        }),
        check("the same, another audience's token", "403", &wrong_audience, status),
        check("https://api…/user/no-uuid/send", "200 from backend", &no_match, from),
        check("https://unknown…/ (no route)", "404", &unknown_host, status),
        check("gRPC argosy.demo.Echo/Say", "OK, message unchanged", &call, |a| unchanged(a, message)),
        check("gRPC other.Service/Call (no rule)", "UNIMPLEMENTED", &no_call, |a| unchanged(a, message)),
        check("https://admin…/ (external authorization)", "403", &refused, status),
        check("the same, x-user: ada", "200 from backend, x-authorized-as: ada", &allowed, authorized),
        check("http://myapi…/ (internal)", "200 from backend", &inside, from),
        check("http://api…/ (internal, public host)", "404", &other_side, status),
    ]);
    Ok(())
}

fn check(
    sent: &str,
    expected: &str,
    answer: &Result<Answer, ClientError>,
    got: impl FnOnce(&Answer) -> String,
) -> Check {
    let got = answer.as_ref().map_or_else(ToString::to_string, got);
    Check { sent: sent.to_owned(), expected: expected.to_owned(), got }
}

fn status(answer: &Answer) -> String {
    answer.status.to_string()
}

fn from(answer: &Answer) -> String {
    match answer.backend() {
        Some(backend) => format!("{} from {backend}", answer.status),
        None => answer.status.to_string(),
    }
}

fn with(answer: &Answer, header: &str) -> String {
    match answer.received(header) {
        Some(value) => format!("{}, {header}: {value}", from(answer)),
        None => from(answer),
    }
}

fn unchanged(answer: &Answer, message: &[u8]) -> String {
    match answer.grpc_status {
        Some(0) if answer.body == message => "OK, message unchanged".to_owned(),
        Some(0) => "OK, another message".to_owned(),
        Some(12) => "UNIMPLEMENTED".to_owned(),
        Some(code) => format!("grpc-status {code}"),
        None => format!("HTTP {} without grpc-status", answer.status),
    }
}

/// Replaces a file in one step, as editors do: nobody can read half of it.
pub(super) fn replace(folder: &Path, name: &str, content: &str) -> Result<()> {
    let draft = folder.join(format!(".{name}.new"));
    fs::write(&draft, content)
        .and_then(|()| fs::rename(&draft, folder.join(name)))
        .with_context(|| format!("{} cannot be written", folder.join(name).display()))
}

fn fleet(plane: &impl Plane, gateway: &str) -> Option<Fleet> {
    Fleet::list(&plane.proxies()).into_iter().find(|fleet| fleet.gateway == gateway)
}

/// Adds a rule to a file and times its way to the Envoy and to the first answer.
pub(super) async fn live_edit(
    plane: &impl Plane,
    gateways: &Gateways,
    folder: &Path,
    report: &mut Report,
) -> Result<()> {
    report.title(&format!("a live edit: {ROUTES_FILE} gets a rule, {LIVE_PATH} goes to user-send"));
    let routes = fs::read_to_string(folder.join(ROUTES_FILE)).context("the routes cannot be read")?;
    let before = fleet(plane, PUBLIC).and_then(|fleet| fleet.wanted);
    let mut session = gateways.public.session(API).await?;
    let old = session.get(LIVE_PATH, &[]).await?.backend();
    report.claim(old.as_deref() == Some("backend"), &format!("before: {LIVE_PATH} is answered by backend"));

    let traffic = Traffic::start(gateways.public.clone(), API, "/", Duration::from_millis(2));
    let start = Instant::now();
    replace(folder, ROUTES_FILE, &with_live_rule(&routes))?;
    let acked = async {
        while start.elapsed() < EDIT_PATIENCE {
            if fleet(plane, PUBLIC).is_some_and(|fleet| fleet.wanted != before && fleet.synced()) {
                return Some(start.elapsed());
            }
            sleep(Duration::from_millis(1)).await;
        }
        None
    };
    let answered = async {
        while start.elapsed() < EDIT_PATIENCE {
            match session.get(LIVE_PATH, &[]).await {
                Ok(answer) if answer.backend().as_deref() == Some("user-send") => return Some(start.elapsed()),
                Ok(_) => sleep(Duration::from_millis(1)).await,
                Err(_) => session = gateways.public.session(API).await.ok()?,
            }
        }
        None
    };
    let (acked, answered) = tokio::join!(acked, answered);
    if let Some(last_ack) = plane.last_rollout(PUBLIC).and_then(|rollout| rollout.last_ack) {
        report.line(&format!("     {:>10}  file event → last ACK (from the journal of rollouts)", shown(last_ack)));
    }
    report.claim(acked.is_some(), &timed("file written → last ACK", acked));
    report.claim(answered.is_some(), &timed("file written → first answer by user-send", answered));
    // What the old configuration still serves goes on for a moment; it must not fail either.
    sleep(Duration::from_millis(500)).await;
    report_traffic(&traffic, report, "during and after the edit");
    Ok(())
}

fn timed(what: &str, took: Option<Duration>) -> String {
    match took {
        Some(took) => format!("{:>10}  {what}", shown(took)),
        None => format!("{what}: not within {} s", EDIT_PATIENCE.as_secs()),
    }
}

fn report_traffic(traffic: &Traffic, report: &mut Report, when: &str) {
    let count = traffic.count();
    let first = count.first_failure.map(|failure| format!(" (the first: {failure})")).unwrap_or_default();
    let text = format!("{} requests {when}, {} failed{first}", count.sent, count.failed);
    report.claim(count.failed == 0 && count.sent > 0, &text);
}

/// Writes a broken regular expression; it has to be refused with a message, and everything else has to go on.
pub(super) async fn bad_edit(
    plane: &impl Plane,
    gateways: &Gateways,
    folder: &Path,
    report: &mut Report,
) -> Result<()> {
    report.title(&format!("a bad edit: {ROUTES_FILE} gets the regular expression {BROKEN_EXPRESSION}"));
    let routes = fs::read_to_string(folder.join(ROUTES_FILE)).context("the routes cannot be read")?;
    let nack = fleet(plane, PUBLIC).and_then(|fleet| fleet.last_nack);
    let traffic = Traffic::start(gateways.public.clone(), API, "/", Duration::from_millis(2));
    replace(folder, ROUTES_FILE, &with_broken_rule(&routes))?;
    let refused = wait_for(|| refusal(&plane.status(), "HTTPRoute", "myproject", "backend-routes")).await;
    match &refused {
        Some(message) => report.claim(true, &format!("refused: {message}")),
        None => report.claim(false, "the route's status says that the expression is broken"),
    }
    for finding in findings_about(&plane.findings(), "backend-routes") {
        report.line(&format!("     {finding}"));
    }
    sleep(Duration::from_secs(1)).await;
    let neighbour = gateways.public.get(API, LIVE_PATH, &[]).await.ok().and_then(|answer| answer.backend());
    report.claim(
        neighbour.as_deref() == Some("user-send"),
        &format!("the other rules of the route still work: {LIVE_PATH}"),
    );
    let after = fleet(plane, PUBLIC).and_then(|fleet| fleet.last_nack);
    report.claim(after == nack, "Envoy was not asked to refuse anything: no NACK");
    report_traffic(&traffic, report, "during the bad edit");

    replace(folder, ROUTES_FILE, &routes)?;
    let mended =
        wait_for(|| refusal(&plane.status(), "HTTPRoute", "myproject", "backend-routes").is_none().then_some(())).await;
    report.claim(mended.is_some(), "the rule taken out again: the route's status is clean");
    Ok(())
}

async fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < EDIT_PATIENCE {
        if let Some(found) = ready() {
            return Some(found);
        }
        sleep(Duration::from_millis(5)).await;
    }
    None
}

/// One object of a `kind: List`.
pub(super) fn object<'a>(list: &'a Value, kind: &str, namespace: &str, name: &str) -> Option<&'a Value> {
    list["items"].as_array()?.iter().find(|item| {
        let metadata = &item["metadata"];
        item["kind"] == kind && metadata["namespace"] == namespace && metadata["name"] == name
    })
}

/// The first condition of a route that says that something of it is refused.
fn refusal(list: &Value, kind: &str, namespace: &str, name: &str) -> Option<String> {
    let parents = object(list, kind, namespace, name)?["status"]["parents"].as_array()?;
    let refused = |condition: &&Value| {
        let bad = if condition["type"] == "PartiallyInvalid" { "True" } else { "False" };
        condition["status"] == bad
    };
    let conditions = parents.iter().filter_map(|parent| parent["conditions"].as_array()).flatten();
    conditions.filter(refused).map(condition_text).next()
}

/// A condition as one line.
pub(super) fn condition_text(condition: &Value) -> String {
    let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    format!("{}={} ({}): {}", text("type"), text("status"), text("reason"), text("message"))
}

fn findings_about(findings: &Value, name: &str) -> Vec<String> {
    let about = |finding: &&Value| finding.to_string().contains(name);
    findings.as_array().into_iter().flatten().filter(about).map(finding_text).collect()
}

fn finding_text(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap_or_default();
    let mut line = format!("{} {}", text("code"), text("message"));
    if !text("fix").is_empty() {
        line.push_str(&format!("\n       fix: {}", text("fix")));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(kind: &str, status: &str) -> Value {
        json!({"kind": "List", "items": [{"kind": "HTTPRoute", "metadata": {"namespace": "n", "name": "r"}, "status":
            {"parents": [{"conditions": [
                {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""},
                {"type": kind, "status": status, "reason": "UnsupportedValue", "message": "rule 1: not closed"}]}]}}]})
    }

    #[test]
    fn a_refusal_is_found_whatever_condition_says_it() {
        for (kind, status) in [("PartiallyInvalid", "True"), ("ResolvedRefs", "False")] {
            let text = refusal(&list(kind, status), "HTTPRoute", "n", "r").unwrap();
            assert_eq!(text, format!("{kind}={status} (UnsupportedValue): rule 1: not closed"));
        }
        assert_eq!(refusal(&list("PartiallyInvalid", "False"), "HTTPRoute", "n", "r"), None);
        assert_eq!(refusal(&list("PartiallyInvalid", "True"), "HTTPRoute", "n", "other"), None);
    }
}

//! How an Envoy is started: its bootstrap, its arguments, its binary.

use super::folder::Folder;
use crate::envoy::bootstrap::{self, Admin, Input};
use crate::model::{FleetKey, FleetPlan};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Each line of Envoy's log: level and component first, line ends escaped.
const LOG_FORMAT: &str = "[%l][%n] %v";

/// One version of a binary: a new one at the same path is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Binary {
    /// Where it is.
    pub(super) path: PathBuf,
    size: u64,
    modified: i64,
}

impl Binary {
    /// Looks at the file.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = path.metadata()?;
        Ok(Self { path: path.to_owned(), size: found.size(), modified: found.mtime() })
    }
}

/// Everything that shapes a process. Two that are equal need no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Launch {
    /// Tells the Envoys of a fleet apart.
    pub(super) slot: u32,
    /// `node.id`.
    pub(super) node: String,
    /// The admin interface that the bootstrap was made with.
    pub(super) offered: Admin,
    /// The admin interface that it has: the user may have put another one.
    pub(super) admin: Admin,
    /// The content of the bootstrap file.
    pub(super) bootstrap: String,
    /// The command line without the program.
    pub(super) arguments: Vec<String>,
    /// The program.
    pub(super) binary: Binary,
}

/// What the installation puts into every start.
pub(super) struct Base<'a> {
    /// The fleet.
    pub(super) fleet: &'a FleetKey,
    /// Its folder.
    pub(super) folder: &'a Folder,
    /// The xDS server.
    pub(super) xds: SocketAddr,
    /// The program.
    pub(super) binary: &'a Binary,
    /// Worker threads, when the plan does not say.
    pub(super) concurrency: u32,
}

impl Launch {
    /// The start that a plan asks for. The error says what is wrong with the plan's bootstrap.
    pub(super) fn new(base: &Base<'_>, plan: &FleetPlan, slot: u32, offered: Admin) -> Result<Self, String> {
        let node = node(base.fleet, slot);
        let certificates = base.folder.certificates();
        let input = Input {
            fleet: base.fleet,
            node: &node,
            xds: base.xds,
            admin: offered.clone(),
            certificates: &certificates,
        };
        let bootstrap = bootstrap::build(&input, plan.bootstrap.as_ref()).map_err(|problem| problem.to_string())?;
        let arguments = arguments(plan, &base.folder.bootstrap(slot), base.concurrency);
        let admin = admin(&bootstrap).ok_or(
            "spec.bootstrap: admin.address is missing or is no path and no IP address: it is how a proxy on this machine is \
             asked whether it is ready, so leave it as it is",
        )?;
        let binary = base.binary.clone();
        Ok(Self { slot, node, offered, admin, bootstrap: bootstrap.to_string(), arguments, binary })
    }

    /// Whether a user's wish is part of it that Envoy may refuse.
    pub(super) fn is_risky(plan: &FleetPlan) -> bool {
        plan.bootstrap.is_some() || !plan.extra_args.is_empty() || !plan.component_log_level.is_empty()
    }
}

/// `node.id`: for people and for Envoy's own checks; it selects nothing.
pub(super) fn node(fleet: &FleetKey, slot: u32) -> String {
    format!("{fleet}/{slot}")
}

/// Where the admin interface of a bootstrap is.
fn admin(bootstrap: &Value) -> Option<Admin> {
    let address = bootstrap.pointer("/admin/address")?;
    if let Some(path) = address.pointer("/pipe/path") {
        return Some(Admin::Pipe(path.as_str()?.into()));
    }
    let ip: IpAddr = address.pointer("/socket_address/address")?.as_str()?.parse().ok()?;
    let port = u16::try_from(address.pointer("/socket_address/port_value")?.as_u64()?).ok()?;
    // What listens everywhere is asked on this machine.
    let ip = match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Some(Admin::Tcp(SocketAddr::new(ip, port)))
}

fn arguments(plan: &FleetPlan, bootstrap: &Path, concurrency: u32) -> Vec<String> {
    let concurrency = plan.concurrency.unwrap_or(concurrency).to_string();
    let drain = plan.drain_seconds.max(1).to_string();
    let mut ours: Vec<(&str, Option<&str>)> = vec![
        ("--disable-hot-restart", None),
        ("--log-format-escaped", None),
        ("--log-format", Some(LOG_FORMAT)),
        ("--log-level", Some(&plan.log_level)),
        ("--concurrency", Some(&concurrency)),
        ("--drain-time-s", Some(&drain)),
    ];
    if !plan.component_log_level.is_empty() {
        ours.push(("--component-log-level", Some(&plan.component_log_level)));
    }
    let mut result = vec!["-c".to_owned(), bootstrap.display().to_string()];
    // Envoy refuses an option that is given twice: the user's own wins.
    for (name, value) in ours.into_iter().filter(|(name, _)| !names(&plan.extra_args, name)) {
        result.push(name.to_owned());
        result.extend(value.map(str::to_owned));
    }
    result.extend(plan.extra_args.iter().cloned());
    result
}

fn names(arguments: &[String], option: &str) -> bool {
    arguments.iter().any(|argument| {
        argument == option
            || argument.strip_prefix(option).is_some_and(|rest| rest.starts_with('='))
            || option == "--log-level" && argument == "-l"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> FleetPlan {
        FleetPlan {
            fleet: FleetKey::new("c", "ns", "gw"),
            addresses: Vec::new(),
            ports: vec![80],
            concurrency: None,
            log_level: "warning".to_owned(),
            component_log_level: String::new(),
            extra_args: Vec::new(),
            bootstrap: None,
            drain_seconds: 60,
        }
    }

    fn launch(plan: &FleetPlan) -> Launch {
        try_launch(plan).unwrap()
    }

    fn try_launch(plan: &FleetPlan) -> Result<Launch, String> {
        let folder = Folder::new(Path::new("/state/host"), &plan.fleet);
        let binary = Binary { path: "/envoy".into(), size: 1, modified: 2 };
        let xds = SocketAddr::from(([127, 0, 0, 1], 18000));
        let base = Base { fleet: &plan.fleet, folder: &folder, xds, binary: &binary, concurrency: 2 };
        Launch::new(&base, plan, 0, Admin::Pipe(folder.socket(0)))
    }

    #[test]
    fn only_what_concerns_the_process_makes_another_start() {
        let before = launch(&plan());
        assert_eq!(
            launch(&FleetPlan { ports: vec![80, 443], addresses: vec![[127, 0, 0, 9].into()], ..plan() }),
            before
        );
        for other in [
            FleetPlan { concurrency: Some(4), ..plan() },
            FleetPlan { log_level: "debug".to_owned(), ..plan() },
            FleetPlan { component_log_level: "upstream:debug".to_owned(), ..plan() },
            FleetPlan { extra_args: vec!["--enable-mutex-tracing".to_owned()], ..plan() },
        ] {
            assert_ne!(launch(&other), before);
        }
    }

    #[test]
    fn the_admin_interface_is_the_one_of_the_finished_bootstrap() {
        use crate::model::{BootstrapPatch, JsonPatchOperation};
        let operation = |op: &str, path: &str, value: Option<Value>| JsonPatchOperation {
            op: op.to_owned(),
            path: Some(path.to_owned()),
            json_path: None,
            from: None,
            value,
        };
        let with = |operation| FleetPlan { bootstrap: Some(BootstrapPatch::JsonPatch(vec![operation])), ..plan() };
        assert_eq!(launch(&plan()).admin, launch(&plan()).offered);
        let moved = serde_json::json!({"socket_address": {"address": "0.0.0.0", "port_value": 19000}});
        let moved = launch(&with(operation("replace", "/admin/address", Some(moved))));
        assert_eq!(moved.admin, Admin::Tcp(SocketAddr::from(([127, 0, 0, 1], 19000))));
        let removed = try_launch(&with(operation("remove", "/admin", None))).unwrap_err();
        assert!(removed.contains("admin.address is missing"), "{removed}");
    }

    #[test]
    fn a_user_s_option_replaces_ours() {
        let extra_args = ["--concurrency", "7", "-l", "debug", "--drain-time-s=3"].map(str::to_owned).to_vec();
        let arguments = launch(&FleetPlan { extra_args: extra_args.clone(), ..plan() }).arguments;
        assert!(arguments.ends_with(&extra_args), "{arguments:?}");
        assert_eq!(arguments.iter().filter(|a| a.starts_with("--concurrency")).count(), 1, "{arguments:?}");
        assert!(!arguments.iter().any(|a| a == "--log-level" || a == "--drain-time-s"), "{arguments:?}");
        assert!(arguments.iter().any(|a| a == "--log-format"), "{arguments:?}");
    }
}

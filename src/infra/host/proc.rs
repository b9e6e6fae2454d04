//! What `/proc` says about processes.

use std::io;

/// When a process started, in clock ticks after boot, unless it is gone or only waits to be reaped.
pub(super) fn started(pid: u32) -> Option<u64> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Differs after every boot, so that a process is not mistaken for one of an earlier life of the machine.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Field 22 of `/proc/<pid>/stat`; the name in field 2 may hold anything, also spaces and parentheses.
fn parse(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    match fields.next()? {
        "Z" | "X" | "x" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_read_whatever_the_name_is() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(parse(&format!("7 (a) R 1 (b)) S {rest}")), Some(4711));
        assert_eq!(parse(&format!("7 (envoy) Z {rest}")), None);
        assert_eq!(parse("7 (envoy"), None);
    }

    #[test]
    fn this_process_has_a_start_and_a_boot() {
        assert!(started(std::process::id()).is_some());
        assert_eq!(started(u32::MAX), None);
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
    }
}

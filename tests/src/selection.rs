//! Which boots of the kernel's checks a filter on the command line asks for.
//!
//! The names of the checks are known only after a boot, so a filter can only be held against the name
//! of the boot. Nobody who asks for `hello` should wait for boots that have nothing to do with it.

use libtest_mimic::Arguments;

/// Whether the boot with this name is needed, given the names of all tests that are known already.
pub fn wants(arguments: &Arguments, boot: &str, known: &[String]) -> bool {
    if arguments.list || arguments.skip.iter().any(|skip| boot.contains(skip.as_str())) {
        return false;
    }
    let Some(filter) = arguments.filter.as_deref() else { return true };
    let inside = filter.starts_with(&format!("{boot}/"));
    if arguments.exact {
        return filter == boot || inside;
    }
    // What matches nothing that is known may be the name of a check.
    let elsewhere = || known.iter().any(|name| name.contains(filter));
    let prefix = boot.split('/').next().unwrap_or(boot);
    let of_checks = filter.starts_with(&format!("{prefix}/"));
    boot.contains(filter) || inside || (!of_checks && !elsewhere())
}

#[cfg(test)]
mod tests {
    use super::wants;
    use libtest_mimic::Arguments;

    fn wanted(arguments: &[&str], boot: &str) -> bool {
        let words = std::iter::once("system").chain(arguments.iter().copied());
        let known = ["programs/hello", "checks/cpus-4", "checks/cpus-64"].map(str::to_owned);
        wants(&Arguments::from_iter(words), boot, &known)
    }

    #[test]
    fn without_a_filter_all_boots_are_wanted_but_not_for_a_list() {
        assert!(wanted(&[], "checks/cpus-4"));
        assert!(!wanted(&["--list"], "checks/cpus-4"));
        assert!(!wanted(&["--skip", "checks"], "checks/cpus-4"));
    }

    #[test]
    fn a_filter_selects_by_the_boots_name() {
        assert!(wanted(&["checks"], "checks/cpus-4"));
        assert!(wanted(&["checks/cpus-4/poke"], "checks/cpus-4"));
        assert!(!wanted(&["checks/cpus-4/poke"], "checks/cpus-64"));
        assert!(!wanted(&["hello"], "checks/cpus-4"));
        assert!(wanted(&["poke"], "checks/cpus-4"), "it may be a check's name");
    }

    #[test]
    fn an_exact_name_selects_one_boot() {
        assert!(wanted(&["--exact", "checks/cpus-4/poke"], "checks/cpus-4"));
        assert!(wanted(&["--exact", "checks/cpus-4"], "checks/cpus-4"));
        assert!(!wanted(&["--exact", "checks/cpus-64"], "checks/cpus-4"));
        assert!(!wanted(&["--exact", "programs/hello"], "checks/cpus-4"));
    }
}

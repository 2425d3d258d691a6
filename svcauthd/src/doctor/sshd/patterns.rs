//! Lists of patterns, as sshd compares names with them (ssh_config(5), PATTERNS).

use svcauth_core::policy::Pattern;

/// Whether a name is meant by a list with commas.
pub(super) fn any_of(list: &str, name: &str) -> bool {
    let is_in = |pattern: &str| Pattern::new(pattern).matches(name);
    let excluded = list.split(',').filter_map(|item| item.strip_prefix('!')).any(is_in);
    !excluded && list.split(',').filter(|item| !item.starts_with('!')).any(is_in)
}

/// Whether both can mean the same name: one of them a pattern, the other a name or a pattern like `LD_*`.
pub(super) fn meet(pattern: &str, other: &str) -> bool {
    Pattern::new(pattern).matches(&other.replace('*', ""))
        || Pattern::new(other).matches(&pattern.replace('*', ""))
}

#[cfg(test)]
mod tests {
    use super::{any_of, meet};

    #[test]
    fn a_list_means_what_it_names_and_not_what_it_excludes() {
        for (list, name, meant) in [
            ("a,b", "b", true),
            ("dep*", "deployer", true),
            ("*,!root", "root", false),
            ("*,!root", "x", true),
            ("!a", "b", false),
        ] {
            assert_eq!(any_of(list, name), meant, "{list} {name}");
        }
        for (one, other, same) in [
            ("*", "LD_*", true),
            ("LD_*", "LD_*", true),
            ("LD_PRELOAD", "LD_*", true),
            ("LC_*", "LD_*", false),
            ("L*", "LD_*", true),
            ("LANG", "SVCAUTH_*", false),
        ] {
            assert_eq!(meet(one, other), same, "{one} {other}");
        }
    }
}

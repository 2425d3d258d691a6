//! The names by which access rules may call this host.

/// The host name as the kernel has it, and its first label: `web1.example.com` and `web1`. Nothing is resolved.
#[must_use]
pub fn host_names() -> Vec<String> {
    let Some(name) = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()) else {
        return Vec::new();
    };
    let short = name.split('.').next().filter(|short| *short != name).map(str::to_owned);
    std::iter::once(name).chain(short).filter(|name| !name.is_empty()).collect()
}

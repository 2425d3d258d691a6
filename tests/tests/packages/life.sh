# The words of the tests in rpms.rs. $1: a folder of our own; $2, $3: the packages. All mounts go with this process.
work=$1 svcauth=$2 client=$3
mount -t tmpfs -o size=512m tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root" "$work/db"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
# The parts of the machine that a service would be told by.
rm -rf "$root/run/systemd"
mkdir -p "$root/etc/ssh/sshd_config.d"

# The user stays, as RPM has it, and its tools keep copies of what they change.
state() {
    (cd "$root/etc" && find . -type f ! -name '*-' ! -path ./passwd ! -path ./group ! -path ./shadow ! -path ./gshadow \
        ! -name .pwd.lock ! -path './subuid' ! -path './subgid' -exec sha256sum {} + -o -type l -printf '%p %l\n' | sort)
}
state >"$work/before"

# A root folder that dpkg looks after has nothing that RPM knows of.
rpm_here() { rpm --root "$root" --dbpath /rpmdb --nosignature "$@"; }

install() {
    rpm_here --install --nodeps "$client" "$svcauth"
    [ -x "$root/usr/sbin/svcauthd" ] && [ -f "$root/usr/lib64/security/pam_svcauth.so" ]
    chroot "$root" getent passwd svcauth >/dev/null
    [ -L "$root/etc/systemd/system/multi-user.target.wants/svcauthd.service" ]
    for file in nsswitch.conf pam.d ssh; do diff -r "/etc/$file" "$root/etc/$file"; done
    rpm_here --query --list svcauth svcauth-client >"$work/list"
}

activate() {
    sed -i -E 's/^(passwd|group):.*/& svcauth/' "$root/etc/nsswitch.conf"
    cp "$root/usr/share/doc/svcauth/examples/sshd/svcauth.conf" "$root/etc/ssh/sshd_config.d/10-svcauth.conf"
    require_active
}
require_active() {
    [ "$(grep -cE '^(passwd|group):.* svcauth$' "$root/etc/nsswitch.conf")" -eq 2 ]
    [ -f "$root/etc/ssh/sshd_config.d/10-svcauth.conf" ]
}
upgrade() { rpm_here --upgrade --force --nodeps "$client" "$svcauth"; }

name_it_by_hand() { sed -i '1i account required pam_svcauth.so' "$root/etc/pam.d/sshd"; }
unname() { sed -i '/pam_svcauth/d' "$root/etc/pam.d/sshd"; }
require_module() { [ -f "$root/usr/lib64/security/pam_svcauth.so" ] && rpm_here --query svcauth-client; }

# Each by itself: one that must not go does not keep the other.
erase() {
    if rpm_here --query svcauth >/dev/null; then rpm_here --erase --nodeps svcauth; fi
    rpm_here --erase --nodeps svcauth-client
}

require_as_before() {
    state | diff "$work/before" -
    while IFS= read -r file; do
        if [ -e "$root$file" ]; then echo "$file is left"; exit 1; fi
    done <"$work/list"
    for folder in /etc/svcauth /var/lib/svcauth /var/log/svcauth; do
        if [ -e "$root$folder" ]; then echo "$folder is left"; exit 1; fi
    done
}

run_scriptlet() { # PART COUNT
    rpm --query --package --nosignature --queryformat "%{$(echo "$1" | sed 's/^pre$/PREIN/;s/^post$/POSTIN/;s/^preun$/PREUN/;s/^postun$/POSTUN/')}" \
        "$svcauth" >"$root/scriptlet"
    chroot "$root" sh /scriptlet "$2"
}

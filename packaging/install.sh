#!/bin/sh
# Installs what was built from source, at the places where a package would put it.
#
#   packaging/install.sh [TARGET_DIR]        TARGET_DIR: cargo's (default: target); DESTDIR is honoured
#
# It changes nothing about who can log in: no pam.d file, no nsswitch.conf, no sshd_config is touched. README.md has those
# three steps. A configuration that is already there is kept.
set -eu
cd "$(dirname "$0")/.."
target=${1:-target}
root=${DESTDIR:-}

# Modules belong beside libc: below the multiarch triplet on Debian, below lib64 on RHEL. A host without a compiler and
# without dpkg-dev must be able to say where that is.
if command -v dpkg >/dev/null 2>&1; then
    libc=$(dpkg -L "libc6:$(dpkg --print-architecture)" | sed -n '/^\(\/usr\)\{0,1\}\/lib\/.*\/libc\.so\.6$/p' | head -n 1)
    libc=${libc#/usr}
    lib=/usr${libc%/libc.so.6}
else
    lib=/usr/lib64
fi
if [ ! -e "$lib/libc.so.6" ]; then
    echo "install.sh: there is no libc.so.6 in $lib, so the modules would not be found there" >&2
    exit 1
fi

for built in nss/libnss_svcauth.so pam/libpam_svcauth.so release/svcauthd release/svcauth; do
    if [ ! -f "$target/$built" ]; then
        echo "install.sh: $target/$built is not built; run the three cargo build commands of README.md first" >&2
        exit 1
    fi
done

# By rename: a module that is in use must never be written over (its users would die by SIGBUS).
put() { # MODE FROM TO
    install -D -m "$1" "$2" "$root$3.new"
    mv -f "$root$3.new" "$root$3"
}
put 644 "$target/nss/libnss_svcauth.so" "$lib/libnss_svcauth.so.2"
put 644 "$target/pam/libpam_svcauth.so" "$lib/security/pam_svcauth.so"
put 755 "$target/release/svcauthd" /usr/sbin/svcauthd
put 755 "$target/release/svcauth" /usr/bin/svcauth
put 644 conf/svcauthd.service /usr/lib/systemd/system/svcauthd.service
put 644 conf/sysusers.conf /usr/lib/sysusers.d/svcauth.conf
put 644 conf/tmpfiles.conf /usr/lib/tmpfiles.d/svcauth.conf
for example in svcauth.toml directory.ldif; do
    put 644 "conf/$example" "/usr/share/doc/svcauth/examples/$example"
    [ -e "$root/etc/svcauth/$example" ] || put 644 "conf/$example" "/etc/svcauth/$example"
done
for page in docs/man/*; do
    put 644 "$page" "/usr/share/man/man${page##*.}/$(basename "$page")"
done
for stack in conf/pam/*; do
    put 644 "$stack" "/usr/share/doc/svcauth/examples/pam/$(basename "$stack")"
done
put 644 conf/sshd/svcauth.conf /usr/share/doc/svcauth/examples/sshd/svcauth.conf

if [ -z "$root" ]; then
    if command -v systemd-sysusers >/dev/null 2>&1; then
        systemd-sysusers svcauth.conf
        systemd-tmpfiles --create svcauth.conf
        # A unit that was replaced; without a running systemd there is nobody to tell.
        if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
    elif ! grep -q '^svcauth:' /etc/passwd; then
        useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin svcauth
    fi
fi
echo "installed; who can log in has not changed. Next: edit ${root}/etc/svcauth/svcauth.toml, start svcauthd, run svcauth status"

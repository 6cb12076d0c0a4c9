#!/bin/sh
# Last step of a root: takes away what belongs to the machine that built it, and what every guest must make for itself.
set -eu

apt-get clean
rm -rf /etc/apt/apt.conf.d/99mmdebstrap /etc/apt/auth.conf /etc/apt/sources.list /etc/apt/sources.list.d/* \
    /etc/dpkg/dpkg.cfg.d/99mmdebstrap /usr/sbin/policy-rc.d /var/lib/apt/lists/* /var/log/*.log /var/log/apt/*

# SSH host keys come with cloud-init's user data or from the lab; systemd makes the machine id at first boot.
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
: >/etc/machine-id

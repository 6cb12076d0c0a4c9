#!/bin/sh
# Runs while the image is built. Roles enable their services over SSH, as on any VM fresh from its template.
set -eu

systemctl set-default multi-user.target
systemctl enable ssh.service
systemctl disable apache2.service chrony.service etcd.service keepalived.service patroni.service postgresql.service

# Upkeep of a long-lived machine, and hardware that a container lacks: they only slow the boot.
systemctl mask \
    apache-htcacheclean.service apt-daily.timer apt-daily-upgrade.timer cloud-init-hotplugd.socket console-getty.service \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty-static.service getty.target \
    logrotate.timer systemd-networkd.service systemd-networkd-wait-online.service systemd-pstore.service \
    systemd-timesyncd.service systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
    systemd-udev-trigger.service

# Kernel settings of the machine are not a guest's to change: only what roles put into /etc/sysctl.d (net.*) is applied.
find /usr/lib/sysctl.d /etc/sysctl.d -name '*.conf' -delete

# The id is the one that the builder wrote into WildFly's archive (WILDFLY_UID).
useradd --system --uid 900 --user-group --home-dir /opt/wildfly --shell /usr/sbin/nologin wildfly
ln -s wildfly-36.0.1.Final /opt/wildfly

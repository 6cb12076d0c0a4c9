"""What no mutation changes, and why: a test compares this with everything that the sound stacks have.

Keys are a type's last word, with `.property`, or the path of a file on a server; `*` stands for any text.
"""

from collections.abc import Mapping

HARMLESS: Mapping[str, str] = {
    "*.name": "names tell people and other resources what is meant; a wrong one is refused by vCenter",
    "*.description": "a remark",
    "*.computeClusterId": "the cluster of what it names; vCenter refuses any other",
    "Datacenter": "without it there is nothing, and vCenter says so",
    "ContentLibrary*": "servers are cloned from it once; what it lies on is judged with the datastore (STO-07)",
    "*Template*": "a component: what it groups is judged",
    "Balancer*": "a component: what it groups is judged",
    "JbossPair*": "a component: what it groups is judged",
    "PostgresPair*": "a component: what it groups is judged",
    "Backup*": "a component: what it groups is judged",
    "EsxiCluster*": "a component: what it groups is judged, and servers too large for its hosts",
    "IscsiDatastores*": "a component: what it groups is judged",
    "VirtualMachine.address": "a component's output",
    "VirtualMachine.uuid": "a component's output",
    "VirtualMachine.guestId": "which drivers a VM is offered",
    "VirtualMachine.clone": "read once, when the VM is made",
    "VirtualMachine.networkInterfaces": "without its network a server is not reached, and the deployment fails",
    "VirtualMachine.waitForGuest*": "how long a deployment waits",
    "ComputeCluster.datacenterId": "where in the inventory",
    "ComputeCluster.haAdmissionControlHostFailureTolerance": "counts only where percentages are computed from it",
    "ComputeCluster.haAdmissionControlResourcePercentageAutoCompute": "computed percentages are as good as given ones",
    "ComputeCluster.haDatastoreApdResponseDelay": "how long, not whether",
    "ComputeCluster.haVmFailureInterval": "how soon, not whether",
    "ComputeCluster.haVmMinimumUptime": "how soon, not whether",
    "ComputeClusterVmAntiAffinityRule.mandatory": "stricter: with two of a tier on three hosts another host is left",
    "Host.*": "how the host is reached and named when it joins; a wrong one fails the deployment",
    "HostPortGroup": "without it servers, or the adapter on it, can't be made",
    "HostPortGroup.hostSystemId": "a port group on another host than its switch is refused",
    "HostPortGroup.virtualSwitchName": "a port group whose uplinks its switch lacks is refused",
    "HostPortGroup.teamingPolicy": "how uplinks share the load; which there are is judged",
    "HostPortGroup.vlanId": "on a wrong VLAN nobody is reached, and the deployment fails",
    "HostVirtualSwitch": "without it its port groups can't be made",
    "HostVirtualSwitch.hostSystemId": "a switch more there, one fewer here: then its port groups fail",
    "HostVirtualSwitch.standbyNics": "empty: all uplinks are active",
    "HostVirtualSwitch.teamingPolicy": "how uplinks share the load; which there are is judged",
    "VmfsDatastore.hostSystemId": "through which host it is made; every other one rescans",
    "Command.logging": "what is shown",
    "Command.triggers": "when a script runs again",
    "CopyToRemote*": "an artifact on its server; without it the deployment fails",
    "Database*": "whose a database is; whether it may be deleted is judged",
    "Role*": "who may log in to the database",
    "pulumi:providers:*": "how vCenter and the database are reached when the program runs; users don't notice",
    "/etc/perenne/*.env": "what a role's script is told; a wrong value fails the deployment",
    "/etc/perenne/wildfly/artifacts": "which files belong to which deployment; a wrong one fails the deployment",
    "/etc/ssh/*": "who may log in",
    "/etc/sysctl.d/*": "sizes of buffers",
    "/etc/systemd/journald.conf.d/*": "how much of the journal is kept",
    "/etc/patroni/passwords.sql": "passwords that are set when the database is made",
    "/etc/perenne/backup.pgpass": "a password; a wrong one fails the first backup, and with it the deployment",
    "/usr/local/sbin/perenne-restore": "used by people, after the fact",
    "/usr/local/share/perenne/modules/*": "where WildFly finds its driver; without it the deployment fails",
}
"""Changes that bring in no single point of failure, or that fail the deployment at once."""

UNSEEN: Mapping[str, str] = {
    "/etc/perenne/tls/*": "a certificate that has expired or that others don't trust: init and up renew them in time",
    "/etc/perenne/wildfly/environment": "a JGroups key that differs between nodes keeps one out of the cluster",
    "/etc/patroni/perenne/20-secrets.yml": "a replication password that differs keeps the standby from following",
    "/etc/systemd/system/*.service": "without Restart= a process that crashed stays down, and the other node is alone",
    "/etc/systemd/system/*.service.d/*": "the same",
    "/etc/modules-load.d/perenne-watchdog.conf": "without it only Patroni itself stops a primary that hangs",
    "/etc/udev/rules.d/60-perenne-watchdog.rules": "the same",
    "/usr/local/bin/patronictl": "what administrators type; nothing of the site runs it",
    "/usr/local/lib/perenne/start-patroni": "without it PostgreSQL isn't run by Patroni: no election, no standby",
    "/usr/local/share/perenne/patroni.txt": "a Patroni before 3.1 overwrites the key of another leader",
    "/usr/local/lib/perenne/backup": "a program that ends well without a backup",
    "/usr/local/lib/perenne/receive-wal": "without the log, a restore goes back to the last base backup",
    "/usr/local/lib/perenne/check-primary": "the database's address stays with a standby: deployments and backups use"
    " it, applications don't",
}
"""Changes that may bring in a single point of failure, and that no rule judges. `./perenne mutate` names them."""

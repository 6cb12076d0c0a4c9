# ruff: noqa: E501  # a table
"""Stack files with one mistake each that no schema knows: what one says of a site, and text that is no stack file."""

from collections.abc import Iterator

from tests.unit.wrong_stack_files import DEV, Wrong


def made_by_hand() -> Iterator[Wrong]:
    """The stack file of dev, with one thing changed in each."""
    sound = DEV.read_text()
    for name, there, instead, where, remedy in _AS_A_SITE:
        if there not in sound:
            raise ValueError(f"{there!r} is not in {DEV.name} any more")
        field, _, value = where.partition(" = ")
        yield Wrong(name, sound.replace(there, instead, 1).encode(), f"perenne:{field}", value, remedy)
    for name, content, problem, remedy in _as_text(sound):
        yield Wrong(name, content, problem, "", remedy)


_LB01 = "lb01: { role: balancer, host: psexi02, address: 198.18.20.11, datastore: datastore01"
_LB02 = "lb02: { role: balancer, host: psexi03"
_DB01 = "db01: { role: database, host: psexi04, address: 198.18.20.31, datastore: datastore01"
_WIT02 = "wit02: { role: witness, host: psexi02, address: 198.18.20.42, datastore: datastore02, cpus: 1, memory_mib: 512, disk_gib: 10 }"
_LB03 = "lb03: { role: balancer, host: psexi04, address: 198.18.20.13, datastore: datastore01, cpus: 1, memory_mib: 512, disk_gib: 10 }"
_BAK01 = "bak01: { role: backup, host: psexi02, address: 198.18.20.43, datastore: datastore02, cpus: 1, memory_mib: 512, disk_gib: 10 }"
_PSEXI03 = "b: 198.18.32.82 }, cpus: 8, memory_gib: 32, bmc"
_HOST = "{ address: 198.18.10.84, storage: { a: 198.18.31.84, b: 198.18.32.84 }, cpus: 8, memory_gib: 32, bmc: { address: 198.18.10.184, user: fencing } }"
_HEAP = "  perenne:wildfly: { heap_mib: 1024 }\n"
_SWITCHES = "  perenne:switches: { guests: { name: vSwitch1, uplinks: [vmnic2, vmnic3] }, storage: { name: vSwitch2, uplinks: [vmnic4, vmnic5] } }\n"
_PROTECT = "  perenne:protect: false\n"
_ARRAY = """\
    san02:
      iqn: iqn.2026-11.int.vmlabs:san02
      portals: { a: 198.18.31.11, b: 198.18.32.11 }
      luns: { datastore03: { naa: naa.3000000200000001, size_gib: 64 } }
  perenne:template:
"""

# fmt: off
_AS_A_SITE = (
    # What is wrong; what stands in Pulumi.dev.yaml and what instead; field, value and remedy of the message.
    ("an address outside its network", "198.18.20.11,", "198.18.21.11,", "servers.lb01.address = 198.18.21.11", "inside"),
    ("an address twice", "198.18.20.12,", "198.18.20.11,", "servers.lb02.address = 198.18.20.11", "its own address"),
    ("a host's address twice", "198.18.10.82,", "198.18.10.80,", "hosts.psexi03.address = 198.18.10.80", "its own"),
    ("a portal with a host's address", "{ a: 198.18.31.10,", "{ a: 198.18.31.80,", "storage.san01.portals.a", "its own"),
    ("a virtual address that a server has", "198.18.20.100", "198.18.20.11", "site.address = 198.18.20.11", "its own"),
    ("both virtual addresses alike", "198.18.20.110", "198.18.20.100", "database.address = 198.18.20.100", "its own"),
    ("the gateway's address", "198.18.20.41", "198.18.20.1", "networks.guests.gateway = 198.18.20.1", "its own"),
    ("a broadcast address", "198.18.20.41", "198.18.20.255", "servers.wit01.address = 198.18.20.255", "another"),
    ("a network's own address", "198.18.20.41", "198.18.20.0", "servers.wit01.address = 198.18.20.0", "another"),
    ("a network elsewhere", "guests: { cidr: 198.18.20.0", "guests: { cidr: 198.19.20.0", "networks.guests.cidr = 198.19.20.0/24", "correct the network"),
    ("a network of one address", "198.18.20.0/24", "198.18.20.200", "networks.guests.cidr = 198.18.20.200/32", "correct the network"),
    ("networks that overlap", "a: { cidr: 198.18.31.0/24", "a: { cidr: 198.18.16.0/20", "networks.storage.a.cidr = 198.18.16.0/20", "its own range"),
    ("storage on the network of the hosts", "management: { cidr: 198.18.10.0/24 }", "management: { cidr: 198.18.0.0/19 }", "networks.storage.a.cidr = 198.18.31.0/24", "its own range"),
    ("an mtu that differs", "b: { cidr: 198.18.32.0/24", "b: { mtu: 9000, cidr: 198.18.32.0/24", "networks.storage.b.mtu = 9000", "the same"),
    ("a server on an unknown host", _LB01, _LB01.replace("psexi02", "psexi09"), "servers.lb01.host = 'psexi09'", "use one of: psexi02, psexi03, psexi04"),
    ("a server on an unknown datastore", _LB01, _LB01.replace("datastore01", "datastore9"), "servers.lb01.datastore = 'datastore9'", "add the LUN"),
    ("both balancers on one host", _LB02, _LB02.replace("psexi03", "psexi02"), "servers.lb02.host = 'psexi02'", "a host that has none"),
    ("both databases on one datastore", _DB01, _DB01.replace("datastore01", "datastore02"), "servers.db02.datastore", "another LUN"),
    ("two votes on one host", "wit01: { role: witness, host: psexi03", "wit01: { role: witness, host: psexi02", "servers.wit01.host = 'psexi02'", "has none"),
    ("a host's own datastore with a LUN's name", _PSEXI03, _PSEXI03.replace("cpus", "local_datastore: datastore02, cpus"), "hosts.psexi03.local_datastore = 'datastore02'", "rename it"),
    ("a server that keeps no backups", "    wit01: {", f"    {_BAK01}\n    wit01: {{", "servers.bak01.role = 'backup'", "add it to backup.servers"),
    ("an even number of votes", "    wit01: {", f"    {_WIT02}\n    wit01: {{", 'servers = ["db01", "db02", "wit01", "wit02"]', "make it odd"),
    ("a server with a host's name", "    lb01: {", "    psexi02: {", "servers.psexi02 = 'psexi02'", "rename one"),
    *((f"a server called {name}", "    lb01: {", f"    {name}: {{", f"servers.{name} = '{name}'", "another name") for name in ("site", "authority", "database", "localhost", "vcenter", "client", "psexi02-bmc")),
    *((f"a host called {name}", "    psexi02: {", f"    {name}: {_HOST}\n    psexi02: {{", f"hosts.{name} = '{name}'", "another name") for name in ("database", "vcenter")),
    ("an array called as the lab's client", "    san01:\n", "    client:\n", "storage.client = 'client'", "another name"),
    ("an array called as a server", "    san01:\n", "    lb01:\n", "storage.lb01 = 'lb01'", "rename one"),
    ("an array with another's secret", "  perenne:template:\n", _ARRAY.replace("san02:\n", "mutual-san01:\n"), "storage.mutual-san01 = 'mutual-san01'", "rename one"),
    ("a site called as a server", "name: pnp.vmlabs.int", "name: lb01.vmlabs.int", "site.name = 'lb01.vmlabs.int'", "the site's own"),
    ("a site called as the database", "name: pnp.vmlabs.int", "name: database.vmlabs.int", "site.name = 'database.vmlabs.int'", "the site's own"),
    ("a vCenter called as a server", "server: 198.18.10.10", "server: db01.vmlabs.int\n    address: 198.18.10.10", "vcenter.server = 'db01.vmlabs.int'", "vCenter's own name"),
    ("a third balancer", "    wit01: {", f"    {_LB03}\n    wit01: {{", 'servers = ["lb01", "lb02", "lb03"]', "describe 2 servers"),
    ("a server larger than its host", "20.11, datastore: datastore01, cpus: 1", "20.11, datastore: datastore01, cpus: 9", "servers.lb01.cpus = 9", "lower it"),
    ("more memory than its host has", "memory_mib: 1024, disk_gib: 10 }\n    lb02", "memory_mib: 99999, disk_gib: 10 }\n    lb02", "servers.lb01.memory_mib = 99999", "lower it"),
    ("a disk larger than its datastore", "disk_gib: 10 }\n    lb02", "disk_gib: 65 }\n    lb02", "servers.lb01.disk_gib = 65", "lower it"),
    ("a heap as large as the server", _PROTECT, _PROTECT + _HEAP, "wildfly.heap_mib = 1024", "give the servers more"),
    ("an adapter in two switches", _PROTECT, _PROTECT + _SWITCHES.replace("vmnic4", "vmnic3"), "switches.storage.uplinks.0 = 'vmnic3'", "its own adapter"),
    ("a port group that every host has", "vlan: 20 }", "vlan: 20, port_group: perenne-storage-a }", "networks.guests.port_group = 'perenne-storage-a'", "choose another name"),
    ("ESXi's own port group", "vlan: 20 }", "vlan: 20, port_group: VM Network }", "networks.guests.port_group = 'VM Network'", "choose another name"),
    ("an adapter twice in a switch", _PROTECT, _PROTECT + _SWITCHES.replace("vmnic3", "vmnic2"), "switches.guests.uplinks.1 = 'vmnic2'", "its own adapter"),
    ("switches of the same name", _PROTECT, _PROTECT + _SWITCHES.replace("vSwitch2", "vSwitch1"), "switches.storage.name = 'vSwitch1'", "another name"),
    ("ESXi's own switch", _PROTECT, _PROTECT + _SWITCHES.replace("vSwitch2", "vSwitch0"), "switches.storage.name = 'vSwitch0'", "another name"),
    ("one uplink only", _PROTECT, _PROTECT + _SWITCHES.replace(", vmnic3", ""), 'switches.guests.uplinks = ["vmnic2"]', "at least 2"),
    ("one path only", ", b: 198.18.32.10 }", " }", 'storage.san01.portals = {"a": "198.18.31.10"}', "at least 2"),
    ("a host without a path", ", b: 198.18.32.80 }", " }", 'hosts.psexi02.storage = ["a"]', "add hosts.psexi02.storage.b"),
    ("a path that no network has", "a: 198.18.31.80, b:", "c: 198.18.33.80, a: 198.18.31.80, b:", "hosts.psexi02.storage.c = 198.18.33.80", "use one of: a, b"),
    ("a LUN's id twice", "naa.3000000100000002", "naa.3000000100000001", "storage.san01.luns.datastore02.naa", "copy the id"),
    ("a LUN's id with capital letters", "naa.3000000100000002", "naa.300000010000000A", "storage.san01.luns.datastore02.naa", "lower-case"),
    ("a LUN's id of ESXi's older form", "naa.3000000100000002", "eui.3000000100000002", "storage.san01.luns.datastore02.naa", "naa."),
    ("arrays with one name", "  perenne:template:\n", _ARRAY.replace(":san02", ":san01"), "storage.san02.iqn", "copy the name"),
    ("a datastore's name twice", "  perenne:template:\n", _ARRAY.replace("datastore03", "datastore01"), "storage.san02.luns.datastore01 = 'datastore01'", "its own name"),
    ("no user for CHAP", "      luns: #", '      chap: { user: "" }\n      luns: #', "storage.san01.chap.user = ''", "write it: Who the hosts say"),
    ("CHAP without a value", "      luns: #", "      chap:\n      luns: #", "storage.san01.chap: has no value", "keys and values"),
    ("a short lease", "vrrp: { router_id: 52 }", "vrrp: { router_id: 52 }\n    loop_wait: 15", "database.ttl = 20", "raise ttl"),
    ("virtual router ids alike", "router_id: 52", "router_id: 51", "database.vrrp.router_id = 51", "its own id"),
    ("backups on an unknown server", "servers: [wit01]", "servers: [bak01]", "backup.servers.0 = 'bak01'", "use one of: lb01"),
    ("backups twice on one server", "servers: [wit01]", "servers: [wit01, wit01]", "backup.servers.1 = 'wit01'", "remove one"),
    ("fencing without a host's BMC", ", bmc: { address: 198.18.10.182, user: fencing }", "", "hosts.psexi03.bmc.address", "add the BMC's address"),
    ("a BMC without user", "198.18.10.182, user: fencing", "198.18.10.182", "hosts.psexi03.bmc.user", "add the user"),
    ("a BMC's address twice", "198.18.10.182, user", "198.18.10.180, user", "hosts.psexi03.bmc.address = 198.18.10.180", "its own"),
    ("a BMC with its host's address", "198.18.10.182, user", "198.18.10.82, user", "hosts.psexi03.bmc.address = 198.18.10.82", "its own"),
    ("fencing with the account that may do everything", "user: fencing@", "user: administrator@", "fencing.user = 'administrator@vsphere.local'", "an account of its own"),
    ("patience as long as the lease", "  perenne:fencing:\n", "  perenne:fencing:\n    patience_seconds: 20\n", "fencing.patience_seconds = 20", "lower it"),
    ("more patience with a host", "  perenne:fencing:\n", "  perenne:fencing:\n    host_patience_seconds: 7\n", "fencing.host_patience_seconds = 7", "lower it"),
    ("a datacenter's name that the provider cuts", "datacenter: lab", "datacenter: vmlab", "vcenter.datacenter = 'vmlab'", "another name"),
    ("a vCenter as a URL", "server: 198.18.10.10", "server: https://198.18.10.10/ui", "vcenter.server = 'https://198.18.10.10/ui'", "without https://"),
    ("a vCenter with two addresses", "server: 198.18.10.10", "server: 198.18.10.10\n    address: 198.18.10.11", "vcenter.address = 198.18.10.11", "remove it"),
    ("a vCenter that servers can't find", "server: 198.18.10.10", "server: vcenter.vmlabs.int", "vcenter.address", "add vCenter's address"),
    ("a vCenter at a host's address", "server: 198.18.10.10", "server: vcenter.vmlabs.int\n    address: 198.18.10.80", "vcenter.address = 198.18.10.80", "give each its own address"),
    ("an artifact in clear", "artifact: apps", "artifact: http://apps", "services.pnp-manager.artifact = 'http://apps", "an https URL"),
    ("an artifact by another way", "artifact: apps", "artifact: ftp://apps", "services.pnp-manager.artifact = 'ftp://apps", "an https URL"),
    ("an artifact without checksum", "artifact: apps", "artifact: https://apps", "services.pnp-manager.sha256", "add sha256"),
    ("a checksum that is short", "      database: true", "      sha256: abc\n      database: true", "services.pnp-manager.sha256 = 'abc'", "64"),
    ("a checksum with capital letters", "      database: true", f"      sha256: {'A' * 64}\n      database: true", "services.pnp-manager.sha256", "lower-case"),
    ("an image in clear", "ova: .perenne", "ova: http://example/.perenne", "template.ova = 'http://example", "an https URL"),
    ("WildFly without checksum", _PROTECT, _PROTECT + "  perenne:wildfly: { url: https://a.example/w.zip }\n", "wildfly.sha256", "add sha256"),
    ("a health path elsewhere", "health_path: /pnp-manager/", "health_path: /pnp-managers/", "services.pnp-manager.health_path", "begin it with /pnp-manager"),
    ("a service with the platform's name", "    pnp-manager:\n", "    postgres:\n", "services.postgres = 'postgres'", "another name"),
    ("a login of an unknown service", _PROTECT, _PROTECT + "  perenne:logins: { crm: crm_b }\n", "logins.crm", "use one of: pnp-manager"),
    ("another service's login", _PROTECT, _PROTECT + "  perenne:logins: { pnp-manager: postgres }\n", "logins.pnp-manager = 'postgres'", "write pnp-manager or pnp-manager_b"),
    ("a host's key of an unknown host", _PROTECT, _PROTECT + "  perenne:host_keys: { psexi09: ssh-ed25519 AAAA }\n", "host_keys.psexi09", "use one of: psexi02"),
    ("a host's RSA key", _PROTECT, _PROTECT + "  perenne:host_keys: { psexi02: ssh-rsa AAAA }\n", "host_keys.psexi02 = 'ssh-rsa AAAA'", "./perenne init asks for the ECDSA key"),
    ("a key that is none", _PROTECT, _PROTECT + "  perenne:administrators: [id_ed25519.pub]\n", "administrators.0 = 'id_ed25519.pub'", "public SSH key"),
    ("a time source that is none", _PROTECT, _PROTECT + "  perenne:ntp: [pool ntp]\n", "ntp.0 = 'pool ntp'", "a DNS name"),
    ("no hosts", "  perenne:hosts:\n", "  perenne:hosts: {}\n  other:hosts:\n", "hosts = {}", "at least 1"),
    ("no servers", "  perenne:servers:\n", "  perenne:servers: {}\n  other:servers:\n", "servers = {}", "at least 1"),
    ("no services", "  perenne:services:\n", "  perenne:services: {}\n  other:services:\n", "services = {}", "at least 1"),
    ("a list where a map belongs", "  perenne:hosts:\n", "  perenne:hosts: [psexi02]\n  other:hosts:\n", 'hosts = ["psexi02"]', "keys and values"),
    ("a secret in clear", _PROTECT, _PROTECT + "  perenne:vcenter-password: hunter2\n", "vcenter-password = '…'", "./perenne init"),
    ("a CHAP secret in clear", _PROTECT, _PROTECT + "  perenne:chap-san01: hunter2hunter2\n", "chap-san01 = '…'", "./perenne init"),
    ("an encrypted setting", "perenne:domain: vmlabs.int", "perenne:domain: { secure: v1:aaaa:bbbb }", "domain = '…'", "in clear"),
    ("a value that is not there", "perenne:domain: vmlabs.int", "perenne:domain:", "domain: has no value", "DNS domain"),
    ("a truth value in words", "perenne:protect: false", "perenne:protect: no", "protect = 'no'", "true or false"),
    ("a key of another level", "  perenne:cluster:\n", "  perenne:cluster:\n    gateway: 198.18.20.1\n", "cluster.gateway: unknown key", "use one of: apd_delay_seconds"),
    ("a password where none is asked for", "  perenne:vcenter:\n", "  perenne:vcenter:\n    password: hunter2\n", "vcenter.password: unknown key", "use one of: "),
)
# fmt: on
"""Mistakes in what the file says of the site, in one line each."""


def _as_text(sound: str) -> Iterator[tuple[str, bytes, str, str]]:
    """What is wrong, the file, how the message begins, and a part of its remedy."""
    example = "see Pulumi.dev.yaml"
    # fmt: off
    for name, text, problem, remedy in (
        ("nothing", "", "is empty", example),
        ("a comment only", "# later\n", "is empty", example),
        ("null", "~\n", "is empty", example),
        ("a list", "- config\n", "has no config: block", example),
        ("a word", "config\n", "has no config: block", example),
        ("config without keys", "config:\n", "has no config: block", example),
        ("config as a number", "config: 3\n", "has no config: block", example),
        ("config as a list", "config: [perenne]\n", "has no config: block", example),
        ("an empty config", "config: {}\n", "has no setting", example),
        ("other programs' settings only", "config: { aws:region: eu }\n", "has no setting", example),
        ("a bracket that isn't closed", "config: [\n", "line 2, column 1: is not YAML", "correct it"),
        ("a quote that isn't closed", 'config: "perenne\n', "line 2, column 1: is not YAML", "correct it"),
        ("a colon too many", "config:\n  perenne:domain: a: b\n", "line 2, column 20: is not YAML", "correct it"),
        ("a tab", "config:\n\tperenne:domain: vmlabs.int\n", "line 2, column 1: is not YAML", "with spaces"),
        ("a tab within", "config:\n  perenne:site:\n\t  name: a\n", "line 3, column 1: is not YAML", "with spaces"),
        ("text that begins with @", "config:\n  perenne:domain: @home\n", "line 2, column 19: is not YAML", "in quotes"),
        ("keys that don't line up", "config:\n  perenne:domain: a\n perenne:site: b\n", "line 3, column 2: is not YAML", "correct it"),
        ("two documents", sound + "---\n" + sound, "line ", "correct it"),
        ("an alias that nothing defines", "config:\n  perenne:domain: *domain\n", "line 2, column 19: is not YAML", "correct it"),
        ("an alias", "config:\n  perenne:domain: &one vmlabs.int\n  perenne:site: *one\n", "line 2: perenne:site repeats", "write the value out"),
        ("an alias of itself", "config:\n  perenne:hosts: &all\n    psexi02: *all\n", "line 2: perenne:hosts.psexi02 repeats", "write the value out"),
        ("a merge key", "config:\n  perenne:a: &one { b: 1 }\n  perenne:c: { <<: *one }\n", "line 3: perenne:c has the key <<", "correct it"),
        ("a key twice", sound + "  perenne:domain: other.int\n", "line ", "remove one"),
        ("a key twice below", "config:\n  perenne:site: { name: a.b, name: c.d }\n", "line 2: perenne:site.name is there twice", "remove one"),
        ("a number as a key", "config:\n  perenne:hosts: { 3: {} }\n", "line 2: perenne:hosts has the key 3", "in quotes"),
        ("no key", "config:\n  perenne:hosts: { ~: {} }\n", "line 2: perenne:hosts has the key ~", "in quotes"),
        ("a truth value as a key", "config:\n  true: 1\n", "line 2: config has the key true", "in quotes"),
        ("a list as a key", "config:\n  ? [perenne]\n  : 1\n", "line 2: config has the key a list or map", "in quotes"),
        ("a date", "config:\n  perenne:domain: 2026-11-23\n", "line 2: perenne:domain is read as a timestamp", "in quotes"),
        ("a Python object", "config:\n  perenne:domain: !!python/name:os.system x\n", "line 2: perenne:domain is read as a python", "in quotes"),
        ("a set", "config: !!set { perenne:domain }\n", "line 1: config is read as a set", "in quotes"),
        ("a number that is none", "config:\n  perenne:domain: !!int lab\n", "has a value that is none", "correct it"),
        ("brackets in brackets", "config: " + "[" * 2000 + "]" * 2000, "has lists or maps in one another", "brackets"),
        ("a hundred thousand brackets", "[" * 100_000, "has more than 10000 lists and maps", "remove"),
        ("a hundred thousand dashes", "- " * 100_000, "has more than 10000 lists and maps", "remove"),
        ("a key without namespace", "config:\n  domain: vmlabs.int\n  perenne:protect: true\n", "config.domain: a key needs a namespace", "did you mean perenne:domain?"),
        ("a misspelt namespace", sound.replace("perenne:domain", "perene:domain"), "config.perene:domain: unknown namespace", "did you mean perenne:domain?"),
        ("a namespace without key", sound + "  'perenne:': 1\n", "config.perenne:: a key needs a name", "add it"),
        ("a character that YAML forbids", "config:\n  perenne:domain: a\x00b\n", "is not YAML", "correct the text"),
        ("too much", sound + "# much\n" * 200_000, "has more than 1 MiB", example),
    ):
        yield name, text.encode(), problem, remedy
    # fmt: on
    yield "UTF-16", sound.encode("utf-16"), "line 1: byte 0xff is not UTF-8", "as UTF-8"
    yield "Latin-1", sound.replace("vmlabs", "señal").encode("latin-1"), "line ", "as UTF-8"
    yield "bytes", bytes(range(128, 256)) * 10, "line 1: byte 0x80 is not UTF-8", "as UTF-8"

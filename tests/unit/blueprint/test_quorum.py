"""Who votes in a quorum that runs; tests/lab/test_quorum.py changes it with real etcds."""

from pathlib import Path

from blueprint import guests, loading
from blueprint.guests import GuestRole

PROJECT = Path(__file__).parents[3]


def test_a_further_vote_restarts_nobody() -> None:
    """What restarts etcd (apply.sh: /etc/default/etcd and its unit) does not name the other votes."""
    config = loading.config_of(PROJECT / "Pulumi.prod.yaml")
    before = guests.files(loading.settings_from_config(config, "test"), "db01", GuestRole.QUORUM, {})
    for number, host in enumerate(("psexi05", "psexi06"), start=2):
        last = config["perenne:hosts"]["psexi04"]
        storage = {path: address[:-2] + f"9{number}" for path, address in last["storage"].items()}
        config["perenne:hosts"][host] = {
            **last,
            "address": f"172.16.110.9{number}",
            "vmotion": f"172.16.112.9{number}",
            "storage": storage,
        }
        config["perenne:hosts"][host]["local_datastore"] = f"{host}-local"
        witness = {"host": host, "datastore": f"{host}-local", "address": f"172.16.110.17{number}"}
        config["perenne:servers"][f"wit0{number}"] = config["perenne:servers"]["wit01"] | witness
    # Of five votes, three must be where vSphere HA can restart them.
    config["perenne:servers"]["wit02"]["datastore"] = "datastore02"
    after = guests.files(loading.settings_from_config(config, "test"), "db01", GuestRole.QUORUM, {})
    changed = {path for path in after if after[path] != before[path]}
    assert changed == {"/etc/default/etcd-cluster", "/etc/perenne/quorum.env", "/etc/hosts"}

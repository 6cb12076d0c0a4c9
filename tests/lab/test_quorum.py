"""Who votes in a quorum that runs, changed with real etcds on the loopback interface of one of the lab's servers."""

from pathlib import Path

from docker import DockerClient

from tests.lab.conftest import LAB, PROJECT

SCRIPT = Path(__file__).with_name("quorum.sh")
PROGRAM = PROJECT / "components" / "guest" / "quorum" / "membership.sh"


def test_votes_join_come_back_and_leave_one_at_a_time(engine: DockerClient) -> None:
    container = engine.containers.get(f"{LAB}-wit01")
    texts = {"PROGRAM": PROGRAM.read_text(), "SCRIPT": SCRIPT.read_text()}
    command = 'set -e; d=$(mktemp --directory); printf %s "$PROGRAM" >$d/program; printf %s "$SCRIPT" >$d/script; '
    command += "chmod +x $d/program; bash $d/script $d/program; rm -r $d"
    status, (output, complaints) = container.exec_run(["bash", "-c", command], environment=texts, demux=True)
    assert (status, output) == (0, b"as expected\n"), complaints

"""Benchmarks of design 3: cost of one change against what is configured, agent side and through update_config.

`python -m tests.bench [--quick]` prints a table; figures go to build/bench.json, a plot to build/bench.svg. Needs root.
Nothing here is a test: budgets are shown beside the figures, and judged by the reader.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.agent import kit
from tests.bench import documents
from tests.bench.plot import svg
from tests.system.kit import Router, eventually, isolated
from tests.system.test_su import reboot

OUT = Path("build")
BUDGET_MS = {
    "agent": 15.0, "update_config": 60.0, "repeat": 5.0, "update_config repeat": 40.0, "boot": 2000.0, "drop": 5000.0,
}  # fmt: skip  # design 3
_DROPPED = 1000
_PYTHON_ALONE = (sys.executable, "-S", "-c", "pass")  # as update_config starts
FLUSHED_S = 1.0  # what was deferred is on disk, and counted
_LARGE = 2000
_DOCUMENTS = "/root/bench.json"
_AGENT = (
    "import json,socket\n"
    "answers=[]\n"
    f"for i,text in enumerate(json.load(open('{_DOCUMENTS}'))):\n"
    " s=socket.socket(socket.AF_UNIX); s.connect('/run/vrouter/agent.sock')\n"
    " s.sendall(b'apply\\0'+json.dumps({'files':[['bench.json',text]]}).encode()+b'\\n')\n"
    " answer=b''.join(iter(lambda: s.recv(65536), b''))\n"
    " answers.append(json.loads(answer.partition(b'\\n')[2])['files'][0]); assert not answers[-1]['refused']\n"
    "print(json.dumps(answers))\n"
)
_ASKED = (
    "import json,os,socket\n"
    f"for i,text in enumerate(json.load(open('{_DOCUMENTS}'))):\n"
    " name='asked.json.%d.%d'%(os.getpid(),i)\n"
    " open('/var/cache/cloud/'+name,'w').write(text)\n"
    " s=socket.socket(socket.AF_UNIX); s.connect('/run/vrouter/agent.sock')\n"
    " s.sendall(b'update_config\\0'+name.encode()+b'\\0keep\\n'); assert s.recv(65536)==b'0\\n'\n"
)
_ALONE = (
    "import json,subprocess,time\n"
    "answers=[]\n"
    f"for _ in json.load(open('{_DOCUMENTS}')):\n"
    f" begin=time.perf_counter(); subprocess.run({_PYTHON_ALONE!r})\n"
    " answers.append({'elapsed_ms':(time.perf_counter()-begin)*1000,'stages_ms':{}})\n"
    "print(json.dumps(answers))\n"
)
_CLIENT = (
    "import json,os,subprocess,time\n"
    "answers=[]\n"
    f"for i,text in enumerate(json.load(open('{_DOCUMENTS}'))):\n"
    " name='bench.json.%d.%d'%(os.getpid(),i)\n"
    " open('/var/cache/cloud/'+name,'w').write(text)\n"
    " begin=time.perf_counter(); done=subprocess.run(['/opt/cloud/bin/update_config.py',name])\n"
    " answers.append({'elapsed_ms':(time.perf_counter()-begin)*1000,'stages_ms':{}}); assert done.returncode==0\n"
    "print(json.dumps(answers))\n"
)
Documents = list[dict[str, Any]]


@dataclass(frozen=True)
class Figure:
    """One operation at one size. Milliseconds by the clock, median and 99th percentile, and the median of each stage;
    milliseconds that the agent had a processor, everything it did for it counted; the agent's memory afterwards."""

    what: str
    of: str
    size: int
    median_ms: float
    p99_ms: float
    cpu_ms: float
    resident_kib: int
    budget_ms: float
    stages_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """One router, and how much of what is configured on it."""

    router: Router
    of: str
    size: int

    def agent(self, what: str, commands: Documents, budget_ms: float = BUDGET_MS["agent"]) -> Figure:
        """Agent side: from a command's bytes to its answer, one command after the other. Half of them are asked for
        with their times, half as update_config does, to see what they cost."""
        answers = json.loads(self._ran(_AGENT, commands[::2])[0])
        return self._figure(what, answers, self._ran(_ASKED, commands[1::2])[1], budget_ms)

    def client(self, what: str, commands: Documents, budget_ms: float) -> Figure:
        """Through update_config, its process' start included."""
        said, cpu_ms = self._ran(_CLIENT, commands)
        return self._figure(f"update_config: {what}", json.loads(said), cpu_ms, budget_ms)

    def alone(self, runs: int) -> Figure:
        """What python takes to start and end, for comparison."""
        said, cpu_ms = self._ran(_ALONE, [{}] * runs)
        return self._figure("python that does nothing", json.loads(said), cpu_ms, BUDGET_MS["update_config"])

    def once(self, what: str, budget_ms: float, act: Callable[[], object]) -> Figure:
        """One thing that takes its time; the agent's processor time is of the process that runs at its end."""
        begin = time.perf_counter()
        act()
        took_ms = (time.perf_counter() - begin) * 1000
        cpu_ms = kit.cpu_s(kit.outer_pid(self.router)) * 1000
        return self._figure(what, [{"elapsed_ms": took_ms, "stages_ms": {}}], cpu_ms, budget_ms)

    def _ran(self, script: str, commands: Documents) -> tuple[str, float]:
        """What a script says of commands, and milliseconds of the agent for each."""
        texts = json.dumps([json.dumps(command) for command in commands])
        self.router.lab.put("router", _DOCUMENTS, texts.encode())
        process = kit.outer_pid(self.router)
        begin_s = kit.cpu_s(process)
        said = self.router.sh("router", "python3", "-c", script, limit_s=300)
        if self.size > _LARGE:
            time.sleep(FLUSHED_S)
        return said, (kit.cpu_s(process) - begin_s) * 1000 / len(commands)

    def _figure(self, what: str, answers: Documents, cpu_ms: float, budget_ms: float) -> Figure:
        took = sorted(answer["elapsed_ms"] for answer in answers)
        stages = {
            name: statistics.median(answer["stages_ms"].get(name, 0.0) for answer in answers)
            for name in answers[0]["stages_ms"]
        }
        p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
        resident = kit.resident_kib(kit.outer_pid(self.router))
        return Figure(what, self.of, self.size, statistics.median(took), p99, cpu_ms, resident, budget_ms, stages)


def forwards(bench: Bench, runs: int) -> Iterator[Figure]:
    """Every operation on a router with so many forwards, and as many rules and hosts up to a bound."""
    size = bench.size
    bench.router.send(documents.forwards(range(size)), documents.rules(range(min(size, 10_000))))
    with_hosts(bench.router, min(size, 1000))
    more = range(size + 100, size + 100 + runs)
    again = [documents.forwards([1])] * runs
    yield bench.agent("one more forward", [documents.forwards([n]) for n in more])
    yield bench.agent("one less forward", [documents.forwards([n], revoke=True) for n in more])
    yield bench.agent("the same forward again", again, BUDGET_MS["repeat"])
    yield bench.agent("one more firewall rule", [documents.rules([n]) for n in more])
    yield bench.agent("one less firewall rule", [documents.rules([n], revoked=True) for n in more])
    yield bench.agent("one more rule with a source", [documents.rules([n], source="203.0.113.0/24") for n in more])
    yield bench.client("one more forward", [documents.forwards([n]) for n in more], BUDGET_MS["update_config"])
    yield bench.client("the same again", again, BUDGET_MS["update_config repeat"])
    yield bench.alone(runs)


def whole_router(bench: Bench, _: int) -> Iterator[Figure]:
    """Starts, and many commands at once, on a router with so many forwards and guests up to a bound."""
    router = bench.router
    router.send(documents.forwards(range(bench.size)))
    with_hosts(router, min(bench.size, 1000))
    kit.stop(router)
    yield bench.once("start on its own state", BUDGET_MS["boot"], lambda: kit.start(router))
    kit.stop(router)
    reboot(router)
    yield bench.once("start on an empty kernel (boot)", BUDGET_MS["boot"], lambda: kit.start(router))
    numbers = range(bench.size + 100, bench.size + 100 + _DROPPED)
    files = [(f"drop.json.{number}", documents.forwards([number])) for number in numbers]

    def dropped() -> None:
        kit.push(router, *files)
        assert eventually(lambda: kit.settled(router), 60)

    yield bench.once(f"{_DROPPED} files dropped at once", BUDGET_MS["drop"], dropped)


def with_hosts(router: Router, count: int) -> None:
    """Configure so many guests."""
    answers = kit.pushed(router, [documents.host(number) for number in range(count)], 8, "hosts")
    assert set(answers) <= {(0, "")}


def hosts(bench: Bench, runs: int) -> Iterator[Figure]:
    """One more and one less beside so many guests."""
    with_hosts(bench.router, bench.size)
    more = range(bench.size + 100, bench.size + 100 + runs)
    yield bench.agent("one more host", [documents.host(n) for n in more])
    yield bench.agent("one less host", [documents.host(n, remove=True) for n in more])


def addresses(bench: Bench, runs: int) -> Iterator[Figure]:
    """One more and one less beside so many addresses."""
    bench.router.send(documents.addresses(range(bench.size)))
    more = range(bench.size + 100, bench.size + 100 + runs)
    yield bench.agent("one more address", [documents.addresses([n]) for n in more])
    yield bench.agent("one less address", [documents.addresses([n], add=False) for n in more])


SERIES: tuple[tuple[Callable[[Bench, int], Iterator[Figure]], tuple[int, ...], tuple[int, ...]], ...] = (
    (forwards, (10, 1000), (10, 100, 1000, 10_000, 50_000)),
    (hosts, (10, 1000), (10, 100, 1000, 10_000)),
    (addresses, (10, 1000), (10, 100, 1000, 10_000)),
    (whole_router, (1000,), (1000, 10_000)),
)
"""What is measured, at which sizes in the quick form, and in the whole one."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two sizes, fewer runs: under a minute")
    quick = parser.parse_args().quick
    figures: list[Figure] = []
    print(
        f"{'operation':36} {'beside':>16} {'median':>9} {'p99':>9} {'budget':>7} {'CPU':>8} {'memory':>8}   stages (ms)"
    )
    for series, few, all_of_them in SERIES:
        for size in few if quick else all_of_them:
            with isolated(agent=True) as router:
                for figure in series(Bench(router, series.__name__, size), 20 if quick else 80):
                    figures.append(figure)
                    show(figure)
    OUT.mkdir(exist_ok=True)
    (OUT / "bench.json").write_text(json.dumps({"figures": [asdict(figure) for figure in figures]}, indent=2))
    (OUT / "bench.svg").write_text(svg("milliseconds of one change, by how many are configured", lines(figures)))
    print(f"written: {OUT / 'bench.json'}, {OUT / 'bench.svg'}")


def lines(figures: Iterable[Figure]) -> dict[str, list[tuple[float, float]]]:
    """The medians of each operation, by size."""
    found: dict[str, list[tuple[float, float]]] = {}
    for figure in figures:
        found.setdefault(figure.what, []).append((figure.size, figure.median_ms))
    return found


def show(figure: Figure) -> None:
    """One line of the table."""
    stages = " ".join(f"{stage} {took:.2f}" for stage, took in figure.stages_ms.items())
    print(
        f"{figure.what:36} {f'{figure.size} {figure.of}':>16} {figure.median_ms:>6.1f} ms {figure.p99_ms:>6.1f} ms "
        f"{figure.budget_ms:>5.0f} ms {figure.cpu_ms:>5.1f} ms {figure.resident_kib / 1024:>4.0f} MiB   {stages}",
        flush=True,
    )


if __name__ == "__main__":
    main()

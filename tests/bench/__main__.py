"""Benchmarks of design 3: cost of one change against what is configured, agent side and through update_config.

`python -m tests.bench [--quick]` prints a table; figures go to build/bench.json, a plot to build/bench.svg. Needs root.
Nothing here is a test: budgets are shown beside the figures, and judged by the reader.
"""

from __future__ import annotations

import argparse
import json
import statistics
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import documents
from tests.bench.plot import svg
from tests.system.kit import ISOLATED, Router, example
from vrouter.lab.lab import Lab

OUT = Path("build")
BUDGET_MS = {"agent": 15.0, "update_config": 60.0, "repeat": 5.0}  # design 3
_CLIENT = (
    "import json,os,subprocess,sys,time\n"
    "took=[]\n"
    "for i,text in enumerate(json.load(open('/root/bench.json'))):\n"
    " name='bench.json.%d.%d'%(os.getpid(),i)\n"
    " open('/var/cache/cloud/'+name,'w').write(text)\n"
    " begin=time.perf_counter(); done=subprocess.run(['/opt/cloud/bin/update_config.py',name])\n"
    " took.append((time.perf_counter()-begin)*1000); assert done.returncode==0\n"
    "print(json.dumps(took))\n"
)


@dataclass(frozen=True)
class Figure:
    """One operation at one size: milliseconds, median and 99th percentile; the median of each stage."""

    what: str
    size: int
    median_ms: float
    p99_ms: float
    budget_ms: float
    stages_ms: dict[str, float] = field(default_factory=dict)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two sizes, fewer runs: under a minute")
    quick = parser.parse_args().quick
    sizes, runs = ((10, 1000), 10) if quick else ((10, 100, 1000, 10_000, 50_000), 40)
    figures: list[Figure] = []
    resident: dict[int, int] = {}
    print(f"{'operation':32} {'size':>6} {'median':>9} {'p99':>9} {'budget':>7}   stages (median ms)")
    for size in sizes:
        with Lab.up("isolated", f"bench{uuid.uuid4().hex[:8]}") as lab:
            router = Router(lab)
            router.send(*(example(f"isolated/{path.stem}") for path in ISOLATED))
            router.send(documents.forwards(range(size)))
            router.send(documents.rules(range(min(size, 10_000))))
            router.send(*(documents.host(number) for number in range(min(size, 1000))))
            for figure in measured(router, size, runs):
                figures.append(figure)
                show(figure)
            resident[size] = resident_kib(router)
            print(f"{'resident memory of the agent':32} {size:>6} {resident[size] / 1024:>6.0f} MiB")
    OUT.mkdir(exist_ok=True)
    report = {"figures": [asdict(figure) for figure in figures], "resident_kib": resident}
    (OUT / "bench.json").write_text(json.dumps(report, indent=2))
    names = sorted({figure.what for figure in figures})
    lines = {name: [(figure.size, figure.median_ms) for figure in figures if figure.what == name] for name in names}
    (OUT / "bench.svg").write_text(svg("milliseconds of one change, by number of forwards configured", lines))
    print(f"written: {OUT / 'bench.json'}, {OUT / 'bench.svg'}")


def measured(router: Router, size: int, runs: int) -> list[Figure]:
    """Every operation at one size."""
    more = range(size + 100, size + 100 + runs)
    hosts = range(2000, 2000 + runs)
    plain = BUDGET_MS["agent"]
    return [
        agent(router, "one more forward", size, plain, [documents.forwards([n]) for n in more]),
        agent(router, "one less forward", size, plain, [documents.forwards([n], revoke=True) for n in more]),
        agent(router, "the same forward again", size, BUDGET_MS["repeat"], [documents.forwards([1])] * runs),
        agent(router, "one more firewall rule", size, plain, [documents.rules([n]) for n in more]),
        agent(router, "one less firewall rule", size, plain, [documents.rules([n], revoked=True) for n in more]),
        agent(router, "one more rule with a source", size, plain,
              [documents.rules([n], source="203.0.113.0/24") for n in more]),
        agent(router, "one more host", size, plain, [documents.host(n) for n in hosts]),
        agent(router, "one less host", size, plain, [documents.host(n, remove=True) for n in hosts]),
        agent(router, "one more address", size, plain, [documents.address(n) for n in range(runs)]),
        agent(router, "one less address", size, plain, [documents.address(n, add=False) for n in range(runs)]),
        client(router, "update_config: one more forward", size, BUDGET_MS["update_config"],
               [documents.forwards([n]) for n in more]),
        client(router, "update_config: the same again", size, 40.0, [documents.forwards([1])] * runs),
    ]  # fmt: skip


def agent(router: Router, what: str, size: int, budget_ms: float, commands: list[dict[str, Any]]) -> Figure:
    """Agent side: from a command's bytes to its answer, one command after the other."""
    files = [router.send(command)["files"][0] for command in commands]
    names = files[0]["stages_ms"]
    stages = {name: statistics.median(file["stages_ms"].get(name, 0.0) for file in files) for name in names}
    return figure(what, size, budget_ms, [file["elapsed_ms"] for file in files], stages)


def client(router: Router, what: str, size: int, budget_ms: float, commands: list[dict[str, Any]]) -> Figure:
    """Through update_config, its process' start included."""
    router.lab.put("router", "/root/bench.json", json.dumps([json.dumps(command) for command in commands]).encode())
    return figure(what, size, budget_ms, json.loads(router.sh("router", "python3", "-c", _CLIENT, limit_s=120)), {})


def figure(what: str, size: int, budget_ms: float, took: list[float], stages: dict[str, float]) -> Figure:
    """The figures of some runs."""
    took = sorted(took)
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    return Figure(what, size, statistics.median(took), p99, budget_ms, stages)


def show(figure: Figure) -> None:
    """One line of the table."""
    stages = " ".join(f"{stage} {took:.2f}" for stage, took in figure.stages_ms.items())
    print(
        f"{figure.what:32} {figure.size:>6} {figure.median_ms:>6.1f} ms {figure.p99_ms:>6.1f} ms "
        f"{figure.budget_ms:>4.0f} ms   {stages}",
        flush=True,
    )


def resident_kib(router: Router) -> int:
    """Resident memory of the agent."""
    pid = router.sh("router", "pgrep", "-of", "vrouter agent").strip()
    status = router.sh("router", "cat", f"/proc/{pid}/status")
    return int(status.partition("VmRSS:")[2].split()[0])


if __name__ == "__main__":
    main()

"""The command line of tools/bench: starts everything, measures in interleaved rounds, prints, and ends everything."""

import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import paths
from harness.certificates import Authority

from . import content, meter, rivals, rows, table
from .load import Failed
from .upstream import Upstream


def main() -> int:
    options = _arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    wanted = [rival for rival in rivals.ALL if rival.name in options.rivals]
    _install()
    _build(wanted, options)
    paths.SCRATCH.mkdir(parents=True, exist_ok=True)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="entrepot-bench-", dir=paths.SCRATCH))
    running = []
    try:
        tables = _run(wanted, options, scratch, running)
    except KeyboardInterrupt:
        return 130
    finally:
        for server in reversed(running):
            server.stop()
        if options.keep:
            say(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    print("\n" + "\n".join(one.markdown() for one in tables))
    rounds = max((len(samples) for one in tables for samples in one.samples.values()), default=0)
    print(f"{rounds} rounds, {os.cpu_count()} cores; {table.quietness(tables)}.")
    if options.json:
        _write_json(tables, options)
    return 0


def _arguments():
    parser = argparse.ArgumentParser(prog="tools/bench", description="Measures entrepot beside docker-registry and nginx.")
    names, keys = [rival.name for rival in rivals.ALL], [row.key for row in rows.ALL]

    def some_of(known):
        def parse(text):
            if unknown := set(text.split(",")) - set(known):
                raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
            return text.split(",")
        return parse

    parser.add_argument("--rounds", type=int, help="how often each is measured (5)")
    parser.add_argument("--quick", action="store_true", help="2 rounds with loads of 1 s")
    parser.add_argument("--seconds", type=int, help="of each load of small answers (3)")
    parser.add_argument("--connections", type=int, default=32, help="of wrk (32)")
    parser.add_argument("--minutes", type=float, default=15, help="no round begins after so many (15)")
    parser.add_argument("--patience", type=float, default=0, metavar="MINUTES",
                        help="wait for moments when the machine is quiet, so long in all (0)")
    parser.add_argument("--large-mib", type=int, default=256, help="size of the large blob (256)")
    parser.add_argument("--rivals", type=some_of(names), default=[rival.name for rival in rivals.USUAL],
                        help=",".join(names))
    parser.add_argument("--rows", type=some_of(keys), default=keys, help=",".join(keys))
    parser.add_argument("--entrepot", type=pathlib.Path, help="the binary (build/release/entrepot, built if missing)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all samples to FILE")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and caches")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 3)
    return options


def say(text: str):
    print(text, file=sys.stderr, flush=True)


# -- before

def _install():
    listed = subprocess.run([paths.REPOSITORY / "tools/packages", "bench"], capture_output=True, text=True, check=True)
    wanted = listed.stdout.split()
    installed = "${db:Status-Status}"
    missing = [name for name in wanted if subprocess.run(
        ["dpkg-query", "-W", "-f", installed, name], capture_output=True, text=True).stdout != "installed"]
    if not missing:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    say(f"Installing Debian packages to measure: {' '.join(missing)}" + (" (with sudo)" if sudo else ""))
    command = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    install = [*command, "install", "-y", "-q", "--no-install-recommends", *missing]
    if subprocess.run(install, stdout=sys.stderr).returncode != 0:
        subprocess.run([*command, "update", "-q"], stdout=sys.stderr, check=True)
        subprocess.run(install, stdout=sys.stderr, check=True)


def _build(wanted, options):
    if rivals.Entrepot not in wanted:
        return
    binary = (options.entrepot or paths.BINARY).absolute()
    if not binary.exists() and not options.entrepot:
        say("Building entrepot (release).")
        subprocess.run([paths.REPOSITORY / "tools/build", "release", "entrepot"], stdout=sys.stderr, check=True)
    rivals.Entrepot.program = binary


# -- measuring

def _run(wanted, options, scratch, running) -> list[table.Table]:
    begun = time.monotonic()
    say("starting the upstream, and pushing to it")
    upstream = Upstream(scratch)
    running.append(upstream)
    bench = rows.Bench(
        content=content.push(upstream.address, options.large_mib << 20), upstream=upstream, scratch=scratch,
        seconds=options.seconds, connections=options.connections, threads=min(2, os.cpu_count()),
        downloads=2 if options.quick else 8, quiet=meter.Quiet(options.patience * 60),
        certificate=Authority(scratch / "tls").server())
    say(f"a manifest of {bench.content.by_tag.size} bytes, blobs of 4 KiB and {options.large_mib} MiB")
    started = []
    for kind in wanted:
        rival = kind(upstream.url, scratch / kind.name)
        running.append(rival)
        bench.running.append(rival)
        rival.start()
        started.append(rival)
    chosen = [row for row in rows.ALL if row.key in options.rows]
    tables = [table.Table(row, row.title.replace("large", f"{options.large_mib} MiB")) for row in chosen]
    able = {one: _able(bench, one, started) for one in tables}
    for number in range(options.rounds):
        if time.monotonic() - begun > options.minutes * 60:
            say(f"{options.minutes} minutes are over: {number} rounds")
            break
        say(f"round {number + 1} of {options.rounds}, load average {os.getloadavg()[0]:.1f}")
        for one in tables:
            _round(bench, one, able[one], number)
    return tables


def _able(bench, one, started) -> list:
    """Those that take part in a row: all whose bytes are right."""
    able = []
    for rival in started:
        try:
            one.row.prepare(bench, rival)
            able.append(rival)
        except Failed as failure:
            say(f"{one.row.key}: {rival.name} takes no part: {failure}")
            one.fail(rival.name, str(failure))
    return [*able, *one.row.others(bench)]


def _round(bench, one, able, number: int):
    turn = number % len(able) if able else 0
    results = {}
    for rival in able[turn:] + able[:turn]:
        try:
            results[rival.name] = one.row.measure(bench, rival)
        except (Failed, AssertionError) as failure:
            say(f"{one.row.key}: {rival.name} failed: {failure}")
            one.fail(rival.name, str(failure))
    for rival in able:
        if rival.name in results:
            one.add(rival.name, results[rival.name])
    shown = ", ".join(f"{name} {one.row.columns[0].title} {sample[one.row.columns[0].key]:,.1f} cpu {sample['cpu']:.3g}"
                      for name, sample in results.items())
    say(f"  {one.row.key}: {shown}")


# -- after

def _write_json(tables, options):
    cpu = [line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")]
    result = {
        "machine": {"cores": os.cpu_count(), "cpu": cpu[0] if cpu else platform.machine(), "kernel": platform.release()},
        "settings": {key: getattr(options, key) for key in ("rounds", "seconds", "connections", "large_mib")},
        "rows": [{"row": one.row.key, "samples": one.samples, "failures": one.failures} for one in tables]}
    options.json.write_text(json.dumps(result, indent=1) + "\n")
    say(f"written: {options.json}")

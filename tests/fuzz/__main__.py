"""`python -m tests.fuzz [--runs N] [TARGET ...]`: each target in a process of its own, its figures in one line.

What fails is left as a file crash-… in the working folder; `python -m tests.fuzz --again FILE TARGET` shows it again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 10  # without an end of it, of one input; checks.py is stricter


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=0, help="of each target at most; 0: no end")
    parser.add_argument("--again", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    chosen = parser.parse_args()
    if chosen.child:
        fuzz(chosen.targets[0], chosen.child, chosen.runs, chosen.seconds)
    from tests.fuzz.targets import TARGETS

    if chosen.again:
        for name in chosen.targets:
            TARGETS[name].holds(TARGETS[name].text(chosen.again.read_bytes()))
        return 0
    return max(run(name, chosen.runs, chosen.seconds) for name in chosen.targets or TARGETS)


def run(name: str, runs: int, seconds: int) -> int:
    from tests.fuzz.targets import TARGETS, WORDS

    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        for number, seed in enumerate(TARGETS[name].seeds):
            (seeds / str(number)).write_bytes(seed if isinstance(seed, bytes) else seed.encode())
        quoted = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in WORDS)
        (Path(folder) / "words").write_text("".join(f'"{word}"\n' for word in quoted))
        began = time.monotonic()
        argv = [sys.executable, "-m", "tests.fuzz", "--child", folder, "--runs", str(runs), "--seconds", str(seconds), name]
        done = subprocess.run(argv, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    ended = re.search(r"Done (\d+) in", done.stderr)
    count = int(ended[1]) if ended else max(map(int, re.findall(r"#(\d+)\s", done.stderr)), default=0)
    said = "" if done.returncode == 0 else "\n" + done.stderr[-3000:]
    print(f"{name}: {count} inputs, {time.monotonic() - began:.0f} s, exit {done.returncode}{said}", flush=True)
    return done.returncode != 0


def fuzz(name: str, folder: Path, runs: int, seconds: int) -> None:
    """Nothing of ours may be imported before the instruments are in place."""
    import atheris

    with atheris.instrument_imports(include=["routerd.links", "routerd.desync"]):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    options = [f"-max_total_time={seconds}", f"-atheris_runs={runs}", f"-dict={folder}/words", "-max_len=4096", f"-timeout={SECONDS}", "-rss_limit_mb=1024"]
    atheris.Setup([sys.argv[0], *options, f"{folder}/seeds"], lambda data: target.holds(target.text(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())

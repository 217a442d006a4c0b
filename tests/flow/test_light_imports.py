"""What a command may import, and whom it may talk to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from visits import Done, Visits, make_visits

PROJECT = Path(__file__).parents[2]
HEAVY = ("prefect", "great_expectations")

BLOCKED = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocker())
from flows.cli import main
main()
"""

UNIX_ONLY = """
import builtins, importlib, os, pkgutil, signal, types

MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
NAMES = {
    os: "fork forkpty getuid geteuid getgid getegid setsid setuid killpg nice chown fchmod fchown "
    "uname mkfifo statvfs sysconf sched_getaffinity getloadavg register_at_fork O_CLOEXEC "
    "O_NOFOLLOW O_DIRECTORY O_NONBLOCK O_SYNC WNOHANG",
    signal: "SIGKILL SIGHUP SIGQUIT SIGALRM SIGCHLD SIGPIPE SIGUSR1 SIGUSR2 alarm setitimer "
    "pthread_kill pthread_sigmask",
}
OURS = ("stepdown", "flows", "tasks", "expectations")
elsewhere = {}
for module, names in NAMES.items():
    kept = {n: held for n, held in vars(module).items() if n not in names.split()}
    elsewhere[module.__name__] = types.ModuleType(module.__name__)
    vars(elsewhere[module.__name__]).update(kept)
real = builtins.__import__

def ours_find_no_unix(name, globals=None, locals=None, fromlist=(), level=0):
    who = (globals or {}).get("__name__", "")
    if who.split(".")[0] in OURS and not level:
        if name in MODULES:
            raise ModuleNotFoundError(f"{who} imports {name}")
        if name in elsewhere:
            return elsewhere[name]
    return real(name, globals, locals, fromlist, level)

builtins.__import__ = ours_find_no_unix
for package in OURS:
    importlib.import_module(package)
    path = [os.path.abspath(package)]
    for module in pkgutil.walk_packages(path, f"{package}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""

WATCHED = """
import atexit, json, os, socket, sys

seen = []

def watch(event, args):
    if event == "socket.connect":
        seen.append(list(args[1]) if isinstance(args[1], tuple) else [str(args[1])])
    if event == "socket.getaddrinfo":
        seen.append([str(args[0])])

sys.addaudithook(watch)
target = os.environ["WATCH_LOG"]
atexit.register(lambda: open(target, "a").write("".join(json.dumps(s) + "\\n" for s in seen)))
"""


def run(*words: str, code: str | None = None, stdin: str = "", **environment: str) -> Done:
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("PREFECT_", "STEPDOWN_"))}
    start = ["-c", code] if code else ["-m", "flows"]
    done = subprocess.run(
        [sys.executable, *start, *words],
        cwd=PROJECT,
        env=clean | environment,
        capture_output=True,
        text=True,
        input=stdin,
        check=False,
        timeout=180,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def plain(tmp_path: Path) -> Visits:
    """The small dataset, with every command in a process of its own."""
    return make_visits(tmp_path / "visits", run)


def test_assess_works_without_prefect_and_great_expectations(plain: Visits) -> None:
    done = run("assess", str(plain.raw), "--qi", "sex,town", "--json", code=BLOCKED)
    assert done.code == 0, done.err
    assert done.json["records"] == 600
    assert done.json["classes"] == 8


def test_anonymise_works_without_prefect_and_great_expectations(plain: Visits) -> None:
    target = plain.root / "out.csv"
    words = ["anonymise", plain.raw, "--qi", "sex,ward", "--k", "5", "-o", target, "--json"]
    done = run(*map(str, words), code=BLOCKED)
    assert done.code == 0, done.out + done.err
    assert done.json["smallest_class"] >= 5
    assert target.is_file()


def test_check_of_a_sound_source_works_without_prefect_and_great_expectations(
    plain: Visits,
) -> None:
    done = run("check", str(plain.config), code=BLOCKED)
    assert done.code == 0, done.err


def test_anonymise_imports_neither_pandas_nor_the_models_of_a_config(plain: Visits) -> None:
    told = (
        "import atexit, sys\n"
        "heavy = ('pandas', 'stepdown.config')\n"
        "atexit.register(lambda: print([n for n in heavy if n in sys.modules], file=sys.stderr))\n"
        "from flows.cli import main\n"
        "main()"
    )
    words = ["anonymise", plain.raw, "--qi", "sex,ward", "--k", "5", "-o", plain.root / "out.csv"]
    done = run(*map(str, words), code=told)
    assert done.code == 0, done.err
    assert done.err.splitlines()[-1] == "[]"


def test_pandas_is_found_once_something_asks_for_it() -> None:
    asked = (
        "from flows.without_pandas import keep_pandas_out\n"
        "keep_pandas_out()\n"
        "import pyarrow, sys\n"
        "assert 'pandas' not in sys.modules\n"
        "print(pyarrow.table({'a': [1, 2]}).to_pandas()['a'].sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("3", "")


def test_what_publishes_nothing_starts_without_prefect_and_great_expectations(
    plain: Visits,
) -> None:
    """One process, since each would import the library again."""
    qi = ["--qi", "sex,ward"]
    commands = [
        # First, since pandas that one command has kept out stays out.
        ["plan", plain.config, *plain.places],
        ["assess", plain.raw, *qi],
        ["anonymise", plain.raw, *qi, "--k", "5", "-o", plain.root / "out.csv"],
        ["check", plain.config],
    ]
    code = (
        "import json, sys\n"
        "from flows.cli import main\n"
        "for words in json.loads(sys.stdin.read()):\n"
        "    sys.argv = ['stepdown', *words]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as ended:\n"
        f"        heavy = [name for name in {(*HEAVY, 'pandas')} if name in sys.modules]\n"
        "        print('ENDED', words[0], ended.code, heavy)\n"
    )
    done = run(code=code, stdin=json.dumps(commands, default=str))
    told = [line for line in done.out.splitlines() if line.startswith("ENDED")]
    assert told == [f"ENDED {words[0]} 0 []" for words in commands], done.out + done.err
    assert not (plain.work / "prefect").exists()


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"]])
def test_help_works_without_prefect_and_great_expectations(words: list[str]) -> None:
    done = run(*words, code=BLOCKED)
    assert done.code == 0, done.err
    assert done.out.strip()


def test_looking_works_without_prefect_and_great_expectations(plain: Visits) -> None:
    done = run("releases", "--json", *plain.places, code=BLOCKED)
    assert done.code == 0, done.err


def test_a_run_without_prefect_fails_the_test_that_blocks_it(plain: Visits) -> None:
    """The blocker blocks: otherwise the tests above say nothing."""
    assert run("run", str(plain.config), *plain.places, code=BLOCKED).code != 0


def watched(folder: Path, *words: str) -> list[list[object]]:
    """Every address that a command and its child processes connected to or looked up."""
    hooks = folder / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(WATCHED)
    log = folder / "sockets.jsonl"
    log.touch()
    done = run(*words, PYTHONPATH=f"{hooks}{os.pathsep}{PROJECT}", WATCH_LOG=str(log))
    assert done.code == 0, done.out + done.err
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_assess_opens_no_socket(plain: Visits, tmp_path: Path) -> None:
    assert watched(tmp_path, "assess", str(plain.raw), "--qi", "sex,town") == []


def test_a_run_talks_to_this_machine_only(plain: Visits, tmp_path: Path) -> None:
    plain.change(lambda config: config.update(tiers={"internal": {}}))
    seen = watched(tmp_path, "run", str(plain.config), *plain.places)
    assert seen, "the watcher saw nothing, not even Prefect's own server"
    assert {str(address[0]) for address in seen} <= {"127.0.0.1", "localhost", "::1"}


def test_no_module_needs_what_only_unix_has() -> None:
    done = run(code=UNIX_ONLY)
    assert done.code == 0, done.err
    seen = set(done.out.split())
    assert {"stepdown.sharing.fetch", "tasks.upkeep", "flows.serve_command"} <= seen
    assert len(seen) > 380

"""The files under examples/ for containers, Kubernetes and systemd pass a linter and match the program."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from contentq.cli.main import main
from contentq.engine.timings import Timings

from tests.packaging import building
from tests.support.databases import Connection
from tests.support.queue import Queue

ROOT = Path(__file__).resolve().parent.parent.parent
CONTAINERS = ROOT / "examples/containers"
KUBERNETES = ROOT / "examples/kubernetes"
UNIT = ROOT / "examples/systemd/contentq-worker@.service"

SCRIPTS = Path(sys.executable).parent

KUBERNETES_VERSIONS = ["1.30", "1.34"]


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CONTAINERS / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def _manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8")))


def _pod(name: str) -> dict[str, Any]:
    (manifest,) = _manifests(name)
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def _unit(setting: str) -> str:
    (value,) = re.findall(rf"^{setting}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    return str(value)


def _in_dockerfile(instruction: str) -> list[str]:
    text = (CONTAINERS / "Dockerfile").read_text(encoding="utf-8")
    return re.findall(rf"^{instruction} (.*)$", text, re.MULTILINE)


def test_dockerfile_passes_its_linter() -> None:
    _run(SCRIPTS / "hadolint", "--failure-threshold", "style", CONTAINERS / "Dockerfile")


@pytest.mark.slow
def test_compose_file_follows_the_compose_specification() -> None:
    _run(SCRIPTS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", CONTAINERS / "compose.yaml")


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("name", ["secret.yaml", "migrate.yaml", "worker.yaml"])
def test_manifest_is_one_that_kubernetes_accepts(name: str, version: str) -> None:
    _run(SCRIPTS / "kubernetes-validate", "--strict", "-k", version, KUBERNETES / name)


def test_unit_is_one_that_systemd_accepts(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    text = UNIT.read_text(encoding="utf-8").replace("/srv/writer/.venv/bin/contentq", "/bin/true")
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [verify, "verify", str(tmp_path / UNIT.name.replace("@", "@1"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "contentq-worker" in line]) == (0, [])


def _commands() -> Iterator[tuple[str, list[str]]]:
    for name, service in _compose()["services"].items():
        if name != "database":
            yield f"compose {name}", service["command"]
    for name in ("migrate.yaml", "worker.yaml"):
        (container,) = _pod(name)["containers"]
        yield f"kubernetes {name}", container["args"]
    (started,) = _in_dockerfile("CMD")
    yield "Dockerfile", yaml.safe_load(started)
    yield "systemd", shlex.split(_unit("ExecStart"))[1:]


@pytest.mark.parametrize("command", [pytest.param(each, id=name) for name, each in _commands()])
def test_program_accepts_the_command(command: list[str]) -> None:
    _parsed(command)


def _parsed(command: list[str]) -> dict[str, Any]:
    context = click.Context(main, **main.context_settings)
    found = main.get_command(context, command[0])
    assert found is not None
    return found.make_context(command[0], command[1:], parent=context).params


def test_worker_gets_the_time_to_report_before_it_is_killed() -> None:
    (container,) = _pod("worker.yaml")["containers"]
    worker = _compose()["services"]["worker"]
    times = [
        (_parsed(container["args"]), _pod("worker.yaml")["terminationGracePeriodSeconds"]),
        (_parsed(worker["command"]), float(worker["stop_grace_period"].removesuffix("s"))),
        (_parsed(shlex.split(_unit("ExecStart"))[1:]), float(_unit("TimeoutStopSec"))),
    ]
    for options, time_to_stop in times:
        assert time_to_stop >= options["grace"] + Timings().wind_up


def test_probes_ask_where_the_worker_answers() -> None:
    (container,) = _pod("worker.yaml")["containers"]
    (port,) = container["ports"]
    options = _parsed(container["args"])
    assert (port["containerPort"], options["metrics_host"]) == (options["metrics_port"], "0.0.0.0")
    probes = {kind: container[kind]["httpGet"] for kind in ("livenessProbe", "readinessProbe")}
    assert probes == {
        "livenessProbe": {"path": "/healthz", "port": port["name"]},
        "readinessProbe": {"path": "/readyz", "port": port["name"]},
    }
    healthy = (CONTAINERS / "healthy.py").read_text(encoding="utf-8")
    assert f'"127.0.0.1", {_parsed(_compose()["services"]["worker"]["command"])["metrics_port"]}' in healthy
    assert '"/healthz"' in healthy


def test_login_and_authority_of_the_manifests_are_in_the_secret() -> None:
    (secret,) = _manifests("secret.yaml")
    used = {_manifests("scale.yaml")[0]["spec"]["secretTargetRef"][0]["key"]}
    for name in ("migrate.yaml", "worker.yaml"):
        (container,) = _pod(name)["containers"]
        used |= {each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"]}
        used |= {
            item["key"] for volume in _pod(name)["volumes"] for item in volume.get("secret", {}).get("items", [])
        }
    assert used == secret["stringData"].keys()


@pytest.mark.slow
def test_scaling_counts_tasks_that_are_ready_or_running(database: Connection) -> None:
    (trigger,) = _manifests("scale.yaml")[1]["spec"]["triggers"]
    queue = Queue(database)
    queue.add()
    queue.add(scheduled_at="2999-01-01")
    running = queue.add(priority=10)
    assert [task["id"] for task in queue.claim(queue.register())] == [running]
    row = database.execute(trigger["metadata"]["query"].encode()).fetchone()
    assert row is not None
    assert row[0] == 2


def test_target_of_the_scaling_is_what_one_worker_runs_at_once() -> None:
    (trigger,) = _manifests("scale.yaml")[1]["spec"]["triggers"]
    (container,) = _pod("worker.yaml")["containers"]
    assert float(trigger["metadata"]["targetQueryValue"]) == _parsed(container["args"])["concurrency"]


def test_extras_that_the_image_installs_exist() -> None:
    (installed,) = re.findall(r"'\.\[([\w,]+)\]'", "\n".join(_in_dockerfile("RUN")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(installed.split(",")) <= project["optional-dependencies"].keys()


@pytest.mark.slow
def test_image_copies_all_that_the_package_is_built_from(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for line in _in_dockerfile("COPY"):
        *names, _ = line.split()
        for name in names:
            if "/" in name or name.startswith("-"):
                continue
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / name)
    assert building.build(source, tmp_path / "wheel", "--wheel").suffix == ".whl"

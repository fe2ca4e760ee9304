"""A missing or altered foreign part is an error that names it and says how to get it; never a
silent skip."""

import importlib.util
import sys
from pathlib import Path

import pytest

from deploy.stack import __main__ as command
from deploy.stack import jars, parts


@pytest.fixture
def no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parts, "TOOLS", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (parts.kafka_classpath, "Kafka jar"),
        (parts.chromium, "Chromium"),
        (parts.node_modules, "tests/interop-node"),
    ],
)
@pytest.mark.usefixtures("no_tools")
def test_what_is_not_installed_is_named_with_its_remedy(part: object, named: str) -> None:
    assert callable(part)
    with pytest.raises(parts.MissingPart, match=rf"{named}[\s\S]*make parts"):
        part()


def test_a_wheel_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for part in (parts.java, parts.postgres_bin, parts.node, parts.go):
        with pytest.raises(parts.MissingPart, match="is not installed: run `make parts`"):
            part()


def test_an_unknown_part_is_refused_before_anything_is_fetched(no_tools: Path) -> None:
    with pytest.raises(parts.MissingPart, match="no part called emacs"):
        parts.install(["kafka", "emacs"])
    assert list(no_tools.iterdir()) == []


def test_every_jar_on_the_class_path_is_locked_once() -> None:
    locked = jars.locked()
    assert len({jar.file for jar in locked}) == len(locked) > 40
    assert all(len(jar.sha256) == 64 for jar in locked)
    assert {"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar", "log4j-slf4j-impl-2.24.3.jar"} <= {
        jar.file for jar in locked
    }


def test_an_altered_jar_is_replaced_and_an_unlisted_one_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jar = next(jar for jar in jars.locked() if jar.artifact == "jopt-simple")
    monkeypatch.setattr(jars, "locked", lambda *_: [jar])
    folder = tmp_path / "kafka"
    folder.mkdir()
    (folder / jar.file).write_bytes(b"altered")
    (folder / "stranger-1.0.jar").write_bytes(b"x")
    jars.install(folder, parts.TOOLS / "maven")
    assert [path.name for path in folder.glob("*")] == [jar.file]
    assert len((folder / jar.file).read_bytes()) > 10_000
    assert "Fetching kafka (1 Java archives): once." in capsys.readouterr().out
    jars.install(folder, parts.TOOLS / "maven")
    assert not capsys.readouterr().out, "what is there is not fetched again"


def test_a_download_that_is_not_what_was_locked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = next(jar for jar in jars.locked() if jar.artifact == "jopt-simple")
    monkeypatch.setattr(
        jars, "locked", lambda *_: [jars.Jar(jar.group, jar.artifact, jar.version, "0" * 64)]
    )
    with pytest.raises(jars.JarMismatch, match=jar.file):
        jars.install(tmp_path / "kafka", parts.TOOLS / "maven")
    assert list((tmp_path / "kafka").glob("*.jar")) == []


@pytest.mark.usefixtures("no_tools")
def test_the_command_line_says_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy.stack", "parts", "emacs"])
    assert command.main() == 1
    assert "no part called emacs" in capsys.readouterr().err

"""Runs `hubctl` in a folder against a hub that answers from memory."""

import functools
import sys
from pathlib import Path

import httpx2
import pytest

from hubpartner import cli
from tests.support.packages import Parties, draft
from tests.support.partner_harness import FakeHub, profile_file


class Shell:
    """Runs `hubctl` in a folder, as the process would run it."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self.parties = Parties()
        self.profile = profile_file(folder, self.parties)
        self.hub = FakeHub(self.parties.envelope(draft().package()))
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        monkeypatch.delenv("HUBCTL_PROFILE", raising=False)
        transport = httpx2.MockTransport(self.hub)
        monkeypatch.setattr(
            "hubpartner.client.httpx2.AsyncClient",
            functools.partial(httpx2.AsyncClient, transport=transport),
        )
        monkeypatch.setattr(
            "hubpartner.cli.audit.httpx2.Client",
            functools.partial(httpx2.Client, transport=transport),
        )

    def run(self, *arguments: str, profile: bool = True) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        chosen = ["--profile", str(self.profile)] if profile else []
        self._monkeypatch.setattr(sys, "argv", ["hubctl", *chosen, *arguments])
        try:
            cli.main()
            code: int | str | None = 0
        except SystemExit as left:
            code = left.code or 0
        assert isinstance(code, int)
        said = self._capsys.readouterr()
        return code, said.out, said.err

"""Sharing what clients trust changes nothing but the cost."""

import ssl

import httpx2._transports.default as transports
import pytest

from tests.support import tls_once


def test_defaults_are_one_and_check_what_httpx2_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same authorities, names checked; others for another file of them, or without any."""
    assert vars(transports)["create_ssl_context"] is tls_once.shared
    made = tls_once.shared()
    assert tls_once.shared() is made
    plain = tls_once.MADE_BY()
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert made.get_ca_certs(binary_form=True) == plain.get_ca_certs(binary_form=True)
    assert tls_once.shared(verify=False).verify_mode == ssl.CERT_NONE
    own = ssl.create_default_context()
    assert tls_once.shared(verify=own) is own
    monkeypatch.setenv("SSL_CERT_FILE", ssl.get_default_verify_paths().openssl_cafile or "")
    assert tls_once.shared() is not made

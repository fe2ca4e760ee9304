"""Takes the design-system files the portal serves out of their npm packages; run by hand (python -m
deploy.portal_assets), never at install.

No Node: the packages are plain tar files. What is taken, from which version, is written to
static/vendor/LOCK.json.
"""

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import urllib.parse
import urllib.request
from pathlib import Path

STATIC = Path(__file__).parents[1] / "services" / "portal" / "src" / "portal" / "static" / "vendor"
FONTS = '"Helvetica Neue",Helvetica,Arial,"Liberation Sans","Noto Sans",sans-serif'
PACKAGES = {
    "govuk-frontend": (
        "6.3.0",
        {
            "package/dist/govuk/govuk-frontend.min.css": "govuk.css",
            "package/dist/govuk/govuk-frontend.min.js": "govuk.js",
        },
    ),
    "@ministryofjustice/frontend": ("11.1.0", {"package/moj/moj-frontend.min.css": "moj.css"}),
}


# Both packages say "MIT" in package.json and carry no licence file; these are the copyright lines
# of their source repositories.
LICENCE = """govuk-frontend: Copyright (c) 2017 Crown Copyright (Government Digital Service). The MIT License.
@ministryofjustice/frontend: Copyright (c) 2018 Crown Copyright (Ministry of Justice). The MIT License.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge,
publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so,
subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def registry() -> str:
    """Tell where npm packages come from here: the environment, else npm's own setting."""
    chosen = os.environ.get("NPM_CONFIG_REGISTRY")
    if not chosen:
        chosen = subprocess.run(
            ["npm", "config", "get", "registry"], check=True, capture_output=True, text=True
        ).stdout.strip()
    return chosen.rstrip("/")


def fetch(name: str, version: str) -> tuple[tarfile.TarFile, str]:
    """Fetch the package as an open tar, its SHA-512 checked against the registry's integrity.

    Raises ValueError on a mismatch.
    """
    # The configured registry
    with urllib.request.urlopen(f"{registry()}/{urllib.parse.quote(name, safe='@')}") as answer:  # noqa: S310
        dist = json.load(answer)["versions"][version]["dist"]
    with urllib.request.urlopen(dist["tarball"]) as answer:  # noqa: S310
        data = answer.read()
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if integrity != dist["integrity"]:
        raise ValueError(f"{name} {version} is not what the registry says it is")
    return tarfile.open(fileobj=io.BytesIO(data)), integrity


def neutral(css: str, *, moj: bool) -> str:
    """Take out GOV.UK's licensed font, its crest and source maps: no request leaves the page."""
    css = re.sub(r"@font-face\{[^}]*\}", "", css)
    css = re.sub(r"/\*![^*]*\*+(?:[^/*][^*]*\*+)*/", "", css) if "GDS Transport" in css else css
    css = re.sub(r'"?GDS Transport"?,\s*arial,\s*sans-serif', FONTS, css, flags=re.IGNORECASE)
    css = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", css)
    if moj:
        # Its own copy of the govuk custom properties, of another version, would override ours.
        css = re.sub(r":root\{[^}]*\}", "", css)
    css = re.sub(r"url\(([^)]*(?:crest|crown|\.woff)[^)]*)\)", "none", css)
    css = re.sub(r'url\("?/?(?:assets/)?images/[^)]*\)', "none", css)
    if "GDS Transport" in css:
        raise ValueError("the licensed font's name is still in the stylesheet")
    return css.strip() + "\n"


def main() -> None:
    """Fetch, neutralise, write."""
    STATIC.mkdir(parents=True, exist_ok=True)
    lock: dict[str, object] = {}
    for name, (version, files) in PACKAGES.items():
        tar, integrity = fetch(name, version)
        made = {}
        for member, target in files.items():
            found = tar.extractfile(member)
            if found is None:
                raise ValueError(f"{member} is not a file of {name}")
            text = found.read().decode()
            text = (
                neutral(text, moj="ministry" in name)
                if target.endswith(".css")
                else re.sub(r"//# sourceMappingURL=.*", "", text).strip() + "\n"
            )
            (STATIC / target).write_text(text, "utf-8")
            made[target] = hashlib.sha256(text.encode()).hexdigest()
        lock[name] = {"version": version, "integrity": integrity, "sha256": made}
    (STATIC / "LICENCE.txt").write_text(LICENCE, "utf-8")
    (STATIC / "LOCK.json").write_text(json.dumps(lock, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""Pages and templates → HTML, and the digest of all that a page's bytes depend on."""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from atlas.common.errors import StoreError
from atlas.site import words
from atlas.site.models import Page

STYLE = "static/style.css"
PACKAGE = Path(__file__).parent.parent
NO_BREAK = "\u00a0"  # space
_UNIT = re.compile(  # a number and its unit stand on one line, but not in what is copied
    r"<pre>.*?</pre>|(?<=\d) (?=(?:%|px\b|[KMG]B\b))", re.DOTALL
)


class Templates:
    """The templates, filled in for one atlas."""

    def __init__(self, facts: Mapping[str, object]) -> None:
        """Prepare the templates.

        Args:
            facts: what every page states of the atlas; templates call it `atlas`.

        Raises:
            StoreError: they are missing.
        """
        self._environment = Environment(
            loader=FileSystemLoader(templates_folder()),
            auto_reload=False,  # a template is read once
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.globals.update(atlas=facts, words=words, style=STYLE)
        self._common = hashlib.sha256(_source_digest() + _encode(facts))

    def page(self, page: Page, base_url: str = "") -> bytes:
        """A page as HTML; with a base URL its links are absolute."""

        def link(target: str) -> str:
            return base_url + target if base_url else page.link(target)

        html = self._environment.get_template(page.template).render(page=page, body=page.body, link=link)
        return _UNIT.sub(lambda found: NO_BREAK if found[0] == " " else found[0], html).encode()

    def file(self, template: str, **values: object) -> bytes:
        """Another file than a page."""
        return self._environment.get_template(template).render(**values).encode()

    def digest(self, page: Page) -> str:
        """Digest of all that a page is made of: its model, the facts of the atlas, templates and code."""
        digest = self._common.copy()
        digest.update(_encode(page))
        return digest.hexdigest()[:24]


def templates_folder() -> Path:
    """Where the templates lie: inside an installed package, or at the root of the repository.

    Raises:
        StoreError: at neither place.
    """
    for folder in (PACKAGE / "templates", PACKAGE.parent / "templates"):
        if folder.is_dir():
            return folder
    raise StoreError(f"{PACKAGE / 'templates'}: the templates of the site are missing; install the package again")


@cache
def _source_digest() -> bytes:
    """Hash of what makes a page of a model: the templates, this package, and the libraries that fill them in."""
    digest = hashlib.sha256(f"{version('jinja2')} {version('markupsafe')}".encode())
    for file in (*sorted(templates_folder().rglob("*")), *sorted(PACKAGE.rglob("*.py"))):
        if file.is_file():
            digest.update(f"{file.name} ".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()


def _encode(model: object) -> bytes:
    # JSON has no form for other mappings than dicts, and for some leaves
    return msgspec.json.encode(model, enc_hook=lambda value: dict(value) if isinstance(value, Mapping) else repr(value))

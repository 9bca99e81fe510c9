"""HTML pages that stand alone: no network and no other file.

Everything is there without scripts; with them, pictures can be enlarged."""

import pathlib

import jinja2

_TEMPLATES = pathlib.Path(__file__).parent / "templates"


def render(template, context):
    """Fills a template of this package.

    Args:
        template: its file name.
        context: name -> value; a name that the template wants and that is not there is
            an error.

    Returns:
        HTML; values are escaped unless the template marks them as safe.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(context)

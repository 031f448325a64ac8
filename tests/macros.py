"""What a macro of a template says."""

from atlas.site.templates import Templates


def render_macro(template: str, macro: str, *arguments: object) -> str:
    """The text that a macro of a template makes of its arguments, with single spaces."""
    environment = Templates({})._environment
    return " ".join(getattr(environment.get_template(template).module, macro)(*arguments).split())

"""Options of the command line → `Config`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import typer

from atlas.cli.options import Choice, Site, Source
from atlas.inception.layers import ALL_LAYERS
from atlas.inception.targets import parse
from atlas.plan.config import Config, override
from atlas.plan.settings import StudySettings
from atlas.studies import load_config


def read_settings(source: Source, choice: Choice = Choice(), site: Site = Site()) -> Config:  # noqa: B008  # frozen
    """The configuration with the options put in."""
    given = {**vars(source), **vars(choice), "site": site.out, "base_url": site.base_url, "budget": site.budget}
    return override(load_config(given.pop("config")), **given)


def with_photos(settings: Config) -> Config:
    """The configuration with its photographs known."""
    from atlas.studies.dreams.starts import identify_photos

    return identify_photos(settings, lambda line: typer.echo(line, err=True))


def with_options(settings: Config, kind: type[StudySettings], given: Mapping[str, Any]) -> Config:
    """The configuration with options put into the settings of one study.

    Args:
        settings: the configuration; where targets are given, it keeps their layers alone.
        kind: the type of the study's settings.
        given: values by field, targets as text; None and no targets leave what the settings have.

    Raises:
        ConfigError: no such recipe, or a text is no target.
    """
    values = {name: value for name, value in given.items() if value not in (None, [])}
    if "recipe" in values:
        settings.get_recipe(values["recipe"], "--recipe ")
    if "targets" in values:
        values["targets"] = targets = tuple(dict.fromkeys(map(parse, values["targets"])))
        named = {term.layer for target in targets for term in target.terms}
        settings = replace(settings, layers=tuple(layer.name for layer in ALL_LAYERS if layer.name in named))
    return settings.with_study(replace(settings.study(kind), **values))

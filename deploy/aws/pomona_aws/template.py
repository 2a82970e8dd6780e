"""The template of a way: common.yaml and its own file, as one."""

import functools

import yaml

from . import FOLDER


class Loader(yaml.SafeLoader):
    """Writes CloudFormation's short forms (!Ref) out in full, which JSON can hold."""


def in_full(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt":
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


Loader.add_multi_constructor("!", in_full)


@functools.cache
def template(way):
    common, own = (
        yaml.load((FOLDER / f"{name}.yaml").read_text(), Loader) for name in ("common", way)
    )
    for section, entries in common.items():
        own[section] = entries | own.get(section, {}) if isinstance(entries, dict) else entries
    return own


def parameter_defaults(way):
    """The template's parameters with their defaults; None where one has none."""
    return {name: about.get("Default") for name, about in template(way)["Parameters"].items()}

"""The parameters of the template."""

import yaml

from . import TEMPLATE


def parameter_defaults():
    """The template's parameters with their defaults; None where one has none."""

    class Loader(yaml.SafeLoader):
        """Passes over CloudFormation's tags, none of which stands in a parameter."""

    Loader.add_multi_constructor("!", lambda *_: None)
    template = yaml.load(TEMPLATE.read_text(), Loader)
    return {name: about.get("Default") for name, about in template["Parameters"].items()}

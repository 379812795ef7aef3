"""Layers: the packages of the functions, once for all functions that have the same list."""

from troposphere import Template, awslambda

from config.settings import Settings
from templates.shared.catalogue import deployed
from templates.shared.functions import ARCHITECTURE, RUNTIME
from templates.shared.layers import Layer, layers_of
from templates.shared.naming import layer_name
from templates.shared.wiring import local_file, offers


def build(settings: Settings) -> Template:
    """A layer for each list that the system's functions need."""
    template = Template("Packages of the functions")
    for layer in layers_of(deployed(settings)):
        version = template.add_resource(_version(settings, layer))
        offers(template, **{layer.output: version.ref()})
    return template


def _version(settings: Settings, layer: Layer) -> awslambda.LayerVersion:
    """A version cannot be changed: other packages are a new one, and the old one goes when no function has it."""
    return awslambda.LayerVersion(
        layer.title,
        LayerName=layer_name(settings, layer.name),
        Description=f"Locked packages: {', '.join(layer.packages)}",
        CompatibleRuntimes=[RUNTIME],
        CompatibleArchitectures=[ARCHITECTURE],
        Content=local_file(layer.file),
    )

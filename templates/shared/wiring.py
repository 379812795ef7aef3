"""How nested stacks are connected: a child's parameter *is* an earlier child's output of the same name."""

from collections.abc import Mapping

from troposphere import AWSHelperFn, Delete, Output, Parameter, Ref, Template
from troposphere.cloudformation import Stack

from templates.shared.limits import BuildError


def local_file(path: str) -> AWSHelperFn:
    """A file beside the template, written as its path: what `aws cloudformation package` puts into S3."""
    reference = AWSHelperFn()
    reference.data = path
    return reference


def needs(template: Template, name: str, description: str) -> Ref:
    """Declare an input of a nested stack and return the reference to use."""
    return Ref(template.add_parameter(Parameter(name, Type="String", Description=description)))


def offers(template: Template, **outputs: object) -> None:
    """Declare what a nested stack hands to the stacks after it, and to people."""
    for name, value in outputs.items():
        template.add_output(Output(name, Value=value))


def nest(root: Template, name: str, child: Template, offered: Mapping[str, object]) -> dict[str, object]:
    """Add `child` to `root` as the stack `name`, its parameters connected to what the stacks before it offer.

    Returns what the stacks after it are offered. Raises BuildError for a parameter that nobody offers and for an
    output that an earlier stack offers already.
    """
    title = name.title()
    if missing := sorted(set(child.parameters) - set(offered)):
        raise BuildError(
            f"Stack {title} needs {missing}, but the stacks before it offer only {sorted(offered)}."
            f" Add an output or move {title} later."
        )
    if twice := sorted(set(child.outputs) & set(offered)):
        raise BuildError(f"Stack {title} offers {twice}, which an earlier stack offers already. Rename one of them.")
    # what holds data in it says for itself that it is kept
    stack = Stack(title, TemplateURL=local_file(f"{name}.json"), DeletionPolicy=Delete, UpdateReplacePolicy=Delete)
    if child.parameters:
        stack.Parameters = {parameter: offered[parameter] for parameter in sorted(child.parameters)}
    root.add_resource(stack)
    return {**offered, **{output: stack.get_att(f"Outputs.{output}") for output in child.outputs}}

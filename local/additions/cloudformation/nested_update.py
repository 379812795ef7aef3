"""Updates of nested stacks: MiniStack forgets the attributes of resources that an update leaves as they are."""

from typing import Any


def install() -> None:
    """Let `Fn::GetAtt` work after the update of a nested stack, whatever the update changes."""
    from ministack.services.cloudformation import _stacks, provisioners

    update = provisioners._update_resource

    def update_and_remember(
        resource_type: str,
        physical_id: str,
        old_props: dict[str, Any],
        new_props: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
        old_attrs: dict[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        if old_attrs is None:  # a nested stack's update does not hand them on, a root's does
            known = _stacks.get(stack_name, {}).get("_resources", {})
            old_attrs = known.get(logical_id, {}).get("Attributes")
        return update(  # type: ignore[no-any-return]
            resource_type, physical_id, old_props, new_props, stack_name, logical_id, old_attrs
        )

    provisioners._update_resource = update_and_remember

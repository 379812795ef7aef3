"""The runbook: about every alarm, and about what outlives a stack."""

import re

import pytest

from templates.shared.alarms import entry
from tests.changed import everything_on
from tests.e2e.documents import RUNBOOK
from tests.templates.walking import stacks_of
from tests.templates.watching import ALARM, COMPOSITE, alarms, monitoring, with_everything


def entries():
    """Headings of the runbook's alarms, and what stands below each."""
    section = RUNBOOK.read_text(encoding="utf-8").split("\n## Alarms\n", 1)[1].split("\n## ", 1)[0]
    return dict(part.split("\n", 1) for part in section.split("\n### ")[1:])


def test_every_alarm_has_an_entry_in_the_runbook_and_every_entry_an_alarm():
    assert set(entries()) == {entry(title) for title in with_everything().resources(ALARM, COMPOSITE)}


@monitoring
def test_every_alarm_and_its_name_lead_to_its_entry(stack):
    for title, item in stack.resources(ALARM, COMPOSITE).items():
        described = item["Properties"]["AlarmDescription"]
        assert described.endswith(f"docs/runbook.md#{entry(title)}")
        assert entry(title) in entries()
        assert f"-{entry(title)}-" in item["Properties"]["AlarmName"]
        assert len(described) <= 1024


def test_where_the_repository_is_a_link_the_runbook_is_one_too():
    described = alarms(with_everything())["StreamThrottled"]["AlarmDescription"]

    assert described.endswith(" https://example.com/sensors/blob/HEAD/docs/runbook.md#stream-throttled")


@pytest.mark.parametrize("heading", sorted(entries()))
def test_every_entry_says_what_it_means_how_to_confirm_what_to_do_and_when_it_is_over(heading):
    found = re.findall(r"^\*\*(\w+):\*\*", entries()[heading], re.MULTILINE)

    assert found == ["Means", "Confirm", "Do", "Over"]


def test_every_link_inside_the_runbook_leads_to_a_heading():
    text = RUNBOOK.read_text(encoding="utf-8")
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}

    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= headings


def test_the_runbook_names_every_kind_of_resource_that_outlives_the_stack():
    section = RUNBOOK.read_text(encoding="utf-8").split("\n## After a stack is deleted\n", 1)[1]
    kept = {
        item["Type"]
        for stack in stacks_of(everything_on(), "everything")
        for item in stack.body["Resources"].values()
        if item.get("DeletionPolicy", "Delete") != "Delete"
    }

    assert set(re.findall(r"`(AWS::\w+::\w+)`", section)) == kept

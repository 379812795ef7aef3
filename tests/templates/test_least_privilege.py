"""No privilege is there without something that shows what needs it: a refusal on the embedded AWS, or a named test."""

import pytest

from tests.e2e.least_privilege.cases import NOT_ENFORCED, enforced, exemption, privileges
from tests.named import is_test
from tests.templates.traps.systems import systems

OF_ALL = [(name, privilege) for name, system in systems().items() for privilege in privileges(system)]


def test_every_privilege_of_every_system_is_taken_away_once_or_listed_with_a_reason():
    tried = {privilege.key for privilege in enforced()}

    assert len(tried) > 30
    assert {
        f"{name}: {privilege}"
        for name, privilege in OF_ALL
        if privilege.key not in tried and exemption(privilege) is None
    } == set()


def test_every_listed_reason_is_about_a_privilege_that_is_there():
    used = {exemption(privilege) for _, privilege in OF_ALL}

    assert [item for item in NOT_ENFORCED if item not in used] == []


@pytest.mark.parametrize("test", sorted({item.covered_by for item in NOT_ENFORCED}))
def test_what_the_embedded_aws_does_not_ask_for_is_held_to_by_a_test(test):
    assert is_test(test)

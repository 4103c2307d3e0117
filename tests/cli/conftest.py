"""The command, called as a person does."""

import pytest


@pytest.fixture
def seewhy(seewhy_command):
    return seewhy_command

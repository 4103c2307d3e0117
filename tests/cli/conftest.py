"""The command, called as a person does."""

import pytest

from seewhy.cli import main


@pytest.fixture
def seewhy(capfd):
    def call(*arguments):
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return done.value.code, out, err

    return call

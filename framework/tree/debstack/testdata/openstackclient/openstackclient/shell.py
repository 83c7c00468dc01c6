"""main: runs fakecommands.<first argument>, which is imported when it is needed, as the client does with its commands."""
import importlib
import sys

from openstack.config import loader


def main():
    sys.stdout.fileno()
    command = importlib.import_module("fakecommands." + sys.argv[1])
    return command.run(sys.argv[2:], loader)

"""Decides during its import where configuration may be, as the module of that name in openstacksdk does."""
import os

SEARCH_PATH = [os.getcwd(), os.path.expanduser("~/.config"), os.environ.get("XDG_CONFIG_HOME")]
FILES = [os.path.join(directory, "clouds.yaml") for directory in SEARCH_PATH if directory]

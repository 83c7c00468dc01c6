"""Says something while it is imported. Everybody who runs the command must hear it."""
import warnings

warnings.warn("hear, hear")


def run(_arguments, _loader):
    print("noisy")
    return 0

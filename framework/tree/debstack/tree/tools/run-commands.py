#!/usr/bin/python3
"""run-commands.py MODULE ARGUMENT… [-- ARGUMENT…]…: runs a Python command several times, one run after the other.

MODULE is the one whose main() the command's script in /usr/bin calls; each list of arguments is one run. The module is
imported once, and each run is a fork of that process: for commands like nova-manage the import takes longer than what
they then do. Ends with the first exit code that is not 0.
"""
import importlib
import os
import sys
import traceback


def run(module, arguments):
    """The exit code of main() with these arguments, in a process of its own."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.argv = [module.__name__.split(".")[0] + "-manage", *arguments]
            code = module.main()
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            # What sys.exit makes of it: None is 0, text is an error.
            if code is not None and not isinstance(code, int):
                print(code, file=sys.stderr)
                code = 1
            sys.stdout.flush()
            sys.stderr.flush()
            # Not the interpreter's own end: taking every module apart would copy all the memory that is shared.
            os._exit(code or 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(name, words):
    module = importlib.import_module(name)
    while words:
        end = words.index("--") if "--" in words else len(words)
        code = run(module, words[:end])
        if code != 0:
            print(f"run-commands: {name} {' '.join(words[:end])}: exit code {code}", file=sys.stderr)
            return abs(code)
        words = words[end + 1:]
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))

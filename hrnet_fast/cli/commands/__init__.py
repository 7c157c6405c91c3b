"""One file a command: HELP, EXAMPLES, add_arguments(parser), run(args) -> Result; its docstring describes it."""

from . import bench, convert, env, explain, info, list, verify

COMMANDS = {
    "list": list,
    "info": info,
    "env": env,
    "explain": explain,
    "verify": verify,
    "bench": bench,
    "convert": convert,
}

__all__ = ["COMMANDS"]

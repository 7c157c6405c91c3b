"""One file a command: HELP, EXAMPLES, add_arguments(parser), run(args) -> Result; its docstring describes it."""

from . import bench, convert, env, evaluate, explain, info, list, predict, save, synth, tune, verify

COMMANDS = {
    "list": list,
    "info": info,
    "env": env,
    "predict": predict,
    "evaluate": evaluate,
    "synth": synth,
    "explain": explain,
    "verify": verify,
    "bench": bench,
    "tune": tune,
    "convert": convert,
    "save": save,
}

__all__ = ["COMMANDS"]

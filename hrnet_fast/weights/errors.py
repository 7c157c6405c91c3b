"""The one error of this floor."""


class CheckpointError(ValueError):
    """A checkpoint cannot be read, does not fit the model or cannot be written; the message is one sentence."""

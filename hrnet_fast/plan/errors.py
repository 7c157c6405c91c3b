"""What can go wrong while a plan is made."""


class PlanError(ValueError):
    """The network cannot be planned; the message names what was not understood."""

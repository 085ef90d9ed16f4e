"""The simulated world: what each device of each kind would measure, round by round."""

from simulators.world.model import Model, model_for

__all__ = ["Model", "model_for"]

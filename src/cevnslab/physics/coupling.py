"""What a coupling is: a name, a unit, bounds, and how it enters the scattering amplitudes.

A coupling adds `strength * weight * kernel(T)` to one component of the amplitude from the incoming flavour alpha to
the outgoing flavour beta. The components, on nuclei and on electrons:

* ``"vector"``: the weak charge Q_ab(T) of Eq. (9) and g_V of Eq. (4) of arXiv:2409.10652; interferes with the Standard
  Model where alpha = beta, and between flavours where neutrinos arrive as mixtures of them (the Sun's);
* ``"axial"``: the electrons' g_A of Eq. (4); interferes as well; none on (spin-averaged) nuclei;
* ``"magnetic"`` and ``"scalar"``: the neutrino's helicity flips, so that they have kinematics of their own and
  interfere with nothing else.

`cevnslab.physics.cross_sections` gives each component its kinematics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.arguments import number, numbers
from cevnslab.errors import PhysicsError
from cevnslab.physics.flavour import FLAVOURS, MASS_STATES
from cevnslab.physics.nuclei import Nucleus, Target
from cevnslab.words import nearest

FloatArray = NDArray[np.float64]
NuclearKernel = Callable[[FloatArray, Nucleus, FloatArray, FloatArray], FloatArray]
"""kernel(T in keV, nucleus, F_p, F_n), with the shape of T."""
ElectronKernel = Callable[[FloatArray], FloatArray]
"""kernel(T in keV), with the shape of T."""
Rebuild = Callable[[Target, float], Target]
"""rebuild(target, value): the target that the value makes of it."""
RangeOf = Callable[[Target], tuple[float, float, float]]
"""range_of(target): the lowest physical value, the target's own, the highest value considered."""

FLAVOUR_SYMBOLS = {"e": "e", "mu": r"\mu", "tau": r"\tau"}
"""The flavours in matplotlib's mathtext."""
DIAGONAL = tuple((flavour, flavour) for flavour in FLAVOURS)
"""The pairs of a coupling that keeps every flavour."""
COMPONENTS = ("vector", "axial", "magnetic", "scalar")


@dataclass(frozen=True)
class Coupling:
    """A coupling as the field declares it.

    `flavours` are the unordered pairs (alpha, beta) that it joins: ``(("e", "e"),)`` is diagonal and interferes
    with the Standard Model, ``(("e", "mu"),)`` is a transition, acts on both flavours and does not, unless neutrinos
    arrive as mixtures of the two. Magnetic moments may also be diagonal in the mass basis: ``(("1", "1"),)`` acts on
    the share of a mass state. A value outside `bounds` is an error. `scale` is a value (for `reference` not 0, a shift)
    of natural size, which sets the numerical unit of fits.

    What enters the amplitude is not always the value itself: a mediator's g enters as g^2 (`power` 2), sin^2 theta_W
    as its distance from the Standard Model's (`reference`). That amplitude per kernel is the `strength`.

    A quantity that is not linear in any amplitude has no kernels but `rebuild`, which makes another target of
    a target; `linear` tells the two kinds apart.

    Raises `PhysicsError` for a declaration that contradicts itself.

    >>> charge = Coupling("x", "x", "e", 1e-9, (-1, 1), (("e", "mu"),), lambda T, A, F_p, F_n: F_p / T, None)
    >>> charge.joins("mu", "e"), charge.transition, charge.strength(0.5)
    (True, True, 0.5)
    """

    name: str
    symbol: str
    """In matplotlib's mathtext, without dollar signs."""
    unit: str
    scale: float
    bounds: tuple[float, float]
    flavours: tuple[tuple[str, str], ...]
    nucleus: NuclearKernel | None
    electron: ElectronKernel | None
    description: str = ""
    component: str = "vector"
    """The part of the amplitude to which it adds: one of `COMPONENTS`."""
    power: int = 1
    reference: float = 0.0
    """The value at which there is nothing beyond the Standard Model; has no meaning where `linear` is False."""
    weights: tuple[float, ...] = ()
    """Per pair of `flavours`, a factor of the kernel; all 1 where empty."""
    rebuild: Rebuild | None = None
    range_of: RangeOf | None = None
    """Goes with `rebuild`."""
    reference_text: str = ""
    """The paper, with the equation, that the formula is from."""
    formula: str = ""
    """What it adds, as one line of matplotlib's mathtext without dollar signs."""
    channel: str = ""
    """A channel (``cevns``, ``electron``) whose counts it multiplies, in the place of kernels in an amplitude; its
    `reference` is then 1, and its lower bound 0 a physical boundary."""

    def __post_init__(self) -> None:
        if self.component not in COMPONENTS:
            raise PhysicsError(f"{self.name}: no component '{self.component}'; {nearest(self.component, COMPONENTS)}")
        if self.weights and len(self.weights) != len(self.flavours):
            raise PhysicsError(f"{self.name}: {len(self.weights)} weights for {len(self.flavours)} pairs of flavours")
        if self.power < 1:
            raise PhysicsError(f"{self.name}: the power must be 1 or more, got {self.power}")
        if self.power % 2 == 0 and self.bounds[0] < 0:
            raise PhysicsError(f"{self.name}: with an even power both signs are the same; the lower bound must be 0")
        if self.component == "axial" and self.nucleus is not None:
            raise PhysicsError(
                f"{self.name}: an axial coupling acts on electrons only; its kernel on nuclei must be None"
            )
        states = {state for pair in self.flavours for state in pair}
        if states & set(MASS_STATES) and (
            self.component != "magnetic" or not states <= set(MASS_STATES) or any(a != b for a, b in self.flavours)
        ):
            raise PhysicsError(
                f"{self.name}: only magnetic moments can be declared for mass states, each of one state: what "
                "interferes with the Standard Model needs flavours"
            )
        if self.rebuild is not None and (self.nucleus is not None or self.electron is not None):
            raise PhysicsError(f"{self.name}: declare either kernels or rebuild, not both")
        if self.channel and (self.nucleus or self.electron or self.rebuild or self.reference != 1):
            raise PhysicsError(f"{self.name}: a factor on a channel has no kernels, and is 1 in the Standard Model")
        if (self.rebuild is None) != (self.range_of is None):
            raise PhysicsError(f"{self.name}: rebuild and range_of go together")

    def __hash__(self) -> int:
        # Couplings are keys in the innermost loops; the name tells them apart, and equality still compares everything.
        return hash(self.name)

    @property
    def linear(self) -> bool:
        """Whether its strength multiplies a kernel; otherwise every value needs another target (`rebuild`)."""
        return self.rebuild is None

    def joins(self, incoming: str, outgoing: str) -> bool:
        """Whether the coupling turns `incoming` into `outgoing`."""
        return (incoming, outgoing) in self.flavours or (outgoing, incoming) in self.flavours

    def weight(self, incoming: str, outgoing: str) -> float:
        """The factor of the kernel from `incoming` to `outgoing`; 0 where it does not join them."""
        for position, pair in enumerate(self.flavours):
            if pair in ((incoming, outgoing), (outgoing, incoming)):
                return self.weights[position] if self.weights else 1.0
        return 0.0

    @property
    def transition(self) -> bool:
        """Whether it changes flavour: then only its square enters, but for neutrinos that are mixtures of flavours."""
        return bool(self.flavours) and all(alpha != beta for alpha, beta in self.flavours)

    @property
    def interferes(self) -> bool:
        """Whether counts of neutrinos of one flavour have a term linear in its strength, next to the Standard Model."""
        return self.linear and not self.channel and self.component in ("vector", "axial") and not self.transition

    def strength(self, value: float) -> float:
        """What multiplies the kernel: value^power - reference^power, 0 in the Standard Model.

        Raises `PhysicsError` for a coupling that is not `linear`.
        """
        return float(self.strengths(value))

    def strengths(self, values: ArrayLike) -> FloatArray:
        """The strength of values of any shape."""
        if not self.linear:
            raise PhysicsError(f"{self.name} is not linear in the amplitude: every value needs a target of its own")
        raised: Any = values if isinstance(values, float) else np.asarray(values, dtype=float)
        return np.asarray(raised**self.power - self.reference**self.power)

    def values(self, strength: float) -> tuple[float, ...]:
        """All values inside the bounds that have a strength, rising; none where it cannot be had.

        Raises `PhysicsError` for a coupling that is not `linear`.
        """
        raised = strength - self.strength(0.0)  # strength + reference^power
        if self.power == 1:
            roots = [raised]
        elif self.power % 2:
            roots = [float(np.copysign(abs(raised) ** (1 / self.power), raised))]
        else:
            root = abs(raised) ** (1 / self.power)
            roots = [] if raised < 0 else sorted({-root, root})
        low, high = self.bounds
        # A value on a bound may come back beyond it by a rounding error.
        rounding = 1e-15
        return tuple(
            float(min(max(root, low), high))
            for root in roots
            if low - rounding * abs(low) <= root <= high + rounding * abs(high)
        )

    @property
    def strength_scale(self) -> float:
        """A strength of natural size: that of a value `scale` away from the reference 0, or a shift of `scale`."""
        return self.scale**self.power

    def check(self, value: float) -> float:
        """The value as a float, or `PhysicsError` where it is outside the bounds or no finite number."""
        return float(self.check_all(number(self.name, value)))

    def check_all(self, values: ArrayLike) -> FloatArray:
        """Values of any shape; `PhysicsError` where one is outside the bounds or no finite number."""
        array, (low, high) = numbers(self.name, values), self.bounds
        outside = array[~((array >= low) & (array <= high))]
        if outside.size:
            unit = "" if self.unit == "1" else f" {self.unit}"
            raise PhysicsError(f"{self.name} = {outside.flat[0]:g}{unit} is outside its bounds [{low:g}, {high:g}]")
        return array


def pair_symbol(alpha: str, beta: str) -> str:
    r"""A pair of flavours in mathtext.

    >>> pair_symbol("e", "mu")
    'e\\mu'
    """
    return FLAVOUR_SYMBOLS[alpha] + FLAVOUR_SYMBOLS[beta]

"""The modules that the package offers under names of its own; `lazy_loader` reads this file."""

from . import atoms as atoms
from . import constants as constants
from . import couplings as couplings
from . import cross_sections as cross_sections
from . import form_factors as form_factors
from . import nuclei as nuclei
from . import sources as sources

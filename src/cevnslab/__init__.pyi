"""Public names and where they live: `lazy_loader` reads this file, type checkers do too."""

from .detection.detector import Detector as Detector
from .detection.response import Response as Response
from .errors import CevnslabError as CevnslabError
from .likelihood.likelihood import Likelihood as Likelihood
from .physics import atoms as atoms
from .physics import constants as constants
from .physics import couplings as couplings
from .physics import cross_sections as cross_sections
from .physics import form_factors as form_factors
from .physics import nuclei as nuclei
from .physics import sources as sources
from .physics.couplings import Coupling as Coupling
from .reports.files import load_result as load_result
from .results import Result as Result
from .studies.interface import delta_chi2 as delta_chi2
from .studies.interface import likelihood as likelihood
from .studies.interface import limit as limit
from .studies.interface import load_dataset as load_dataset
from .studies.load import load_detector as load_detector
from .studies.load import load_source as load_source
from .studies.load import load_study as load_study
from .studies.load import response as response
from .studies.load import study_from_dict as study_from_dict
from .studies.study import Study as Study
from .version import __version__ as __version__

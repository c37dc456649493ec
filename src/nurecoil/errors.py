"""The mistakes that a user can make, one class each, under one base.

The command line turns every `NurecoilError` into one message on standard error and exit status 2;
anything else that escapes is a fault of the package and ends with status 1.
"""


class NurecoilError(Exception):
    """Base of every error that nurecoil raises on purpose."""


class StudyError(NurecoilError):
    """A study, detector or source file says something that cannot be done."""


class UnknownNameError(NurecoilError):
    """A preset, coupling, element or form factor that does not exist."""


class InputFileError(NurecoilError):
    """A file that the user named is missing, unreadable or malformed."""


class OutputError(NurecoilError):
    """A place where results should be written, or read back, cannot be used."""


class PhysicsError(NurecoilError):
    """Values outside the domain in which a formula holds."""


class StatisticsError(NurecoilError):
    """A likelihood that cannot be formed from the counts it was given."""

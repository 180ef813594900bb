"""Evidence: records, figures and manifests, and the run folder that keeps them."""

from ilr_check.evidence.figures import Figure, Series
from ilr_check.evidence.gate import Coverage, Finding, GateReport, Location, PassedLaw, Severity
from ilr_check.evidence.manifest import ClaimText, Manifest, PlannedUnit
from ilr_check.evidence.records import Margin, Measured, Record, RivalOutcome
from ilr_check.evidence.run_folder import RunFolder, RunFolderError

__all__ = [
    "ClaimText",
    "Coverage",
    "Figure",
    "Finding",
    "GateReport",
    "Location",
    "Manifest",
    "Margin",
    "Measured",
    "PassedLaw",
    "PlannedUnit",
    "Record",
    "RivalOutcome",
    "RunFolder",
    "RunFolderError",
    "Series",
    "Severity",
]

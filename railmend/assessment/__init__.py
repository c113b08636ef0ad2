"""Turn metric slices into findings. Pure code, no input or output."""

from railmend.assessment.coverage import why_unknown
from railmend.assessment.overrides import AssessmentRules, Ignore
from railmend.assessment.rules import assess
from railmend.assessment.screening import is_candidate
from railmend.assessment.settings import AssessmentSettings

__all__ = ["AssessmentRules", "AssessmentSettings", "Ignore", "assess", "is_candidate", "why_unknown"]

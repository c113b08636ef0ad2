from railmend.assessment.settings import AssessmentSettings
from railmend.contracts.scan import Service
from railmend.railway.model import Slice
def suspect(slice: Slice, service: Service, settings: AssessmentSettings | None = None) -> bool:
    return True

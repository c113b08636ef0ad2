"""Thresholds of one's own, for all services or one, and findings that are to be ignored for a while."""

from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field, model_validator

from railmend.assessment.settings import AssessmentSettings
from railmend.contracts.scan import Finding, FindingKind, Service


class Ignore(BaseModel):
    """No findings of this kind (none: of any) for these services, until the end of a day (UTC)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str = Field(min_length=1, description="name or id; * and ? stand for anything")
    kind: FindingKind | None = None
    until: date
    reason: str = ""

    def covers(self, finding: Finding, at: datetime) -> bool:
        if at > datetime.combine(self.until, time.max, UTC) or self.kind not in (None, finding.kind):
            return False
        return any(fnmatchcase(one, self.service) for one in (finding.service_name, finding.service_id))


class AssessmentRules(AssessmentSettings):
    """The table `[assessment]` of railmend.toml: thresholds, those of single services, and what to ignore."""

    services: dict[str, dict[str, float]] = Field({}, description="thresholds by the service's name or id")
    ignore: tuple[Ignore, ...] = ()

    @model_validator(mode="after")
    def _services_are_right(self) -> "AssessmentRules":
        for name, thresholds in self.services.items():
            unknown = sorted(set(thresholds) - set(AssessmentSettings.model_fields))
            if unknown:
                raise ValueError(f"services.{name}: no such threshold: {', '.join(unknown)}")
            AssessmentSettings(**thresholds)
        return self

    def of(self, service: Service) -> AssessmentSettings:
        """The thresholds that hold for one service; those by its id win over those by its name."""
        own = self.services.get(service.name, {}) | self.services.get(service.service_id, {})
        return self.model_copy(update=own) if own else self

    def over(self, project: "AssessmentRules") -> "AssessmentRules":
        """These rules with a project's own laid over them; ignore rules and services add up."""
        own = {name: getattr(project, name) for name in project.model_fields_set}
        services = {name: {**self.services.get(name, {}), **t} for name, t in project.services.items()}
        return self.model_copy(
            update={
                **own,
                "services": self.services | services,
                "ignore": (*self.ignore, *project.ignore),
            }
        )

    def ignores(self, finding: Finding, at: datetime) -> bool:
        """Whether an ignore rule that has not expired at this time covers the finding."""
        return any(one.covers(finding, at) for one in self.ignore)
